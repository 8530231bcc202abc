"""Waiting for something to become true, with an end to patience."""

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object], what: str = "it", seconds: float = 30) -> None:
    """Return when the condition holds; fails with what was waited for."""
    give_up = asyncio.get_running_loop().time() + seconds
    # What is waited for happens in another process, so there is no event to wait on.
    while not condition():
        assert asyncio.get_running_loop().time() < give_up, f"{what} did not happen"
        await asyncio.sleep(0.02)
