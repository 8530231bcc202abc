"""A technician with the reference phone: takes orders on, goes there, works, offers, sells, leaves.

The phone keeps all that was done on it, so it can be killed and started again at any point of the
day.
"""

import random
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from app.catalog.rules import OnSite
from app.core.db import new_id
from app.demo.day import LOOKS, Day, Tally
from app.demo.door import Door
from app.demo.hand import Hand
from app.demo.selling import Seller
from app.demo.telephones import Telephones
from app.phone.phone import Order
from app.phone.rules import Stage

# After this business hour nobody sets out any more; who is at a door finishes.
LAST_START = timedelta(hours=10, minutes=20)
# How the orders begin that install what was sold in the visit before.
SOLD_HERE = "sale-"
# Where an order has no point, somebody has told the way.
TOLD: Mapping[str, Any] = {"lon": 114.06, "lat": 22.54, "coordsys": "gcj02"}


class Customers(Protocol):
    """What the people behind the doors say, by their telephone numbers; hidden from the backend."""

    def accepts(self, phone: str, offering_code: str) -> bool:
        """Tell whether a customer takes an offer."""
        ...

    def declines_because(self, phone: str, offering_code: str) -> str:
        """Give the coded reason of a customer who does not."""
        ...


class Technician:
    """One technician's day."""

    def __init__(
        self,
        hand: Hand,
        day: Day,
        customers: Customers,
        telephones: Telephones,
        tally: Tally,
        luck: random.Random,
    ) -> None:
        self._hand = hand
        self._day = day
        self._customers = customers
        self._telephones = telephones
        self._tally = tally
        self._luck = luck

    async def work(self, everything_sent: Callable[[], bool]) -> None:
        """Work until the day is over, all orders have arrived and none of one's own is begun; the
        phone is switched on by then."""
        hand = self._hand
        await self._day.wait(timedelta(minutes=self._luck.uniform(0, 12)))
        try:
            while True:
                await hand.sync()
                if self._answer_new():
                    await hand.sync()
                doing = self._next()
                if doing is not None:
                    await self._visit(doing)
                elif self._day.over() and everything_sent():
                    return
                else:
                    await hand.news(self._day, LOOKS)
        finally:
            await hand.switch_off()

    def _answer_new(self) -> bool:
        """Take new orders on, or decline one now and then; tell whether there were any."""
        new = [order for order in self._mine() if order.state == "assigned"]
        for order in new:
            if self._luck.random() < 0.015:
                self._hand.do("visits_decline", work_order_id=order.id, cause="no_time")
            else:
                self._hand.do("visits_acknowledge", work_order_id=order.id)
        return bool(new)

    def _mine(self) -> list[Order]:
        return [order for order in self._hand.phone.orders() if not order.row["assisting"]]

    def _next(self) -> Order | None:
        """Choose what to do: go on with what is begun, else the next one of the route."""
        now, orders = self._day.clock.now(), self._mine()
        for order in orders:
            if order.state in ("en_route", "on_site"):
                return order
        for order in orders:
            if order.state == "suspended" and (self._day.over() or _may_go_on(order.row, now)):
                return order
        taken = [order for order in orders if order.state == "acknowledged"]
        for order in taken:
            if _sold_here(order):
                return order
        if now - self._day.starts > LAST_START:
            return None
        today = self._day.starts.date().isoformat()
        return next((order for order in taken if order.row["planned_day"] <= today), None)

    async def _visit(self, order: Order) -> None:
        """Do one order from setting out to leaving, or from wherever it stood."""
        hand, state, visit_id = self._hand, order.state, order.visit_id
        if state == "acknowledged":
            visit_id = str(new_id())
            begun = await hand.step("visits_set_out", id=visit_id, work_order_id=order.id)
            if begun.stage is not Stage.APPLIED:
                await hand.news(self._day, LOOKS)
                return
            if not _sold_here(order):
                await self._day.wait(timedelta(minutes=self._luck.uniform(6, 18)))
            state = "en_route"
        assert visit_id is not None
        if state == "en_route" and not await self._arrive(order, visit_id):
            return
        if state == "suspended":
            await hand.step("visits_resume", visit_id=visit_id)
        seller = Seller(
            hand, self._day, self._telephones, self._tally, self._luck, order.id, visit_id
        )

        async def offer(customer: Mapping[str, Any]) -> None:
            if not _sold_here(order):
                await self._offer(seller, customer)

        door = Door(
            hand,
            self._day,
            self._telephones,
            self._tally,
            self._luck,
            order,
            visit_id,
            offer,
            seller.look_ahead,
        )
        # What was begun before is not put off again.
        await door.work(resumed=order.state in ("on_site", "suspended"))
        await seller.see_to_rest()

    async def _arrive(self, order: Order, visit_id: str) -> bool:
        """Check in near the address; False when nobody was at home."""
        if self._luck.random() < 0.02:
            await self._hand.step("visits_hand_back", visit_id=visit_id, cause="customer_absent")
            return False
        row = order.row
        place = TOLD if row["lon"] is None else {name: row[name] for name in TOLD}
        here = {
            "lon": place["lon"] + self._luck.gauss(0, 0.0002),
            "lat": place["lat"] + self._luck.gauss(0, 0.0002),
            "coordsys": place["coordsys"],
        }
        said = {"visit_id": visit_id, "point": here, "accuracy_m": 20.0}
        arrived = await self._hand.step("visits_check_in", **said)
        if arrived.code in ("far-from-address", "implausible-position"):
            why = "address_point_wrong"
            arrived = await self._hand.step("visits_check_in", **said, far_reason=why)
        return arrived.stage is Stage.APPLIED

    async def _offer(self, seller: Seller, customer: Mapping[str, Any]) -> None:
        """Offer the best suggestion and write down what the customer said; sell what is taken."""
        offers = await seller.offers()
        self._tally.shown += len(offers)
        if not offers:
            self._tally.nothing_to_offer += 1
            return
        # One thing is pitched a visit; the rest was shown to the technician, not to the customer.
        offer, number = offers[0], customer["phone"]
        said = {"suggestion_id": offer.suggestion_id, "id": str(new_id()), "answer": "accepted"}
        taken = self._customers.accepts(number, offer.code)
        if not taken:
            reason = self._customers.declines_because(number, offer.code)
            said |= {"answer": "declined", "reason": reason}
        self._hand.do("suggestions_answer", **said)
        if taken and offer.on_site is not OnSite.LEAD_ONLY:
            self._tally.accepted += 1
            await seller.sell(offer, customer)


def _sold_here(order: Order) -> bool:
    """Tell whether an order installs what was sold at the same door just before."""
    return bool(order.row["external_id"].startswith(SOLD_HERE))


def _may_go_on(row: Mapping[str, Any], now: datetime) -> bool:
    """Tell whether the time has come for which a suspended order was put off."""
    return row["resume_at"] is None or datetime.fromisoformat(row["resume_at"]) <= now
