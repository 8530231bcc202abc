"""How many requests a second may leave: a turn for each, evenly spaced, in the order of asking.

What is set is meant for the other side, which does not care how many of our processes send. So the
turns of all of them stand in one place, of which each takes some at a time. Where what is taken
there already lies far ahead, none is taken: whoever asked comes again, and has used up nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable
from math import ceil, exp

from app.ordering.rules import Cause, NotSent

# Takes the next so many seconds that nobody has, and tells in how many seconds they begin; where
# that is in more than so many, it takes nothing and tells None.
Reserve = Callable[[float, float], Awaitable[float | None]]

# Turns are taken for as long ahead, and kept so long after their time: the fewer are taken at a
# time, the more often somebody has to ask, and the more, the more are wasted by who needs few.
_AHEAD_SECONDS = 0.1
# Whoever is patient waits for a turn so much longer than anybody else.
PATIENT_SECONDS = 30.0


class Pace:
    """Gives out turns, so many a second; 0 is as many as are asked for.

    With `reserve` they are shared with everybody who takes theirs in the same place, where none is
    taken that is more than `within` seconds away, or twice that by who has begun, or more still by
    who is patient.
    """

    def __init__(
        self, a_second: float, reserve: Reserve | None = None, *, within: float = 30.0
    ) -> None:
        self._a_second = a_second
        self._within = within
        self._next = 0.0
        self._reserve = reserve
        self._taking = asyncio.Lock()
        self._patient = asyncio.Lock()
        self._left, self._until = 0, 0.0
        self._waiting = 0
        # How many turns were given out in the last second, about, as of when.
        self._lately, self._as_of = 0.0, 0.0

    async def turn(self, *, begun: bool = False, patient: bool = False) -> None:
        """Take the next free turn and wait until it has come.

        It is taken before it is waited for, so that whoever asks at the same time gets a later one.
        `begun` is said by whoever has had a turn for the same and needs another to end it: those
        who begin leave them room. `patient` is said by whoever has nobody standing before it, and
        would come again in vain while others take all that is near. Raises NotSent where the next
        is too far away, and what `reserve` raises.
        """
        if not self._a_second:
            return
        if not patient:
            await self._wait(self._within * (2 if begun else 1))
            return
        # One of a process at a time, or many would keep what is near taken, and the others out.
        async with self._patient:
            await self._wait(2 * self._within + PATIENT_SECONDS)

    async def _wait(self, within: float) -> None:
        loop = asyncio.get_running_loop()
        if self._reserve is not None:
            await self._take_one(self._reserve, within)
        now = loop.time()
        mine = max(self._next, now)
        self._next = mine + 1 / self._a_second
        await asyncio.sleep(mine - now)

    async def _take_one(self, reserve: Reserve, within: float) -> None:
        loop = asyncio.get_running_loop()
        self._waiting += 1
        try:
            async with self._taking:
                if self._left == 0 or loop.time() > self._until:
                    turns = self._wanted()
                    seconds = turns / self._a_second
                    delay = await reserve(seconds, within)
                    if delay is None:
                        raise NotSent(Cause.TOO_LATE, said="no turn to send it is free soon")
                    # Counted from when it was told: asking may have taken long.
                    begins = loop.time() + delay
                    self._left, self._until = turns, begins + seconds + _AHEAD_SECONDS
                    self._next = max(self._next, begins)
                self._left -= 1
                now = loop.time()
                self._lately = self._lately * exp(self._as_of - now) + 1
                self._as_of = now
        finally:
            self._waiting -= 1

    def _wanted(self) -> int:
        """Say how many turns to take: those that are waited for, or what was sent lately."""
        most = max(1, ceil(self._a_second * _AHEAD_SECONDS))
        return min(max(self._waiting, int(self._lately * _AHEAD_SECONDS)), most)
