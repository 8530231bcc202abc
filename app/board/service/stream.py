"""The stream of what has changed on a board, as server-sent events.

An event says ids alone; the board itself is asked for. `id:` is sent with every event and with the
heartbeat, so that whoever comes back says from where on they have missed something.
"""

import asyncio
from collections.abc import AsyncGenerator
from datetime import datetime
from functools import partial

from app.board.rules.changes import concerns, gathered
from app.core import events as wire
from app.core.clock import wall
from app.core.stream import Changes, Watch

# Seconds. Where much changes at once, it is said seldom enough that a board can be asked for in
# between.
GATHER = 0.5
GATHER_MUCH = 3.0

RESET, CHANGED, EXPIRED = "reset", "changed", "expired"


async def watch(changes: Changes, org_path: str, since: str | None) -> Watch:
    """Watch what changes in a unit's subtree. Raises Unavailable when it cannot be heard of."""
    return await changes.watch(partial(concerns, org_path), since=since)


async def events(watched: Watch, until: datetime) -> AsyncGenerator[bytes]:
    """Tell what is heard, event by event, until a moment of real time at which the caller's token
    is not good any more."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + (until - wall()).total_seconds()
    yield wire.beginning()
    gather = 0.0
    while (left := ends - loop.time()) > 0:
        heard = await watched.next(within=min(wire.HEARTBEAT, left), gather=gather)
        gather = GATHER
        if heard.over:
            return
        changed = gathered(message.facts for message in heard.messages)
        if heard.missed or changed is None:
            gather = GATHER_MUCH
            yield wire.event(RESET, {}, last_id=heard.last_id)
        elif heard.messages:
            yield wire.event(CHANGED, changed._asdict(), last_id=heard.last_id)
        else:
            yield wire.heartbeat(heard.last_id)
    yield wire.event(EXPIRED, {})
