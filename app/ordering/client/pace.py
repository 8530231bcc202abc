"""How many requests a second may leave: a turn for each, evenly spaced."""

import asyncio


class Pace:
    """Gives out turns, so many a second; 0 is as many as are asked for."""

    def __init__(self, a_second: float) -> None:
        self._between = 1 / a_second if a_second else 0.0
        self._next = 0.0

    async def ready(self) -> None:
        """Wait until a turn is free; what is taken meanwhile by others is waited for, too."""
        loop = asyncio.get_running_loop()
        while self._next > loop.time():  # noqa: ASYNC110 - others' turns move it meanwhile
            await asyncio.sleep(self._next - loop.time())

    def take(self) -> None:
        """Take a turn at once: whoever waits for one waits longer for it."""
        if self._between:
            self._next = max(self._next, asyncio.get_running_loop().time()) + self._between
