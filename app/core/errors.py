"""Refusals: each is a named class with a status, words in two languages and the facts behind it.

A Problem is raised where it is known, usually in a room's rules or service, and rendered once, in
`core/http.py`, as `application/problem+json` (RFC 9457).
"""

from collections.abc import Mapping
from datetime import date, datetime
from enum import Enum
from typing import Any, ClassVar
from uuid import UUID

from app.core.i18n import Lang, Words


class Problem(Exception):
    """A refusal that a caller can understand and act on.

    `slug` is stable and may be matched by clients; `title` names the refusal; `advice` says what
    the caller can do next and may use the facts as `{name}`.
    """

    slug: ClassVar[str] = "problem"
    status: ClassVar[int] = 500
    title: ClassVar[Words] = Words(zh="服务出错", en="Something went wrong")
    advice: ClassVar[Words] = Words(zh="请稍后重试。", en="Please try again later.")
    # What a 426 asks the client to speak, as a protocol and its version (RFC 9110, 15.5.22).
    upgrade: ClassVar[str] = ""

    def __init__(self, **facts: Any) -> None:
        self.facts = {name: plain(value) for name, value in facts.items()}
        super().__init__(self.detail("en"))

    def detail(self, lang: Lang) -> str:
        """Say what the caller can do next, with the facts filled in; a list is read out."""
        between = "、" if lang == "zh" else ", "
        said = {
            name: between.join(map(str, value)) if isinstance(value, list) else value
            for name, value in self.facts_in(lang).items()
        }
        return self.advice.say(lang).format_map(_Facts(said))

    def facts_in(self, lang: Lang) -> dict[str, Any]:
        """Give the facts as a caller reads them: what has words is said in one language."""
        return {name: _told(value, lang) for name, value in self.facts.items()}

    @classmethod
    def catalogue(cls) -> list["type[Problem]"]:
        """List every refusal the product knows, by slug; the API guides and OpenAPI use it."""
        found: dict[str, type[Problem]] = {}
        waiting = [cls]
        while waiting:
            kind = waiting.pop()
            waiting.extend(kind.__subclasses__())
            if "slug" in vars(kind):  # a base without a name of its own is never raised
                found[kind.slug] = kind
        return [found[slug] for slug in sorted(found)]


class _Facts(dict[str, Any]):
    """Facts for `format_map`: a fact that is not known is shown as a dash, never as an error."""

    def __missing__(self, key: str) -> str:
        return "—"


def _told(value: Any, lang: Lang) -> Any:
    if isinstance(value, Words):
        return value.say(lang)
    if isinstance(value, dict):
        return {name: _told(item, lang) for name, item in value.items()}
    if isinstance(value, list):
        return [_told(item, lang) for item in value]
    return value


def plain(value: Any) -> Any:
    """Turn a value into what JSON can hold: ids, times and enums become text.

    Words stay, so that a refusal can say them in the caller's language.
    """
    if isinstance(value, Words):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return value


class Invalid(Problem):
    slug, status = "invalid", 422
    title = Words(zh="提交的内容有误", en="What was sent is not valid")
    advice = Words(
        zh="请按 facts.errors 列出的字段修改后重新提交。",
        en="Correct the fields named in facts.errors and send again.",
    )


class Malformed(Problem):
    slug, status = "malformed", 400
    title = Words(zh="请求无法解析", en="The request cannot be read")
    advice = Words(zh="请检查请求格式：{reason}", en="Check the request's form: {reason}")


class Unauthorized(Problem):
    slug, status = "unauthorized", 401
    title = Words(zh="请先登录", en="Please sign in")
    advice = Words(
        zh="令牌缺失、过期或无效：请重新登录或刷新令牌。",
        en="The token is missing, expired or not valid: sign in again or refresh it.",
    )


class Forbidden(Problem):
    slug, status = "forbidden", 403
    title = Words(zh="没有权限", en="Not allowed")
    advice = Words(
        zh="此操作需要：{needs}。如有需要请联系管理员。",
        en="This needs: {needs}. Ask your administrator if you should have it.",
    )


class NotFound(Problem):
    slug, status = "not-found", 404
    title = Words(zh="未找到", en="Not found")
    advice = Words(
        zh="该记录不存在，或不在您的管辖范围内。",
        en="It does not exist, or it is not within your area.",
    )


class MethodNotAllowed(Problem):
    slug, status = "method-not-allowed", 405
    title = Words(zh="不支持的请求方法", en="This method is not offered here")
    advice = Words(zh="可用方法：{allow}。", en="Offered here: {allow}.")


class Conflict(Problem):
    slug, status = "conflict", 409
    title = Words(zh="与现有数据冲突", en="This conflicts with what is stored")
    advice = Words(zh="请刷新后重试。", en="Refresh and try again.")


class SameIdOtherContent(Conflict):
    slug = "same-id-other-content"
    title = Words(zh="同一编号已用于不同内容", en="This id already stands for other content")
    advice = Words(
        zh="编号 {id} 已存在且内容不同；请为新内容生成新的编号。",
        en="The id {id} exists with other content; make a new id for new content.",
    )


class TooLarge(Problem):
    slug, status = "too-large", 413
    title = Words(zh="内容过大", en="Too large")
    advice = Words(
        zh="上限为 {limit}，请拆分后提交。", en="The limit is {limit}; split it and send the parts."
    )


class UnsupportedMedia(Problem):
    slug, status = "unsupported-media", 415
    title = Words(zh="不支持的内容类型", en="This kind of content is not read here")
    advice = Words(zh="请改用：{accepted}。", en="Read here: {accepted}.")


class UnsupportedEncoding(UnsupportedMedia):
    slug = "unsupported-encoding"
    title = Words(zh="不支持的压缩方式", en="A body that is packed this way is not read here")
    advice = Words(
        zh="请不压缩，或改用：{accepted}。", en="Send it as it is, or packed with: {accepted}."
    )


class TooMany(Problem):
    slug, status = "too-many-requests", 429
    title = Words(zh="请求过于频繁", en="Too many requests")
    advice = Words(zh="请在 {retry_after} 秒后重试。", en="Try again in {retry_after} seconds.")


class Unavailable(Problem):
    slug, status = "unavailable", 503
    title = Words(zh="服务暂时不可用", en="The service cannot answer just now")
    advice = Words(
        zh="您的操作未被记录，请在 {retry_after} 秒后重试。",
        en="Nothing was recorded; try again in {retry_after} seconds.",
    )
