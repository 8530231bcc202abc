"""The way out to the messaging provider: one message a request, under an idempotency key."""

from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from app.core.log import log
from app.core.outside import Failed, Failure, NoAnswer, Outside, Unreadable, failed, tidy
from app.messaging.rules import Came, MessageKind, masked_number

# In place of a provider's address: messages are written to the log.
CONSOLE = "console:"
_ID_LIMIT = 100


class Messages(Protocol):
    """What can send a message."""

    async def send(self, message_id: UUID, *, to: str, text: str, kind: MessageKind) -> str | None:
        """Hand a message over and return its taker's own id of it, if there is one. Raises
        `core.outside.Failed`."""


class ConsoleMessages:
    """Sends nothing and says in the log that it would have, for whoever tries the house out alone.

    What a message says stands there only if it is `shown`, as to somebody in front of a terminal:
    where logs are gathered, whoever reads them must find neither codes nor what customers buy.
    """

    def __init__(self, *, shown: bool) -> None:
        self.shown = shown

    async def send(self, message_id: UUID, *, to: str, text: str, kind: MessageKind) -> str | None:
        """Log a message."""
        said = {"text": text} if self.shown else {}
        number = masked_number(to)
        log.info("message", message=str(message_id), kind=kind.value, to=number, **said)
        return None


class MessagingClient(Outside):
    """One messaging provider's API; `base_url` ends where `/messages` begins."""

    async def send(self, message_id: UUID, *, to: str, text: str, kind: MessageKind) -> str | None:
        """Hand a message over, as `Messages` says.

        The same message a second time is taken as the one that is there already: the provider knows
        it by the header `Idempotency-Key`. Raises `core.outside.Failed`.
        """
        body = {"id": str(message_id), "to": to, "text": text, "kind": kind.value}
        key = {"Idempotency-Key": str(message_id)}
        try:
            reply = await self.exchange("POST", "messages", body=body, headers=key)
        except NoAnswer as nothing:
            raise failed(nothing) from nothing
        if not 200 <= reply.status < 300:
            raise failed(reply)
        try:
            answer = reply.json()
        except Unreadable:
            return None  # it was taken; only its number is not known
        given = answer.get("id") if isinstance(answer, dict) else None
        return tidy(str(given))[:_ID_LIMIT] if given else None

    async def replies(self, after: int) -> list[Came]:
        """Read what customers sent back, from a position of the provider's list on, oldest first.

        Raises `core.outside.Failed`.
        """
        try:
            reply = await self.exchange("GET", "replies", params={"after": str(after)})
        except NoAnswer as nothing:
            raise failed(nothing) from nothing
        if reply.status != 200:
            raise failed(reply)
        try:
            listed = reply.json()["replies"]
            return [_came(each) for each in listed]
        except (Unreadable, KeyError, TypeError, ValueError) as error:
            raise Failed(Failure.UNKNOWN, "unreadable: no list of replies") from error


def _came(told: dict[str, Any]) -> Came:
    said_at = datetime.fromisoformat(told["said_at"])
    if said_at.tzinfo is None:
        raise ValueError("a time without its zone")
    return Came(
        provider_id=str(told["id"])[:_ID_LIMIT],
        sender=str(told["from"]),
        text=str(told["text"]),
        said_at=said_at,
        position=int(told["number"]),
    )
