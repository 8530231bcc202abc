"""The business day that everybody in the demo shares, and what all phones together did in it."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.core.clock import Clock
from app.phone.rules import Stage
from app.phone.store import Done

# A phone looks by itself so often, also where it was told of nothing.
LOOKS = timedelta(minutes=60)


@dataclass
class Tally:
    """What all phones together did."""

    # What was carried out, by its operation, and how much of all that was done without a network.
    done: Counter[str] = field(default_factory=Counter)
    offline: int = 0
    shown: int = 0
    nothing_to_offer: int = 0
    accepted: int = 0
    forgotten: int = 0
    measured_again: int = 0
    # What was missing when completing was tried, by its code.
    unfinished: Counter[str] = field(default_factory=Counter)
    # How customers agreed, and what came of second confirmations and of documents.
    agreed: Counter[str] = field(default_factory=Counter)
    second_asked: int = 0
    second_given: int = 0
    documents: Counter[str] = field(default_factory=Counter)
    # What stood against selling, or only against installing at once, and what was reserved.
    cannot_sell: Counter[str] = field(default_factory=Counter)
    not_now: Counter[str] = field(default_factory=Counter)
    reserved: int = 0

    def judged(self, done: Done) -> None:
        """Count what was carried out, and how the customer has agreed to a sale."""
        if done.stage is Stage.APPLIED:
            self.done[done.type] += 1
            if done.type == "sales_confirm":
                self.agreed[done.payload["consent"]["kind"]] += 1


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

    def over(self) -> bool:
        """Tell whether the day has ended."""
        return self.clock.now() >= self.ends
