"""Opening a customer's line: asking for it, waiting for it, mending what stands in the way.

A platform that gives no answer keeps nobody at the door: the order then goes without, for a cause
that supervisors see, and what was asked for goes on.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from app.core.db import new_id
from app.demo.day import Day
from app.demo.hand import Hand
from app.phone.rules import Stage

# How long a technician waits for one answer, in real seconds, and how often they ask.
PATIENCE = 12.0
ASKS = 4
GOING_ON = ("asked", "under_way", "unknown")


@dataclass
class Opening:
    """The line of one order, and the gateway to be opened on it."""

    hand: Hand
    day: Day
    order: Mapping[str, Any]
    visit_id: str
    serial: str | None
    _asked: str | None = None

    @property
    def loid(self) -> str:
        """The line's name, as it stands in the order's papers."""
        return f"YJ{self.order['external_id'].replace('-', '')}"

    async def ask(self) -> None:
        """Ask for the line, unless an ask of before is still going on."""
        known = await self.hand.get(f"/v1/work-orders/{self.order['id']}/activations")
        for one in known.body["activations"][:1] if known.ok else ():
            if one["state"] in GOING_ON or one["state"] == "provisioned":
                self._asked = one["id"]
                return
        await self._ask_anew()

    async def see_through(self) -> None:
        """Wait until the line is open; mend and ask anew, or let the order go without."""
        for _ in range(ASKS):
            if self._asked is None:
                await self._ask_anew()
            if self._asked is None:
                break
            state = await self._answer(self._asked)
            if state == "provisioned":
                return
            if state != "failed":
                break
            # The connector is cleaned, or the port corrected.
            await self.day.wait(timedelta(minutes=5))
            self._asked = None
        cause = "no_activation_needed" if self.serial is None else "platform_down"
        await self.hand.made("visits_activation_override", visit_id=self.visit_id, cause=cause)

    async def _ask_anew(self) -> None:
        if self.serial is None:
            return
        activation_id = str(new_id())
        asked = await self.hand.step(
            "visits_activate",
            visit_id=self.visit_id,
            id=activation_id,
            loid=self.loid,
            serial_number=self.serial,
        )
        if asked.stage is Stage.APPLIED:
            self._asked = activation_id
        elif asked.code == "activation-under-way":
            self._asked = self.hand.facts(asked)["id"]

    async def _answer(self, activation_id: str) -> str:
        """Poll as a phone does, which mostly receives that nothing is new."""
        waited, pause, etag, state = 0.0, 0.25, None, "asked"
        while waited < PATIENCE:
            reply = await self.hand.get(f"/v1/activations/{activation_id}", etag=etag)
            if reply.status == 200:
                etag, state = reply.etag, reply.body["state"]
            if state not in GOING_ON:
                return state
            await asyncio.sleep(pause)
            waited += pause
            pause = min(pause * 1.5, 1.0)
        return state
