"""The way out to the ordering system: TMF622 over HTTP, with every failure given its meaning.

Nothing is tried twice in here; `rules.after_failure` decides that over the lifetime of an order.
"""

import ssl
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from app.core.clock import wall
from app.core.db import new_id
from app.core.outside import Lost, NoAnswer, Outside, Reply, Unreadable
from app.ordering.client import listing, reading
from app.ordering.client.answers import fail, said_by, unreadable
from app.ordering.client.codec import CODECS, Version
from app.ordering.client.pace import Pace, Reserve
from app.ordering.client.sign_in import SignIn, Token
from app.ordering.client.writing import utc
from app.ordering.order import Amendment, OrderToPlace, RemoteCancellation, RemoteOrder
from app.ordering.rules import Cause, NotSent, Unknown

_CAUSES = {
    Lost.UNREACHABLE: Cause.UNREACHABLE,
    Lost.WRONG_ADDRESS: Cause.WRONG_ADDRESS,
    Lost.TIMED_OUT: Cause.TIMED_OUT,
    Lost.CUT: Cause.CUT,
    Lost.NOT_SIGNED_IN: Cause.SIGN_IN,
}
# What `find` asks for; `id` and `href` always come along (TMF630).
_FIELDS = {
    Version.V4: "id,href,externalId,state,orderDate,cancellationReason,note,productOrderItem",
    Version.V5: (
        "id,href,externalId,state,creationDate,orderDate,cancellationReason,note,"
        "productOrderErrorMessage,productOrderItem"
    ),
}
_FIND_LIMIT = 50
# What the date on which an order was made is called.
_MADE = {Version.V4: "orderDate", Version.V5: "creationDate"}
# What a list is asked for beside that: whose it is, through which channel.
_LISTED_FIELDS = {version: f"{fields},channel,relatedParty" for version, fields in _FIELDS.items()}
PAGE = 100


