"""What an action says, as it comes: an object, or the same as JSON in text.

People type what stands in it, and phones cut it where they like. What is odd about one payload is
its own action's matter, and keeps back nothing of what is pushed beside it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from app.core.errors import Invalid
from app.core.i18n import Lang, Words

# So many characters a payload in text may have; a day's positions are a tenth of it.
LONGEST = 100_000

_NOT_JSON = Words(zh="不是 JSON 对象", en="is no JSON object")
_TOO_LONG = Words(zh=f"超过 {LONGEST} 个字符", en=f"has more than {LONGEST} characters")
_HALF = Words(
    zh="含有半个字符，例如被截断的表情", en="has half a character in it, as of a cut emoji"
)
_NUL = Words(zh="含有空字符", en="has the character NUL in it")
_BEYOND = Words(
    zh="含有无法保存的数字，或层次过深",
    en="has a number in it that cannot be kept, or is nested too deep",
)

# UTF-16 writes what lies beyond 65,535 as two halves; one of them alone is no text.
_LONE = re.compile("[\ud800-\udfff]")
# NUL as JSON writes it. After an odd number of backslashes the last one is a text's own.
_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class PayloadUnfit(Invalid):
    advice = Words(
        zh="操作内容{wrong}。原文已作为凭据保留，请改正后重新操作。",
        en="What it says {wrong}. It is kept as evidence as it came: do it again without that.",
    )

    def __init__(self, wrong: Words) -> None:
        self.wrong = wrong
        super().__init__(errors=[{"field": "payload", "message": wrong}])

    def detail(self, lang: Lang) -> str:
        """Say what is wrong with it."""
        return self.advice.say(lang).format(wrong=self.wrong.say(lang))


# What is good for whoever knows it: the code of special terms, and those that customers tell. Whose
# action it was needs none of them any more, and whoever reads it later is not whom they are for.
_CODES = frozenset({"approval_code", "acceptance_code", "code"})
# The same in text that cannot be read, which may be cut, and JSON within JSON.
_CODE_IN_TEXT = re.compile(
    rf"""("(?:{"|".join(sorted(_CODES))})\\{{0,7}}"\s*:\s*)(?:\\{{0,7}}"[^"]*"?|[^\s,}}\]]+)"""
)


def without_codes(said: Any) -> Any:
    """Give what an action says without the codes in it, as it is written down."""
    if isinstance(said, Mapping):
        return {name: without_codes(one) for name, one in said.items() if name not in _CODES}
    if isinstance(said, list):
        return [without_codes(one) for one in said]
    return said


@dataclass(frozen=True)
class Unread:
    """What a phone sent for a payload and is none: its text as it came, and what is wrong."""

    text: str
    wrong: Words

    @property
    def kept(self) -> dict[str, Any]:
        """Give what is written down in the payload's place, with null for each code in it.

        What PostgreSQL does not hold as text is spelled there as JSON would escape it.
        """
        kept = _CODE_IN_TEXT.sub(r"\1null", self.text[:LONGEST])
        spelled = kept.encode("utf-8", "backslashreplace").decode()
        return {"unread": spelled.replace("\0", "\\u0000")}


def payload_of(told: Any) -> Mapping[str, Any] | Unread:
    """Read what a phone sent for a payload; what cannot be read, or not be written down as it is,
    comes back with why."""
    if isinstance(told, str) and len(told) > LONGEST:
        return Unread(told, _TOO_LONG)
    try:
        read = orjson.loads(told) if isinstance(told, str) else told
        # As deep as what tells it from others, which has it in a list.
        written = orjson.dumps([read])
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return _unread(told)
    if not isinstance(read, dict):
        return Unread(_text_of(told), _NOT_JSON)
    if b"\\u0000" in written and _ESCAPED_NUL.search(written):
        return Unread(_text_of(told), _NUL)
    return read


def _unread(told: Any) -> Unread:
    text = _text_of(told)
    try:
        whole = json.loads(text)
        half = _LONE.search(json.dumps(whole, ensure_ascii=False))
    except (ValueError, RecursionError):
        return Unread(text, _NOT_JSON)
    return Unread(text, _HALF if half else _BEYOND)


def _text_of(told: Any) -> str:
    """Write it as text, the same each time that it comes."""
    if isinstance(told, str):
        return told
    return json.dumps(told, ensure_ascii=False, sort_keys=True)
