"""What is asked of an outage: by the version that was seen, and once however often it is sent."""

import hashlib
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.core.errors import plain
from app.outages import queries
from app.outages.models import Outage
from app.outages.rules import OutageChanged


async def taken(
    tx: AsyncSession, outage_id: UUID, caller: Caller, version: int, what: str, said: Any
) -> tuple[Outage, bool]:
    """Take an outage to change it by what a caller has seen of it; True: it was asked before.

    Raises NotFound, or OutageChanged when it is another by now.
    """
    outage = await queries.for_change(tx, outage_id, caller)
    asked = hash_of(what, caller.account_id, version, said)
    if outage.asked == asked:
        return outage, True
    if outage.version != version:
        raise OutageChanged(state=outage.state, version=outage.version)
    outage.asked = asked
    return outage, False


def hash_of(*said: Any) -> str:
    """Hash what was said, so that the same said again is known."""
    content = orjson.dumps(plain(list(said)), option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(content, digest_size=16).hexdigest()