class OrderingClient(Outside):
    """One ordering system's TMF622 API; `base_url` ends where `/productOrder` begins.

    `version` says how it is written to; what it answers is read in either. `search_by` is the
    query parameter that finds an order by our id, and `reserve` is where all processes take their
    turns, if so many requests a second are set. What is read to be compared (`page`, `found`,
    `listed_one`) waits for its turn where others would have to come again. Every verb raises
    NotSent, Unknown or Refused, and nothing else of its own.
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: str = "",
        sign_in: SignIn | None = None,
        version: Version = Version.V4,
        search_by: str = "externalId",
        requests_per_second: float = 0,
        reserve: Reserve | None = None,
        time_limit: float = 10.0,
        body_limit: int = 1_000_000,
        connections: int = 20,
        request_id: Callable[[], str] = lambda: new_id().hex,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(
            base_url,
            time_limit=time_limit,
            body_limit=body_limit,
            connections=connections,
            request_id=request_id,
            tls=tls,
        )
        self.version = version
        self.codec = CODECS[version]
        # An attempt has twice the time limit until it sends: a quarter of it each for its turn to
        # look and for the answer to that, the rest for its turn to send. Where turns are so seldom
        # that one takes longer, the next one is waited for.
        within = max(time_limit / 2, 1 / requests_per_second if requests_per_second else 0)
        self.pace = Pace(requests_per_second, reserve, within=within)
        self._search_by = search_by
        self._sign_in = sign_in or Token(token)

    async def aclose(self) -> None:
        """Close its connections."""
        await self._sign_in.aclose()
        await super().aclose()

    async def signed(self, content: bytes) -> dict[str, str]:
        """Make the headers that tell who we are. Raises NoAnswer."""
        return await self._sign_in.headers(content)

    # --- orders ---------------------------------------------------------------------------------

    async def place(
        self, order: OrderToPlace, *, by: datetime | None = None, looked: bool = False
    ) -> RemoteOrder:
        """Send an order (`POST /productOrder`) and return what the other side made of it.

        201, 202 and any other success are the same to us: it has the order. What would leave after
        `by` (real time) is not sent. `looked` says that it was looked for just before. Raises
        NotSent, Unknown or Refused.
        """
        body = self.codec.body_of(order)
        reply = await self._told("POST", "productOrder", by=by, begun=looked, body=body)
        if not 200 <= reply.status < 300:
            fail(reply)
        try:
            placed = self._read_placed(reply)
        except Unreadable as error:
            # It was taken, but under which number? Looking will tell.
            raise unreadable(reply, error) from error
        if placed.external_id not in (None, order.external_id):
            raise unreadable(reply, f"externalId {placed.external_id} is not the one we sent")
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
        found = [each.order for each in await self._by_our_id(external_id, _FIELDS[self.version])]
        # Without a time an order counts as the youngest; ids only settle the order of equals.
        latest = datetime.max.replace(tzinfo=UTC)
        return sorted(found, key=lambda order: (order.ordered_at or latest, order.id))

    async def page(
        self, since: datetime, before: datetime, at: int | dict[str, str] = 0
    ) -> listing.Page:
        """Read a page of the orders made from `since` until before `before` (aware), any caller's.

        `at` is how many to pass over, or the `next_query` of the page before. A side that ignores
        the dates is found out: nothing could be concluded from what it shows. Raises NotSent,
        Unknown or Refused.
        """
        made = _MADE[self.version]
        params = {
            f"{made}.gte": utc(since),
            f"{made}.lt": utc(before),
            "fields": _LISTED_FIELDS[self.version],
            "limit": str(PAGE),
            "offset": str(at) if isinstance(at, int) else "0",
        }
        asked = params if isinstance(at, int) else at
        reply = await self._told("GET", "productOrder", patient=True, params=asked)
        orders = self._listed(reply)
        # A day is allowed for clocks and zones; a side that ignores the dates shows all it has.
        spare = timedelta(days=1)
        for each in orders:
            made_at = each.order.ordered_at
            if made_at is not None and not since - spare <= made_at < before + spare:
                raise Unknown(Cause.FILTER_IGNORED, answered=reply.status, sent_as=reply.request_id)
        total = reply.headers.get("x-total-count", "")
        return listing.Page(
            orders=orders,
            total=int(total) if total.isascii() and total.isdigit() else None,
            next_query=_next_of(reply),
        )

    async def found(self, external_id: str) -> tuple[listing.Listed, ...]:
        """Look for every order with our id, with what was sold. Raises as `find_all` does."""
        return await self._by_our_id(external_id, _LISTED_FIELDS[self.version], patient=True)

    async def _by_our_id(
        self, external_id: str, fields: str, *, patient: bool = False
    ) -> tuple[listing.Listed, ...]:
        params = {self._search_by: external_id, "fields": fields, "limit": str(_FIND_LIMIT)}
        reply = await self._told("GET", "productOrder", patient=patient, params=params)
        orders = self._listed(reply)
        if any(each.order.external_id != external_id for each in orders):
            # A server that ignores the filter shows us a page of others' orders; ours may stand on
            # the next page, and "not found" would make us send a second one.
            raise Unknown(Cause.FILTER_IGNORED, answered=reply.status, sent_as=reply.request_id)
        return orders

    async def listed_one(self, order_id: str) -> listing.Listed | None:
        """Read one order by the other side's id, with what was sold. Raises as `get` does."""
        return await self._one(order_id, patient=True)

    async def _one(self, order_id: str, *, patient: bool = False) -> listing.Listed | None:
        path = f"productOrder/{quote(order_id, safe='')}"
        reply = await self._told("GET", path, patient=patient)
        if reply.status == 404 and said_by(reply)[1]:
            return None
        if reply.status != 200:
            fail(reply)
        try:
            return listing.read_listed(reply.json(), self.base)
        except Unreadable as error:
            raise unreadable(reply, error) from error

    def _listed(self, reply: Reply) -> tuple[listing.Listed, ...]:
        if reply.status == 204 or (reply.status == 404 and said_by(reply)[1]):
            return ()  # how some systems say that nothing matches
        if reply.status not in (200, 206):
            fail(reply)
        try:
            rows = reply.json()
            if not isinstance(rows, list):
                raise Unreadable("the answer is not a list")
            return tuple(listing.read_listed(row, self.base) for row in rows)
        except Unreadable as error:
            raise unreadable(reply, error) from error

    async def get(self, order_id: str) -> RemoteOrder | None:
        """Read one order by the other side's id; None when it says there is none.

        Raises NotSent, Unknown or Refused.
        """
        listed = await self._one(order_id)
        return None if listed is None else listed.order

    # --- changes to an order --------------------------------------------------------------------

    async def amend(self, order_id: str, order: OrderToPlace, changes: Amendment) -> None:
        """Change an order (`PATCH /productOrder/{id}`); the same again makes no difference.

        Raises NotSent, Unknown or Refused.
        """
        path = f"productOrder/{quote(order_id, safe='')}"
        reply = await self._told("PATCH", path, body=self.codec.amendment_of(order, changes))
        if not 200 <= reply.status < 300:
            fail(reply)

    async def cancel(
        self,
        order_id: str,
        reason: str,
        at: datetime,
        *,
        by: datetime | None = None,
        looked: bool = False,
    ) -> RemoteCancellation:
        """Ask for an order to be cancelled (`POST /cancelProductOrder`); returns the task of it.

        What would leave after `by` (real time) is not sent. `looked` says that it was looked at
        just before. Raises NotSent, Unknown or Refused.
        """
        body = self.codec.cancellation_of(order_id, reason, at)
        reply = await self._told("POST", "cancelProductOrder", by=by, begun=looked, body=body)
        if not 200 <= reply.status < 300:
            fail(reply)
        try:
            told = reply.json() if reply.content or reply.cropped else {}
            if isinstance(told, dict) and not told.get("href"):
                told = {**told, "href": reply.headers.get("location")}
            return reading.read_cancellation(told, self.base)
        except Unreadable as error:
            raise unreadable(reply, error) from error

    async def cancellations(self, order_id: str) -> Sequence[RemoteCancellation]:
        """Look for the tasks of cancelling an order (`GET /cancelProductOrder?productOrder.id=`).

        Empty also where the other side cannot search them. Raises NotSent, Unknown or Refused.
        """
        params = {"productOrder.id": order_id, "limit": str(_FIND_LIMIT)}
        reply = await self._told("GET", "cancelProductOrder", params=params)
        if reply.status in (204, 404, 405, 501):
            return []
        if reply.status not in (200, 206):
            fail(reply)
        try:
            rows = reply.json()
            if not isinstance(rows, list):
                raise Unreadable("the answer is not a list")
            found = [reading.read_cancellation(row, self.base) for row in rows]
        except Unreadable as error:
            raise unreadable(reply, error) from error
        return [each for each in found if each.order_id == order_id]

    async def cancellation(self, task_id: str) -> RemoteCancellation | None:
        """Get one task of cancelling; None when the other side says there is none.

        Raises NotSent, Unknown or Refused.
        """
        reply = await self._told("GET", f"cancelProductOrder/{quote(task_id, safe='')}")
        if reply.status == 404 and said_by(reply)[1]:
            return None
        if reply.status != 200:
            fail(reply)
        try:
            return reading.read_cancellation(reply.json(), self.base)
        except Unreadable as error:
            raise unreadable(reply, error) from error

    # --- listening ------------------------------------------------------------------------------

    async def register(self, callback: str, query: str) -> str | None:
        """Register a listener (`POST /hub`); returns its id, None when the address is known there.

        Raises NotSent, Unknown or Refused.
        """
        body = {"callback": callback, "query": query}
        if self.version is Version.V5:
            body["@type"] = "Hub"
        reply = await self._told("POST", "hub", body=body)
        if reply.status == 409:
            return None
        if not 200 <= reply.status < 300:
            fail(reply)
        try:
            told = reply.json()
            named = told.get("id") if isinstance(told, dict) else None
        except Unreadable as error:
            raise unreadable(reply, error) from error
        found = named or reading.id_from_href(reply.headers.get("location"), "hub")
        if not isinstance(found, str) or len(found) > 200:
            raise unreadable(reply, "the listener has no id")
        return found

    async def is_registered(self, listener_id: str) -> bool | None:
        """Ask whether a listener is still registered (`GET /hub/{id}`).

        None where the other side does not tell: TMF630 has no such question. Raises NotSent,
        Unknown or Refused.
        """
        reply = await self._told("GET", f"hub/{quote(listener_id, safe='')}")
        if reply.status == 200:
            return True
        if reply.status == 404 and said_by(reply)[1]:
            return False
        if reply.status not in (404, 405, 501):
            fail(reply)
        return None

    async def unregister(self, listener_id: str) -> None:
        """Take a listener off the hub (`DELETE /hub/{id}`); one that is gone is as good.

        Raises NotSent, Unknown or Refused.
        """
        reply = await self._told("DELETE", f"hub/{quote(listener_id, safe='')}")
        if not (200 <= reply.status < 300 or reply.status == 404):
            fail(reply)

    def _read_placed(self, reply: Reply) -> RemoteOrder:
        """Read the order just placed: from the body or, where that is empty, from Location."""
        if reply.content or reply.cropped:
            return reading.read_order(reply.json(), self.base)
        return reading.read_order({"href": reply.headers.get("location")}, self.base)

    async def _told(self, method: str, path: str, **more: Any) -> Reply:
        try:
            reply = await self._in_turn(method, path, **more)
            if reply.status == 401 and self._sign_in.turned_away():
                reply = await self._in_turn(method, path, **more)
            return reply
        except NoAnswer as nothing:
            kind = Unknown if nothing.sent else NotSent
            said, sent_as = nothing.said, nothing.request_id
            raise kind(_CAUSES[nothing.lost], said=said, sent_as=sent_as) from nothing

    async def _in_turn(
        self,
        method: str,
        path: str,
        *,
        by: datetime | None = None,
        begun: bool = False,
        patient: bool = False,
        **more: Any,
    ) -> Reply:
        await self.pace.turn(begun=begun, patient=patient)
        if by is not None and wall() > by:
            raise NotSent(Cause.TOO_LATE)
        return await self.exchange(method, path, **more)


def _next_of(reply: Reply) -> dict[str, str] | None:
    """Take the query of the next page from `Link: <...>; rel="next"`, where cursors are used."""
    for link in reply.headers.get("link", "").split(","):
        address, _, rest = link.strip().partition(">")
        if address.startswith("<") and 'rel="next"' in rest.replace("'", '"'):
            return dict(parse_qsl(urlsplit(address[1:]).query))
    return None
