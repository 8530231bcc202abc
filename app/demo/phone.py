"""A technician with a phone: takes orders on, goes there, works, offers, sells, leaves.

The phone knows nothing but what the API tells it, so it can be killed and started again at any
point of the day.
"""

import functools
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Protocol

from app.core.db import new_id
from app.demo import uploads
from app.demo.day import Day, Tally
from app.demo.door import Door
from app.demo.line import Line, Reply
from app.demo.telephones import Telephones
from app.sales.rules import content_hash

# After this business hour nobody sets out any more; who is at a door finishes.
LAST_START = timedelta(hours=10, minutes=20)


class Customers(Protocol):
    """What the people behind the doors say; hidden from the backend."""

    def accepts(self, customer_code: str, offering_code: str) -> bool:
        """Tell whether a customer takes an offer."""
        ...

    def declines_because(self, customer_code: str, offering_code: str) -> str:
        """Give the coded reason of a customer who does not."""
        ...


class Phone:
    """One technician's day."""

    def __init__(
        self,
        line: Line,
        day: Day,
        customers: Customers,
        telephones: Telephones,
        tally: Tally,
        luck: random.Random,
    ) -> None:
        self._line = line
        self._day = day
        self._customers = customers
        self._telephones = telephones
        self._tally = tally
        self._luck = luck
        self._etag: str | None = None
        self._orders: list[dict[str, Any]] = []

    async def work(self, everything_sent: Callable[[], bool]) -> None:
        """Work until the day is over, all orders have arrived and none of one's own is begun."""
        await self._line.sign_in()
        await self._day.wait(timedelta(minutes=self._luck.uniform(0, 12)))
        await self._look()
        await self._catch_up()
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

    async def _catch_up(self) -> None:
        """Send the pictures that a phone which was switched off has left unsent."""
        for order in self._orders:
            if order["state"] == "completed":
                for picture in await uploads.outstanding(self._line, order):
                    await uploads.send_rest(self._line, picture)

    def _next(self) -> dict[str, Any] | None:
        """Choose what to do: go on with what is begun, else the next one of the list."""
        now = self._day.clock.now()
        for order in self._orders:
            if order["state"] in ("en_route", "on_site"):
                return order
        for order in self._orders:
            if order["state"] == "suspended" and (self._day.over() or _may_go_on(order, now)):
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
        door = Door(
            self._line,
            self._day,
            self._telephones,
            self._tally,
            self._luck,
            order,
            visit_id,
            functools.partial(self._offer, visit_id),
        )
        # What was begun before is not put off again.
        await door.work(resumed=order["state"] in ("on_site", "suspended"))
        if door.later:
            await self._day.wait(timedelta(minutes=4))
            for picture in door.later:
                await uploads.send_rest(self._line, picture)

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

    async def _offer(self, visit_id: str, code: str) -> None:
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


def _may_go_on(order: dict[str, Any], now: datetime) -> bool:
    """Tell whether the time has come for which a suspended order was put off."""
    resume_at = order["resume_at"]
    return resume_at is None or datetime.fromisoformat(resume_at) <= now
