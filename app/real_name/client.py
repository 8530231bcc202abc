"""The way out to the system that checks real names: check under a key, and look a key up."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.core.outside import Failed, Failure, NoAnswer, Outside, Reply, Unreadable, failed, tidy
from app.core.settings import Settings
from app.real_name.rules import Answered, DocumentKind, RealNameCode

# How long a technician waits for a check, in seconds.
CHECK_SECONDS = 6.0

_RESULTS = {"match": None} | {
    code.value: code
    for code in (
        RealNameCode.MISMATCH,
        RealNameCode.NOT_FOUND,
        RealNameCode.DOCUMENT_INVALID,
        RealNameCode.OTHER,
    )
}


@dataclass(frozen=True)
class Ask:
    """What is to be checked: this number with this name. `id` is the key.

    Neither name nor number shows when it is written out, as a log would.
    """

    id: UUID
    document: DocumentKind
    number: str = field(repr=False)
    name: str = field(repr=False)


class RealNameClient(Outside):
    """One checking system's API; `base_url` ends where `/checks` begins.

    Both verbs raise `core.outside.Failed`, whose words never repeat what was asked.
    """

    async def check(self, ask: Ask) -> Answered:
        """Have a number checked; the same key a second time is the same check."""
        body: dict[str, Any] = {
            "id": str(ask.id),
            "document": ask.document.value,
            "number": ask.number,
            "name": ask.name,
        }
        try:
            reply = await self._told(
                "POST", "checks", body=body, headers={"Idempotency-Key": str(ask.id)}
            )
            if not 200 <= reply.status < 300:
                raise failed(reply)
            answered = _read(reply)
        except Failed as failure:
            # What the other side says may repeat what it was sent.
            raise Failed(
                failure.failure, _without(failure.said, ask), failure.retry_after
            ) from None
        return Answered(answered.passed, answered.code, _without(answered.said, ask) or None)

    async def find(self, check_id: UUID) -> Answered | None:
        """Look a check up by its key; None means that the other side surely does not have it."""
        reply = await self._told("GET", f"checks/{check_id}")
        if reply.status == 404 and _code(reply):
            # Without a code of its own, a gateway speaks that knows no such path.
            return None
        if reply.status != 200:
            raise failed(reply)
        return _read(reply)

    async def _told(self, method: str, path: str, **more: Any) -> Reply:
        try:
            return await self.exchange(method, path, **more)
        except NoAnswer as nothing:
            raise failed(nothing) from None


def client_of(settings: Settings) -> RealNameClient | None:
    """Make the way to the checking system; None where none is set."""
    if not settings.real_name_url:
        return None
    return RealNameClient(
        settings.real_name_url,
        token=settings.real_name_token.get_secret_value(),
        time_limit=CHECK_SECONDS,
    )


def _without(said: str | None, ask: Ask) -> str:
    return (said or "").replace(ask.number, "***").replace(ask.name, "***")


def _read(reply: Reply) -> Answered:
    try:
        answer = reply.json()
        if not isinstance(answer, dict):
            raise Unreadable("the answer is not an object")
    except Unreadable as error:
        raise Failed(Failure.UNKNOWN, tidy(f"unreadable: {error}")) from error
    result = str(answer.get("result"))
    if result not in _RESULTS:
        raise Failed(Failure.UNKNOWN, "unreadable: the result is none that is known")
    message = answer.get("message")
    code = _RESULTS[result]
    return Answered(code is None, code, tidy(message) or None if isinstance(message, str) else None)


def _code(reply: Reply) -> str | None:
    try:
        answer = reply.json()
    except Unreadable:
        return None
    code = answer.get("code") if isinstance(answer, dict) else None
    return code if isinstance(code, str) else None
