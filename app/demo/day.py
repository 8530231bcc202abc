"""The business day that everybody in the demo shares, and what all phones together did in it."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.core.clock import Clock

POLL = timedelta(minutes=20)


@dataclass
class Tally:
    """What all phones together did."""

    completed: int = 0
    handed_back: int = 0
    suspended: int = 0
    declined: int = 0
    visits: int = 0
    shown: int = 0
    nothing_to_offer: int = 0
    accepted: int = 0
    forgotten: int = 0
    measured_again: int = 0
    # Orders that went without activation.
    overridden: int = 0
    # What was missing when completing was tried, by its code.
    unfinished: Counter[str] = field(default_factory=Counter)
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
