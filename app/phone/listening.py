"""Hearing of changes as they happen: a stream says when to pull, and the pull says what is so."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import orjson

from app.phone.line import Line, NoSignal, Refused, SignInNeeded
from app.phone.store import Store

# Seconds until the phone comes back to a stream that broke, at first and at most.
SOON, LATER = 1.0, 60.0


class Event(NamedTuple):
    """An event of the stream; `number` is where the phone stands that has pulled after it."""

    name: str
    number: int
    said: dict[str, Any]


async def listen(line: Line, store: Store, news: Callable[[], None]) -> None:
    """Listen until this is cancelled, and call `news` whenever there may be something to pull.

    It comes back whenever the stream has ended or broke, and is over where the phone is to be
    emptied, which the pull tells, or listens elsewhere by now. Raises SignInNeeded.
    """
    pause = SOON
    while True:
        try:
            why = await _listen_once(line, store, news)
        except Refused:
            # The account is closed or the phone is to be emptied: the pull says which.
            news()
            return
        except NoSignal as lost:
            pause = lost.retry_after or min(2 * pause, LATER)
        else:
            if why == "signed_out":
                raise SignInNeeded
            if why in ("replaced", "wipe"):
                return
            pause = SOON
        # Those that were cut off together do not come back together.
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))


async def _listen_once(line: Line, store: Store, news: Callable[[], None]) -> str:
    """Listen to one stream, and give the reason for which it has ended; empty where it just did."""
    cursor = store["cursor"]
    headers = {} if cursor is None else {"last-event-id": str(cursor)}
    async with line.listen("/v1/stream", headers) as lines:
        async for event in events(lines):
            if event.name == "end":
                return str(event.said["reason"])
            # What this phone has done itself it is told as well, when it has pulled it already. An
            # event that bears the same number may tell of more than the pull has seen.
            if event.name != "changed" or event.number >= (store["cursor"] or 0):
                news()
            if event.name == "wipe":
                return event.name
    return ""


async def events(lines: AsyncIterator[str]) -> AsyncIterator[Event]:
    """Read events out of lines; what has no data is only a sign of life."""
    name, number, data = "", 0, ""
    async for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "event":
                name = value
            case "id":
                number = int(value)
            case "data":
                data += value
            case "" if not line:
                if data:
                    yield Event(name, number, orjson.loads(data))
                name, data = "", ""
