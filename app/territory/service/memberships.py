"""What a command of many memberships would come to, before anybody gives it."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller
from app.grids.rules.bulk import Row, day_of
from app.grids.service import bulk
from app.territory.queries import counts
from app.territory.rules.loads import Outlook, concerned, loads


async def outlook(session: AsyncSession, rows: Sequence[Row], caller: Caller) -> Outlook:
    """Judge a command and count what it moves, in seven statements; nothing is changed.

    Loads are those of the last local day on which the command changes something.
    """
    judgement = await bulk.preview(session, rows, caller)
    ours = judgement.grids.keys()
    day = max(day_of(row) for row in rows)
    before = await counts.primary_of(session, concerned(judgement.plan), day, caller)
    customers = await counts.customers_in(session, set(ours).union(*before.values()))
    open_orders = await counts.open_orders_in(session, ours, caller)
    load = loads(judgement, before, day, customers)
    return Outlook(judgement, day, customers, open_orders, load)
