"""The stream of what has changed on a board, as server-sent events.

An event says ids alone; the board itself is asked for. `id:` is sent with every event and with the
heartbeat, so that whoever comes back says from where on they have missed something.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from functools import partial

import orjson

from app.board.rules.changes import concerns, gathered
from app.core.clock import wall
from app.core.stream import Changes, Watch

# Seconds. Routers and proxies forget a connection that is silent for half a minute; where much
# changes at once, it is said seldom enough that a board can be asked for in between.
HEARTBEAT = 15.0
GATHER = 0.5
GATHER_MUCH = 3.0
# Milliseconds until a client that has lost the connection tries again.
RETRY = 2_000

RESET, CHANGED, EXPIRED = "reset", "changed", "expired"


async def watch(changes: Changes, org_path: str, since: str | None) -> Watch:
    """Watch what changes in a unit's subtree. Raises Unavailable when it cannot be heard of."""
    return await changes.watch(partial(concerns, org_path), since=since)


async def events(watched: Watch, until: datetime) -> AsyncIterator[bytes]:
    """Tell what is heard, event by event, until a moment of real time at which the caller's token
    is not good any more."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + (until - wall()).total_seconds()
    yield f"retry: {RETRY}\n\n".encode()
    gather = 0.0
    while (left := ends - loop.time()) > 0:
        heard = await watched.next(within=min(HEARTBEAT, left), gather=gather)
        gather = GATHER
        if heard.over:
            return
        changed = gathered(message.facts for message in heard.messages)
        if heard.missed or changed is None:
            gather = GATHER_MUCH
            yield _event(RESET, heard.last_id, {})
        elif heard.messages:
            yield _event(CHANGED, heard.last_id, changed._asdict())
        else:
            # Without data it is no event to the client, which remembers the id all the same.
            yield f":\nid: {heard.last_id}\n\n".encode()
    yield _event(EXPIRED, "", {})


def _event(name: str, last_id: str, data: dict[str, object]) -> bytes:
    known = f"id: {last_id}\n" if last_id else ""
    return f"event: {name}\n{known}data: {orjson.dumps(data).decode()}\n\n".encode()
