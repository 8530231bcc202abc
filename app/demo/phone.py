"""A technician with a phone: takes orders on, goes there, works, offers, sells, leaves.

The phone knows nothing but what the API tells it, so it can be killed and started again at any
point of the day.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from app.core.clock import Clock
from app.core.db import new_id
from app.demo.line import Line, Reply
from app.sales.rules import content_hash

POLL = timedelta(minutes=12)
# After this business hour nobody sets out any more; who is at a door finishes.
LAST_START = timedelta(hours=10, minutes=20)

OUTCOMES = {
    "install": "installed",
    "relocate": "relocated",
    "remove": "removed",
    "repair": "fixed",
    "care": "cared_for",
}


class Customers(Protocol):
    """What the people behind the doors say; hidden from the backend."""

    def accepts(self, customer_code: str, offering_code: str) -> bool:
        """Tell whether a customer takes an offer."""
        ...

    def declines_because(self, customer_code: str, offering_code: str) -> str:
        """Give the coded reason of a customer who does not."""
        ...


@dataclass
class Tally:
    """What all phones together did."""

    completed: int = 0
    handed_back: int = 0
    declined: int = 0
    visits: int = 0
    shown: int = 0
    nothing_to_offer: int = 0
    accepted: int = 0
    confirmed: set[str] = field(default_factory=set)


@dataclass
class Day:
    """The business day that all share: its clock, its beginning, and how to wait for a moment."""

    clock: Clock
    starts: datetime
    ends: datetime
    speed: float

    async def wait(self, business: timedelta) -> None:
        """Wait for so much business time; once the day is over nobody waits long."""
        seconds = business.total_seconds() / self.speed
        await asyncio.sleep(min(seconds, 0.05) if self.over() else seconds)

    async def idle(self) -> None:
        """Wait as a phone does between two looks at the day, so that eighty do not crowd."""
        await asyncio.sleep(max(POLL.total_seconds() / self.speed, 1.0))

    def over(self) -> bool:
        """Tell whether the day has ended."""
        return self.clock.now() >= self.ends


class Phone:
    """One technician's day."""

    def __init__(
        self, line: Line, day: Day, customers: Customers, tally: Tally, luck: random.Random
    ) -> None:
        self._line = line
        self._day = day
        self._customers = customers
        self._tally = tally
        self._luck = luck
        self._etag: str | None = None
        self._orders: list[dict[str, Any]] = []

    async def work(self, everything_sent: Callable[[], bool]) -> None:
        """Work until the day is over, all orders have arrived and none of one's own is begun."""
        await self._line.sign_in()
        await self._day.wait(timedelta(minutes=self._luck.uniform(0, 12)))
        while True:
            await self._look()
            new = [order for order in self._orders if order["state"] == "assigned"]
            for order in new:
                await self._answer(order)
            if new:
                await self._look()
            doing = self._next()
            if doing is not None:
                await self._visit(doing)
                continue
            if self._day.over() and everything_sent():
                return
            await self._day.idle()

    async def _look(self) -> None:
        """Ask for the day; without news the phone keeps the list it has."""
        reply = await self._line.get("/v1/my/day", etag=self._etag)
        if reply.status == 200:
            self._etag = reply.etag
            self._orders = reply.body["orders"]

    def _next(self) -> dict[str, Any] | None:
        """Choose what to do: go on with what is begun, else the next one of the list."""
        begun = ("en_route", "on_site", "suspended")
        for order in self._orders:
            if order["state"] in begun:
                return order
        if self._day.clock.now() - self._day.starts > LAST_START:
            return None
        today = self._today()
        for order in self._orders:
            if order["state"] == "acknowledged" and order["planned_day"] <= today:
                return order
        return None

    def _today(self) -> str:
        return self._day.starts.date().isoformat()

    def _device_at(self) -> str:
        return self._day.clock.now().isoformat()

    async def _answer(self, order: dict[str, Any]) -> None:
        """Take an order on, or decline it now and then."""
        if self._luck.random() < 0.015:
            self._tally.declined += 1
            await self._step(f"/v1/work-orders/{order['id']}/decline", cause="no_time")
            return
        await self._step(f"/v1/work-orders/{order['id']}/acknowledge")

    async def _step(self, path: str, **body: Any) -> Reply:
        return await self._line.post(path, {**body, "device_at": self._device_at()})

    async def _visit(self, order: dict[str, Any]) -> None:
        """Do one order from setting out to leaving, or from wherever it stood."""
        visit_id = order["visit_id"]
        state = order["state"]
        if state == "acknowledged":
            visit_id = str(new_id())
            reply = await self._step("/v1/visits", id=visit_id, work_order_id=order["id"])
            if not reply.ok:
                await self._day.idle()
                return
            self._tally.visits += 1
            await self._day.wait(timedelta(minutes=self._luck.uniform(6, 18)))
            state = "en_route"
        if state == "en_route" and not await self._arrive(order, visit_id):
            return
        if state == "suspended":
            await self._step(f"/v1/visits/{visit_id}/resume")
        await self._at_the_door(order, visit_id)

    async def _arrive(self, order: dict[str, Any], visit_id: str) -> bool:
        """Check in near the address; False when nobody was at home."""
        if self._luck.random() < 0.02:
            await self._step(f"/v1/visits/{visit_id}/hand-back", cause="customer_absent")
            self._tally.handed_back += 1
            return False
        place = order["point"] or {"lon": 114.06, "lat": 22.54, "coordsys": "gcj02"}
        here = {
            "lon": place["lon"] + self._luck.gauss(0, 0.0002),
            "lat": place["lat"] + self._luck.gauss(0, 0.0002),
            "coordsys": place["coordsys"],
        }
        path = f"/v1/visits/{visit_id}/check-in"
        reply = await self._step(path, point=here, accuracy_m=20.0)
        if reply.problem in ("far-from-address", "implausible-position"):
            reply = await self._step(
                path, point=here, accuracy_m=20.0, far_reason="address_point_wrong"
            )
        return reply.ok

    async def _at_the_door(self, order: dict[str, Any], visit_id: str) -> None:
        """Read whom one meets, work, offer what fits, and leave."""
        code = await self._meet(order)
        minutes = order["estimated_minutes"] * self._luck.uniform(0.5, 1.05)
        await self._day.wait(timedelta(minutes=minutes))
        if order["work_type"] == "repair":
            await self._step(f"/v1/visits/{visit_id}/restored")
        if code is not None:
            await self._offer(order, visit_id, code)
        reply = await self._step(
            f"/v1/visits/{visit_id}/complete",
            outcome_code=OUTCOMES[order["work_type"]],
            measurements={"optical_rx_power_dbm": round(self._luck.uniform(-26, -12), 1)},
        )
        if reply.ok:
            self._tally.completed += 1

    async def _meet(self, order: dict[str, Any]) -> str | None:
        """Read the card; None when the order names no known customer."""
        if order["customer_id"] is None:
            return None
        reply = await self._line.get(
            f"/v1/customers/{order['customer_id']}/context",
            params={"work_order_id": order["id"]},
        )
        return reply.body["identity"]["code"] if reply.ok else None

    async def _offer(self, order: dict[str, Any], visit_id: str, code: str) -> None:
        """Offer the best suggestion and write down what the customer said; sell what is taken."""
        reply = await self._line.post(f"/v1/visits/{visit_id}/suggestions", None)
        if not reply.ok:
            return
        offers = reply.body["offers"]
        self._tally.shown += len(offers)
        if not offers:
            self._tally.nothing_to_offer += 1
            return
        # One thing is pitched a visit; the rest was shown to the technician, not to the customer.
        offer = offers[0]
        taken = self._customers.accepts(code, offer["offering_code"])
        may_sell = offer["on_site"] != "lead_only"
        answer: dict[str, Any] = {"id": str(new_id()), "answer": "accepted"}
        if not taken:
            reason = self._customers.declines_because(code, offer["offering_code"])
            answer |= {"answer": "declined", "reason": reason}
        await self._step(f"/v1/suggestions/{offer['suggestion_id']}/answer", **answer)
        if taken and may_sell:
            self._tally.accepted += 1
            await self._sell(visit_id, offer)

    async def _sell(self, visit_id: str, offer: dict[str, Any]) -> None:
        sale_id = str(new_id())
        reply = await self._line.post(
            "/v1/sales",
            {
                "id": sale_id,
                "visit_id": visit_id,
                "items": [
                    {
                        "offering_code": offer["offering_code"],
                        "quantity": 1,
                        "seen_monthly_price_fen": offer["monthly_price_fen"],
                        "suggestion_id": offer["suggestion_id"],
                    }
                ],
                "device_at": self._device_at(),
            },
        )
        if not reply.ok:
            return
        consent = {
            "kind": "signature",
            "given_at": self._device_at(),
            "image_sha256": content_hash([sale_id, "signature"]),
            "stroke_count": self._luck.randint(4, 40),
        }
        reply = await self._line.post(f"/v1/sales/{sale_id}/confirm", {"consent": consent})
        if reply.ok:
            self._tally.confirmed.add(sale_id)
