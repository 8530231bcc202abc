"""The way out to the ordering system: TMF622 v4 over HTTP, with every failure given its meaning.

Nothing is tried twice in here; `rules.after_failure` decides that over the lifetime of an order.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn
from urllib.parse import quote

from app.core.outside import SAID_LIMIT, Lost, NoAnswer, Outside, Reply, Unreadable, tidy
from app.ordering import codec_v4
from app.ordering.order import OrderToPlace, RemoteOrder
from app.ordering.rules import Cause, NotSent, OrderingFailed, Refused, Unknown

_CAUSES = {
    Lost.UNREACHABLE: Cause.UNREACHABLE,
    Lost.WRONG_ADDRESS: Cause.WRONG_ADDRESS,
    Lost.TIMED_OUT: Cause.TIMED_OUT,
    Lost.CUT: Cause.CUT,
}
# What `find` asks for; `id` and `href` always come along (TMF630).
_FIELDS = "id,href,externalId,state,orderDate,cancellationReason,note,productOrderItem"
_FIND_LIMIT = 50


class OrderingClient(Outside):
    """One ordering system's TMF622 v4 API; `base_url` ends where `/productOrder` begins.

    Every verb raises NotSent, Unknown or Refused, and nothing else of its own.
    """

    async def place(self, order: OrderToPlace) -> RemoteOrder:
        """Send an order (`POST /productOrder`) and return what the other side made of it.

        201, 202 and any other success are the same to us: it has the order. Raises NotSent,
        Unknown or Refused.
        """
        reply = await self._told("POST", "productOrder", body=codec_v4.body_of(order))
        if not 200 <= reply.status < 300:
            _fail(reply)
        try:
            placed = self._read_placed(reply)
        except Unreadable as error:
            # It was taken, but under which number? Looking will tell.
            raise _unreadable(reply, error) from error
        if placed.external_id not in (None, order.external_id):
            raise _unreadable(reply, f"externalId {placed.external_id} is not the one we sent")
        return placed

    async def find(self, external_id: str) -> RemoteOrder | None:
        """Look for our order; None means that the other side surely does not have it now.

        Should it have several, the oldest is returned. Raises NotSent, Unknown or Refused.
        """
        found = await self.find_all(external_id)
        return found[0] if found else None

    async def find_all(self, external_id: str) -> Sequence[RemoteOrder]:
        """Look for every order with our id (`GET /productOrder?externalId=`), oldest first.

        More than one means that an order was doubled. Raises NotSent, Unknown or Refused.
        """
        params = {"externalId": external_id, "fields": _FIELDS, "limit": str(_FIND_LIMIT)}
        reply = await self._told("GET", "productOrder", params=params)
        if reply.status == 204 or (reply.status == 404 and _said(reply)[1]):
            return []  # how some systems say that nothing matches
        if reply.status not in (200, 206):
            _fail(reply)
        try:
            rows = reply.json()
            if not isinstance(rows, list):
                raise Unreadable("the answer is not a list")
            found = [codec_v4.read_order(row, self.base) for row in rows]
        except Unreadable as error:
            raise _unreadable(reply, error) from error
        if any(order.external_id != external_id for order in found):
            # A server that ignores the filter shows us a page of others' orders; ours may stand on
            # the next page, and "not found" would make us send a second one.
            raise Unknown(Cause.FILTER_IGNORED, answered=reply.status, sent_as=reply.request_id)
        # Without a time an order counts as the youngest; ids only settle the order of equals.
        latest = datetime.max.replace(tzinfo=UTC)
        return sorted(found, key=lambda order: (order.ordered_at or latest, order.id))

    async def get(self, order_id: str) -> RemoteOrder | None:
        """Read one order by the other side's id; None when it says there is none.

        Raises NotSent, Unknown or Refused.
        """
        reply = await self._told("GET", f"productOrder/{quote(order_id, safe='')}")
        if reply.status == 404 and _said(reply)[1]:
            return None
        if reply.status != 200:
            _fail(reply)
        try:
            return codec_v4.read_order(reply.json(), self.base)
        except Unreadable as error:
            raise _unreadable(reply, error) from error

    def _read_placed(self, reply: Reply) -> RemoteOrder:
        """Read the order just placed: from the body or, where that is empty, from Location."""
        if reply.content or reply.cropped:
            return codec_v4.read_order(reply.json(), self.base)
        return codec_v4.read_order({"href": reply.headers.get("location")}, self.base)

    async def _told(self, method: str, path: str, **more: Any) -> Reply:
        try:
            return await self.exchange(method, path, **more)
        except NoAnswer as nothing:
            kind = Unknown if nothing.sent else NotSent
            said, sent_as = nothing.said, nothing.request_id
            raise kind(_CAUSES[nothing.lost], said=said, sent_as=sent_as) from nothing


# --- what an answer other than success means ----------------------------------------------------


def _fail(reply: Reply) -> NoReturn:
    """Raise what an answer other than the expected one means for the order."""
    status = reply.status
    said, by_the_api = _said(reply)
    kind: type[OrderingFailed]
    if status in (401, 403, 407):
        kind, cause = NotSent, Cause.SIGN_IN
    elif status in (425, 429):
        kind, cause = NotSent, Cause.BUSY
    elif 300 <= status < 400 or (status in (404, 405) and not by_the_api):
        # A gateway spoke, not the ordering system; no order can be blamed for it.
        kind, cause = NotSent, Cause.WRONG_ADDRESS
    elif status == 408:
        kind, cause = Unknown, Cause.TIMED_OUT
    elif status == 409:
        kind, cause = Unknown, Cause.CONFLICT
    elif 400 <= status < 500:
        kind, cause = Refused, Cause.REFUSED
    elif status >= 500:
        kind, cause = Unknown, Cause.SERVER_ERROR
    else:
        kind, cause = Unknown, Cause.UNREADABLE
    raise kind(
        cause,
        said=said or f"HTTP {status}",
        retry_after=reply.retry_after(),
        answered=status,
        sent_as=reply.request_id,
    )


def _unreadable(reply: Reply, why: object) -> Unknown:
    return Unknown(
        Cause.UNREADABLE, said=tidy(str(why)), answered=reply.status, sent_as=reply.request_id
    )


def _said(reply: Reply) -> tuple[str, bool]:
    """Take the other side's words, and whether they are an error of the API (TMF630's shape)."""
    try:
        error = reply.json()
    except Unreadable:
        return tidy(reply.content[: 4 * SAID_LIMIT].decode("utf-8", "replace")), False
    if not isinstance(error, dict):
        return "", False
    words = [text for name in ("reason", "message") if isinstance(text := error.get(name), str)]
    return tidy(": ".join(dict.fromkeys(words))), "code" in error and "reason" in error
