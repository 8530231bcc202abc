"""The phone: what is done on it is kept first and sent when there is a network; and what it shows.

Nothing that is done asks the server. It goes into the queue, from where it is pushed in its order
until each has its verdict; then the phone pulls, and what the server tells stands.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

import orjson

from app.core.clock import Clock, SystemClock
from app.core.db import new_id
from app.phone import listening, photos, rules
from app.phone.line import Line
from app.phone.rules import Short
from app.phone.server import Server, Synced
from app.phone.store import Done, Store


class Locked(Exception):
    """The phone has not reached the server for so long that it shows nothing any more."""


class NotHere(Exception):
    """The phone knows of no such order, or of no visit to it."""


@dataclass(frozen=True)
class Order:
    """An order as the phone shows it: as it was told, and what was done here since."""

    row: Mapping[str, Any]
    state: str
    waiting: int
    visit_id: str | None

    @property
    def id(self) -> str:
        """The order's id."""
        return str(self.row["id"])


class Phone:
    """One technician's phone."""

    def __init__(
        self, store: Store, line: Line, clock: Clock | None = None, *, zone: tzinfo | None = None
    ) -> None:
        """Take the phone that is kept in a store; without a zone, days are those of the machine."""
        self.store = store
        self.line = line
        self.clock = clock or SystemClock()
        self.server = Server(store, line, self.clock)
        # Set when there may be something to pull, which whoever holds the phone waits for.
        self.news = asyncio.Event()
        self._zone = zone
        if store["device"] is None:
            store["device"] = str(new_id())

    # --- doing ------------------------------------------------------------------------------------

    def do(self, kind: str, payload: Mapping[str, Any], *, about: str | None = None) -> str:
        """Keep that something was done, as the doorway `kind` would be sent it; return its id.

        It is on the disk when this returns. `about` is the order's id; where it is left out it is
        what the payload says.
        """
        action_id = str(new_id())
        about = about or payload.get("work_order_id") or self._behind(payload.get("visit_id"))
        row = self.store.row("work_orders", about) if about else None
        self.store.add(
            action_id,
            kind,
            payload,
            device_at=self.clock.now().isoformat(),
            about=about,
            base_version=row["version"] if row else None,
        )
        return action_id

    def step(self, name: str, order_id: str, **said: Any) -> str:
        """Take a step by its short name with an order; return the action's id.

        Raises NotHere where the phone knows of no visit that the step would be taken in.
        """
        short = rules.SHORT[name]
        payload: dict[str, Any] = dict(said)
        if short.makes:
            payload.setdefault("id", str(new_id()))
        if short.on == "order":
            payload["work_order_id"] = order_id
        else:
            visit_id = self.order(order_id).visit_id
            if visit_id is None:
                raise NotHere
            payload["visit_id"] = visit_id
        return self.do(short.type, payload, about=order_id)

    def photograph(
        self,
        order_id: str,
        data: bytes,
        *,
        requirement: str = "other",
        kind: str = "photo",
        name: str | None = None,
        follows: bool = False,
    ) -> str:
        """Keep a picture of an order; its bytes go up when it was announced. Return its id.

        The order's completion waits for them, but for those of one that `follows`.
        """
        order = self.order(order_id)
        picture_id = str(new_id())
        self.store.keep_bytes(picture_id, data)
        told = photos.announcement(
            picture_id,
            data,
            work_order_id=order_id,
            visit_id=order.visit_id,
            requirement=requirement,
            kind=kind,
            filename=name,
            taken_at=self.clock.now().isoformat(),
        )
        with self.store.together():
            action_id = self.do("evidence_upload_create", told, about=order_id)
            self.store.add_picture(picture_id, action_id, len(data), follows=follows)
        return picture_id

    def sell(
        self,
        order_id: str,
        codes: Sequence[str],
        *,
        signature: bytes,
        strokes: bytes,
        stroke_count: int,
    ) -> str:
        """Sell offerings in a visit to a customer who has signed under them; return the sale's id.

        See `put_together` and `confirm_signed`, which it does both. Raises NotHere.
        """
        with self.store.together():
            sale_id = self.put_together(order_id, codes)
            self.confirm_signed(
                sale_id, order_id, codes, signature, strokes=strokes, stroke_count=stroke_count
            )
        return sale_id

    def put_together(
        self, order_id: str, codes: Sequence[str], *, reservation_id: str | None = None
    ) -> str:
        """Put a sale together in a visit, with the install that was reserved for it, if any; return
        the sale's id. Raises NotHere where the phone knows of no visit, customer or offering."""
        order = self.order(order_id)
        if order.visit_id is None or order.row["customer_id"] is None:
            raise NotHere
        sale_id = str(new_id())
        suggested = {
            row["offering_code"]: {"suggestion_id": row["id"]}
            for row in self.store.rows("suggestions").values()
            if row["work_order_id"] == order_id
        }
        said = {
            "id": sale_id,
            "visit_id": order.visit_id,
            "items": [
                {
                    "offering_code": one.code,
                    "quantity": one.quantity,
                    "seen_monthly_price_fen": one.monthly_fen,
                    **suggested.get(one.code, {}),
                }
                for one in map(self.item, codes)
            ],
        }
        reserved = {} if reservation_id is None else {"reservation_id": reservation_id}
        self.do("sales_put_together", {**said, **reserved}, about=order_id)
        return sale_id

    def confirm(
        self, sale_id: str, order_id: str, kind: str, *, second: Any = None, **proof: Any
    ) -> str:
        """Keep that a customer has agreed to a sale, and how; return the action's id.

        `second` is who else is asked, for customers who are protected.
        """
        consent = {"kind": kind, "given_at": self.clock.now().isoformat(), **proof}
        said = {"sale_id": sale_id, "consent": consent}
        beside = {} if second is None else {"second_contact": second}
        return self.do("sales_confirm", {**said, **beside}, about=order_id)

    def confirm_signed(
        self,
        sale_id: str,
        order_id: str,
        codes: Sequence[str],
        signature: bytes,
        *,
        strokes: bytes,
        stroke_count: int,
        second: Any = None,
    ) -> str:
        """Keep that a customer has signed under a sale; return the action's id.

        `signature` is the picture, which may follow, and `strokes` how it was drawn.
        """
        customer_id = self.order(order_id).row["customer_id"]
        with self.store.together():
            confirmed = self.confirm(
                sale_id,
                order_id,
                "signature",
                second=second,
                image_sha256=photos.digest(signature),
                stroke_sha256=photos.digest(strokes),
                stroke_count=stroke_count,
                shown_sha256=rules.agreed_hash(
                    sale_id, customer_id, [self.item(code) for code in codes]
                ),
            )
            self.photograph(order_id, signature, kind="signature", follows=True)
        return confirmed

    def item(self, code: str) -> rules.Item:
        """Give the version of an offering that is sold today, as a line of a sale. Raises NotHere
        where nothing is sold under that code."""
        today = self.today()
        for row in self.store.rows("offerings").values():
            until = row["valid_to"]
            if (
                row["code"] == code
                and row["valid_from"] <= today
                and (until is None or until > today)
            ):
                return rules.Item(
                    code,
                    1,
                    row["monthly_price_fen"],
                    row["one_off_price_fen"],
                    row["contract_months"],
                )
        raise NotHere

    # --- showing ----------------------------------------------------------------------------------

    def today(self) -> str:
        """The day, as the phone's own clock and zone have it."""
        return self.clock.now().astimezone(self._zone).date().isoformat()

    def check_fresh(self) -> None:
        """Check that the phone may still show what it keeps. Raises Locked."""
        reached, hours = self.store["reached_at"], self.store["offline_hours"]
        if reached is None or hours is None:
            return
        if self.clock.now() - datetime.fromisoformat(reached) > timedelta(hours=hours):
            raise Locked

    def orders(self) -> list[Order]:
        """List the orders, in the order of the days' routes. Raises Locked."""
        self.check_fresh()
        waiting = self._waiting()
        places: dict[str, int] = {}
        for day in sorted(self.store.rows("days").values(), key=lambda one: str(one["day"])):
            for one in orjson.loads(day["route"]):
                places.setdefault(one, len(places))
        rows = sorted(
            self.store.rows("work_orders").values(),
            key=lambda row: (
                row["planned_day"] or "",
                places.get(row["id"], len(places)),
                row["id"],
            ),
        )
        return [self._shown(row, waiting.get(row["id"], [])) for row in rows]

    def order(self, order_id: str) -> Order:
        """Give one order. Raises NotHere, and Locked."""
        self.check_fresh()
        row = self.store.row("work_orders", order_id)
        if row is None:
            raise NotHere
        return self._shown(row, self._waiting().get(order_id, []))

    def customer(self, order: Order) -> Mapping[str, Any] | None:
        """Give an order's customer, where the phone may show them still. Raises Locked."""
        self.check_fresh()
        if order.row["customer_id"] is None:
            return None
        row = self.store.row("customers", order.row["customer_id"])
        until = row["visible_until"] if row else None
        if until is not None and datetime.fromisoformat(until) <= self.clock.now():
            # Forgotten also where the server cannot be reached.
            self.store.drop("customers", [order.row["customer_id"]])
            return None
        return row

    def steps(self, order: Order) -> Mapping[str, Short]:
        """Name the short steps that may be taken with an order now."""
        return {} if order.row["assisting"] else rules.offered(order.state)

    def _waiting(self) -> dict[str, list[Done]]:
        found: dict[str, list[Done]] = {}
        for one in self.store.done(waiting=True):
            if one.about is not None:
                found.setdefault(one.about, []).append(one)
        return found

    def _shown(self, row: Mapping[str, Any], waiting: Sequence[Done]) -> Order:
        state = rules.shown_state(row["state"], [one.type for one in waiting])
        visit_id = row["visit_id"]
        for one in waiting:
            if one.type == "visits_set_out":
                visit_id = one.payload.get("id")
        return Order(row, state, len(waiting), visit_id)

    def _behind(self, visit_id: str | None) -> str | None:
        if visit_id is None:
            return None
        row = self.store.row("visits", visit_id)
        if row is not None:
            return str(row["work_order_id"])
        for one in self.store.done():
            if one.type == "visits_set_out" and one.payload.get("id") == visit_id:
                return one.about
        return None

    # --- speaking with the server -----------------------------------------------------------------

    async def sign_in(self, username: str, password: str) -> None:
        """Sign in, and say what this phone is. Raises NoSignal, and Refused for a wrong password,
        or where the phone is to be emptied."""
        await self.line.sign_in(username, password)
        await self.server.register()

    async def sync(self) -> Synced:
        """Send what was done, ask for what has changed, and send pictures on.

        Raises NoSignal, SignInNeeded and Refused; whatever was answered until then is kept, and the
        same may be called again. An account that was closed empties the phone, and so does a wipe
        that was asked for: both are refusals.
        """
        self.news.clear()
        return await self.server.sync()

    async def template(self, order_id: str) -> Mapping[str, Any]:
        """Give what the work of an order asks for, which is kept by its version.

        It is asked for once. Raises NotHere, NoSignal, SignInNeeded and Refused.
        """
        kept = f"template {self.order(order_id).row['template_id']}"
        known = self.store[kept]
        if known is None:
            answer = await self.line.ask("GET", f"/v1/work-orders/{order_id}/template")
            known = answer.json()
            if known["id"] is not None:
                self.store[kept] = known
        found: Mapping[str, Any] = known
        return found

    async def listen(self) -> None:
        """Hear of changes while there is a network, until this is cancelled: sets `news`.

        Raises SignInNeeded.
        """
        await listening.listen(self.line, self.store, self.news.set)
