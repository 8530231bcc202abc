"""The phone: what is done on it is kept first and sent when there is a network; and what it shows.

Nothing that is done asks the server. It goes into the queue, from where it is pushed in its order
until each has its verdict; then the phone pulls, and what the server tells stands.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

import orjson

from app.core.clock import Clock, SystemClock
from app.core.db import new_id
from app.phone import listening, photos, rules
from app.phone.line import Line, Refused
from app.phone.rules import NO_TERMS, Short
from app.phone.server import Server, Synced
from app.phone.store import Done, Store

# Where a day's suggestions are taken ahead.
AHEAD = "/v1/my/day/suggestions"


class Locked(Exception):
    """The phone has not reached the server for so long that it shows nothing any more."""


class SignedOut(Locked):
    """Nobody is signed in on the phone, or it is being emptied: it shows nothing."""


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
        terms: Mapping[str, rules.Terms] = NO_TERMS,
    ) -> str:
        """Sell offerings in a visit to a customer who has signed under them; return the sale's id.

        See `put_together` and `confirm_signed`, which it does both. Raises NotHere.
        """
        with self.store.together():
            sale_id = self.put_together(order_id, codes, terms=terms)
            self.confirm_signed(
                sale_id,
                order_id,
                codes,
                signature,
                strokes=strokes,
                stroke_count=stroke_count,
                terms=terms,
            )
        return sale_id

    def put_together(
        self,
        order_id: str,
        codes: Sequence[str],
        *,
        reservation_id: str | None = None,
        terms: Mapping[str, rules.Terms] = NO_TERMS,
    ) -> str:
        """Put a sale together in a visit, with the install that was reserved for it, if any; return
        the sale's id. `terms` are those of the offerings that are sold on special ones. Raises
        NotHere where the phone knows of no visit, customer or offering."""
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
                    **(one.terms.said() if one.terms is not None else {}),
                }
                for one in (self.item(code, terms.get(code)) for code in codes)
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
        terms: Mapping[str, rules.Terms] = NO_TERMS,
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
                    sale_id, customer_id, [self.item(code, terms.get(code)) for code in codes]
                ),
            )
            self.photograph(order_id, signature, kind="signature", follows=True)
        return confirmed

    def item(self, code: str, terms: rules.Terms | None = None) -> rules.Item:
        """Give the version of an offering that is sold today, as a line of a sale, on special terms
        if there are any. Raises NotHere where nothing is sold under that code."""
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
                    terms,
                )
        raise NotHere

    # --- showing ----------------------------------------------------------------------------------

    def today(self) -> str:
        """The day, as the phone's own clock and zone have it."""
        return self.clock.now().astimezone(self._zone).date().isoformat()

    def check_shown(self) -> None:
        """Check that the phone may show what it keeps, and let go of what it may not keep any more,
        also where the server cannot be reached: all that was told after too long without it, and of
        people what was to be shown for a time. What is unsent stays. Raises SignedOut and Locked.
        """
        now = self.clock.now()
        reached, hours = self.store["reached_at"], self.store["offline_hours"]
        too_long = (
            reached is not None
            and hours is not None
            and now - datetime.fromisoformat(reached) > timedelta(hours=hours)
        )
        if too_long:
            self.store.forget_told()
        if self.store["tokens"] is None or self.store["wipe"] is not None:
            raise SignedOut
        if too_long:
            raise Locked
        if self._over("customers", now) or self._over("work_orders", now):
            # What is pulled meanwhile by another hand on this phone stays.
            with self.store.together():
                for name in ("customers", "work_orders"):
                    over = self._over(name, now)
                    left = [rules.without_people(row) for row in over if name == "work_orders"]
                    gone = [row["id"] for row in over if name == "customers"]
                    changed = {"created": [], "updated": left, "deleted": gone}
                    self.store.take({name: changed}, anew=False)

    def _over(self, name: str, now: datetime) -> list[dict[str, Any]]:
        return [row for row in self.store.rows(name).values() if rules.is_over(row, now)]

    def table(self, name: str) -> list[Mapping[str, Any]]:
        """Give a table as it was told. Raises Locked."""
        self.check_shown()
        return list(self.store.rows(name).values())

    def orders(self) -> list[Order]:
        """List the orders, in the order of the days' routes. Raises Locked."""
        self.check_shown()
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
        self.check_shown()
        row = self.store.row("work_orders", order_id)
        if row is None:
            raise NotHere
        return self._shown(row, self._waiting().get(order_id, []))

    def customer(self, order: Order) -> Mapping[str, Any] | None:
        """Give an order's customer, where the phone may show them still. Raises Locked."""
        self.check_shown()
        customer_id = order.row["customer_id"]
        return None if customer_id is None else self.store.row("customers", customer_id)

    def suggestions(self, order: Order) -> list[Mapping[str, Any]]:
        """Give what may be offered to an order's customer now, the best first: what is valid still,
        and what was taken ahead of a repair only when it is marked restored. Raises Locked."""
        self.check_shown()
        restored, now = self._restored(order), self.clock.now()
        found = [
            row
            for row in self.store.rows("suggestions").values()
            if row["work_order_id"] == order.id
            and rules.may_be_offered(row, now, restored=restored)
        ]
        return sorted(found, key=lambda row: int(row["rank"]))

    def nothing(self, order: Order) -> Mapping[str, Any] | None:
        """Say why nothing is offered to an order's customer, under `zh` and `en`, as it was decided
        at `at`; None where something is, or nobody has asked. Raises Locked."""
        self.check_shown()
        return rules.nothing_of(order.row, self.clock.now(), restored=self._restored(order))

    def _restored(self, order: Order) -> bool:
        done = {one.type for one in self._waiting().get(order.id, [])}
        return order.row["restored_at"] is not None or rules.RESTORES in done

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
        done = await self.server.sync()
        await self._know_templates()
        return done

    async def _know_templates(self) -> None:
        """Ask for what the work of orders asks for, as far as it is not known: one answer for all
        orders of the same version."""
        for row in self.store.rows("work_orders").values():
            if row["assisting"] or row["completed_at"] is not None or self._asked_of(row):
                continue
            # The order may have gone since the pull, which the next one tells.
            with suppress(Refused):
                await self._ask_template(row)

    def asked(self, order: Order) -> Mapping[str, Any] | None:
        """Give what the work of an order asks for, where the phone knows it."""
        found: Mapping[str, Any] | None = self.store[_template(order.row)]
        return found

    def _asked_of(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a phone knows what an order asks for. A version never changes; where an
        operator has set none, a new server may ask for something else, so it is asked each day."""
        known = self.store[_template(row)]
        return known is not None and (known["id"] is not None or known["asked_on"] == self.today())

    async def _ask_template(self, row: Mapping[str, Any]) -> None:
        answer = await self.line.ask("GET", f"/v1/work-orders/{row['id']}/template")
        self.store[_template(row)] = {**answer.json(), "asked_on": self.today()}

    async def template(self, order_id: str) -> Mapping[str, Any]:
        """Give what the work of an order asks for: it is known, or asked for.

        Raises NotHere, NoSignal, SignInNeeded and Refused.
        """
        order = self.order(order_id)
        if not self._asked_of(order.row):
            await self._ask_template(order.row)
        found: Mapping[str, Any] = self.store[_template(order.row)]
        return found

    async def take_ahead(self) -> bool:
        """Take along what may be offered today at doors that may have no network, once for each
        order that is still to be come to; tell whether anything was asked for.

        While it is valid nobody else may sell to these customers: for the day, not for practice.
        Raises NoSignal, SignInNeeded and Refused.
        """
        today = self.today()
        to_come = {
            row["id"]
            for row in self.store.rows("work_orders").values()
            if row["planned_day"] == today
            and row["state"] in rules.TO_COME
            and row["customer_id"] is not None
            and not row["assisting"]
        }
        taken = self.store["ahead"] or {"day": None, "orders": []}
        known = set(taken["orders"]) if taken["day"] == today else set()
        if to_come <= known:
            return False
        await self.line.ask("POST", AHEAD)
        self.store["ahead"] = {"day": today, "orders": sorted(known | to_come)}
        await self.server.sync()
        return True

    async def ask_again(self, order: Order) -> None:
        """Ask anew what may be offered at a door that is opened now, and whether it can be
        installed: what was taken along is true of the moment it was asked.

        Nothing is asked where there is nothing to show, since what is offered is held for it.
        Raises NoSignal, SignInNeeded and Refused.
        """
        if not self.suggestions(order):
            return
        await self.server.sync()
        order = self.order(order.id)
        here = order.visit_id is not None
        path = f"/v1/visits/{order.visit_id}/suggestions" if here else AHEAD
        await self.line.ask("POST", path)
        await self.server.sync()

    async def listen(self) -> None:
        """Hear of changes while there is a network, until this is cancelled: sets `news`.

        Raises SignInNeeded.
        """
        await listening.listen(self.line, self.store, self.news.set)


def _template(row: Mapping[str, Any]) -> str:
    """Say under which name it is kept what an order asks for: by its version, or its type."""
    return f"template {row['template_id'] or row['work_type']}"
