"""How many requests a second may leave: a turn for each, evenly spaced, in the order of asking."""

import asyncio


class Pace:
    """Gives out turns, so many a second; 0 is as many as are asked for."""

    def __init__(self, a_second: float) -> None:
        self._between = 1 / a_second if a_second else 0.0
        self._next = 0.0

    async def turn(self) -> None:
        """Take the next free turn and wait until it has come.

        It is taken before it is waited for, so that whoever asks at the same time gets a later one.
        """
        if not self._between:
            return
        now = asyncio.get_running_loop().time()
        mine = max(self._next, now)
        self._next = mine + self._between
        await asyncio.sleep(mine - now)
