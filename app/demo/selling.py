"""Selling at the door: what can be had now is asked and reserved; the customer agrees by a code, by
a reply or by their signature, and shows a document where what is sold needs that.

Where there is no network the customer signs, and what can be had is judged when it has come up.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, NamedTuple

import orjson

from app.catalog.rules import ON_SITE, BusinessType, OnSite
from app.core.db import new_id
from app.demo.day import Day, Tally
from app.demo.hand import Hand
from app.demo.telephones import Telephones
from app.phone import drawings
from app.phone.rules import Stage
from app.phone.store import Done
from app.real_name.rules import check_character

# Of a hundred customers so many tell a code, so many reply by themselves; the others sign.
BY_CODE, BY_REPLY = 0.55, 0.2
# Of the customers who are protected so many name somebody; the others are called back.
NAMES_SOMEBODY, SOMEBODY_AGREES = 0.85, 0.9
# How often a phone looks whether the customer has replied, and how long it waits for news of it.
LOOKS, BETWEEN_LOOKS = 20, timedelta(minutes=3)


class Offer(NamedTuple):
    """Something to offer in a visit, what may be done with it at the door, and whether it is a
    line."""

    suggestion_id: str
    code: str
    on_site: OnSite
    is_line: bool


@dataclass
class Seller:
    """A technician who sells something in a visit."""

    hand: Hand
    day: Day
    telephones: Telephones
    tally: Tally
    luck: random.Random
    order_id: str
    visit_id: str
    # Sales that were agreed to where there was no network, with who has agreed.
    unseen: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    async def look_ahead(self) -> None:
        """Take along what may be offered, before going to where there is no network."""
        await self.hand.ask(f"/v1/visits/{self.visit_id}/suggestions")
        await self.hand.sync()

    async def offers(self) -> list[Offer]:
        """Give what may be offered, the best first: asked for now, or what the phone knows."""
        if not self.hand.dark:
            await self.hand.sync()
            await self.look_ahead()
        store = self.hand.phone.store
        suggested = [
            row
            for row in store.rows("suggestions").values()
            if row["work_order_id"] == self.order_id and row["visit_id"] == self.visit_id
        ]
        known = {row["code"]: row for row in store.rows("offerings").values()}
        return [
            Offer(
                row["id"],
                offered["code"],
                ON_SITE[BusinessType(offered["business_type"])],
                offered["speed_mbps"] is not None,
            )
            for row in sorted(suggested, key=lambda row: row["rank"])
            for offered in [known[row["offering_code"]]]
        ]

    async def sell(self, offer: Offer, customer: Mapping[str, Any]) -> None:
        """Put a sale together, if it is feasible, and have the customer agree to it."""
        phone = self.hand.phone
        if self.hand.dark:
            if offer.on_site is OnSite.FACE_TO_FACE or (offer.is_line and not _has_line(customer)):
                # A document is checked only where there is a network, and nothing is sold without.
                async with self.hand.outside():
                    await self._check_document()
            sale_id = phone.put_together(self.order_id, [offer.code])
            self._sign(sale_id, offer.code, customer)
            self.unseen.append((sale_id, customer))
            return
        if offer.on_site is OnSite.FACE_TO_FACE or self.luck.random() < 0.1:
            await self._check_document()
        feasible = await self._feasible(offer.code)
        if feasible is None:
            return
        sale_id = phone.put_together(
            self.order_id, [offer.code], reservation_id=await self._reserve(feasible)
        )
        drawn = self.luck.random()
        agreed = None
        if drawn < BY_CODE:
            agreed = await self._by_code(sale_id, customer)
        elif drawn < BY_CODE + BY_REPLY:
            agreed = await self._by_reply(sale_id, customer)
        if agreed is None or agreed.stage is not Stage.APPLIED:
            await self.hand.verdict(self._sign(sale_id, offer.code, customer))
        await self._second(sale_id, customer)

    async def see_to_rest(self) -> None:
        """Look what became of what was sold where there was no network."""
        for sale_id, customer in self.unseen:
            await self._second(sale_id, customer)

    async def _feasible(self, code: str) -> dict[str, Any] | None:
        """Ask whether something can be sold here now; a document that is missing is shown."""
        path = f"/v1/visits/{self.visit_id}/feasibility"
        against: set[str] = set()
        for _ in range(2):
            reply = await self.hand.ask(path, {"offering_codes": [code]})
            if not reply.ok:
                return None
            found: dict[str, Any] = reply.body["offerings"][0]
            if found["can_sell"]:
                return found
            against = {no["code"] for no in found["noes"] if no["blocks"] == "sale"}
            if against != {"real_name_missing"}:
                break
            await self._check_document()
        self.tally.cannot_sell.update(against)
        return None

    async def _reserve(self, feasible: dict[str, Any]) -> str | None:
        """Reserve the minutes and terminals of an install that can be done at once."""
        if not feasible["needs_install"]:
            return None
        if not feasible["can_install_now"]:
            self.tally.not_now.update(no["code"] for no in feasible["noes"])
            return None
        items = [{"offering_code": feasible["offering_code"]}]
        reservation_id = str(new_id())
        path = f"/v1/visits/{self.visit_id}/install-reservations"
        reply = await self.hand.ask(path, {"id": reservation_id, "items": items})
        self.tally.reserved += reply.ok
        return reservation_id if reply.ok else None

    async def _check_document(self) -> None:
        body = {
            "id": str(new_id()),
            "document": "resident_id",
            "number": _number(self.luck),
            "device_at": self.day.clock.now().isoformat(),
        }
        reply = await self.hand.ask(f"/v1/visits/{self.visit_id}/real-name-check", body)
        if reply.ok:
            self.tally.documents[reply.body["state"]] += 1

    # --- how the customer agrees ------------------------------------------------------------------

    async def _confirm(
        self, sale_id: str, kind: str, customer: Mapping[str, Any], **proof: Any
    ) -> Done:
        second = self._second_contact(customer)
        phone = self.hand.phone
        return await self.hand.verdict(
            phone.confirm(sale_id, self.order_id, kind, second=second, **proof)
        )

    def _sign(self, sale_id: str, code: str, customer: Mapping[str, Any]) -> str:
        """Let the customer sign under what they are shown; the picture may follow."""
        return self.hand.phone.confirm_signed(
            sale_id,
            self.order_id,
            [code],
            drawings.signature(sale_id),
            strokes=sale_id.encode(),
            stroke_count=self.luck.randint(4, 40),
            second=self._second_contact(customer),
        )

    async def _ask(self, sale_id: str, kind: str) -> str | None:
        # The sale is known by then.
        await self.hand.sync()
        body = {
            "id": str(new_id()),
            "kind": kind,
            "device_at": self.day.clock.now().isoformat(),
        }
        asked = await self.hand.ask(f"/v1/sales/{sale_id}/consent-requests", body)
        return body["id"] if asked.ok else None

    async def _by_code(self, sale_id: str, customer: Mapping[str, Any]) -> Done | None:
        """Let the customer read out the code that they were sent."""
        request_id = await self._ask(sale_id, "otp")
        if request_id is None:
            return None
        told = self.telephones.told
        code = await self.telephones.read_out(customer["phone"], told, kind="consent_code")
        if code is None:
            return None
        told.add(code)
        return await self._confirm(sale_id, "otp", customer, request_id=request_id, code=code)

    async def _by_reply(self, sale_id: str, customer: Mapping[str, Any]) -> Done | None:
        """Let the customer reply by themselves, and look until it has come."""
        request_id = await self._ask(sale_id, "sms_reply")
        if request_id is None or not await self.telephones.reply(
            customer["phone"], "consent_reply", agrees=True
        ):
            return None
        for _ in range(LOOKS):
            done = await self._confirm(sale_id, "sms_reply", customer, request_id=request_id)
            if done.code != "consent-not-given":
                return done
            await self.hand.news(self.day, BETWEEN_LOOKS)
        return None

    # --- a second time ----------------------------------------------------------------------------

    def _somebody(self, customer: Mapping[str, Any]) -> str | None:
        """Give the number of somebody close to the customer, always the same one."""
        luck = random.Random(customer["phone"])
        return f"139{luck.randrange(10**8):08}" if luck.random() < NAMES_SOMEBODY else None

    def _second_contact(self, customer: Mapping[str, Any]) -> dict[str, str] | None:
        somebody = self._somebody(customer) if customer["elderly"] else None
        return None if somebody is None else {"phone": somebody, "relation": "child"}

    async def _second(self, sale_id: str, customer: Mapping[str, Any]) -> None:
        """Have somebody else answer where the sale waits for that."""
        store = self.hand.phone.store
        sale = store.row("sales", sale_id)
        if sale is None or sale["state"] != "second_confirmation":
            return
        self.tally.second_asked += 1
        somebody = self._somebody(customer)
        agrees = self.luck.random() < SOMEBODY_AGREES
        if somebody is None or not await self.telephones.reply(
            somebody, "second_confirmation", agrees=agrees
        ):
            return
        for _ in range(LOOKS):
            await self.hand.sync()
            sale = store.row("sales", sale_id)
            if sale is None or sale["state"] != "second_confirmation":
                self.tally.second_given += agrees
                return
            await self.hand.news(self.day, BETWEEN_LOOKS)


def _has_line(customer: Mapping[str, Any]) -> bool:
    """Tell whether a customer, as the phone shows them, holds a line."""
    return any(one["speed_mbps"] for one in orjson.loads(customer["services"]))


def _number(luck: random.Random) -> str:
    """Make up a document's number that has the right form; nobody has it."""
    born = date(1960, 1, 1) + timedelta(days=luck.randrange(14_000))
    seventeen = f"440304{born:%Y%m%d}{luck.randrange(1000):03}"
    return seventeen + check_character(seventeen)
