"""The way out to the messaging provider: one message a request, under an idempotency key."""

from uuid import UUID

from app.core.outside import NoAnswer, Outside, Unreadable, failed, tidy
from app.messaging.rules import MessageKind

_ID_LIMIT = 100


class MessagingClient(Outside):
    """One messaging provider's API; `base_url` ends where `/messages` begins."""

    async def send(self, message_id: UUID, *, to: str, text: str, kind: MessageKind) -> str | None:
        """Hand a message over and return the provider's own id of it, if it said one.

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
