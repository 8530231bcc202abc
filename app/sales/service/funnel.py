"""What became of visits, answered from days added up at night and the few that are not yet."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.core.db import Database
from app.core.errors import NotFound
from app.core.nights import Night, alone, done_until, last_cut
from app.sales.queries import funnel as queries
from app.sales.queries.funnel import Days
from app.sales.rules import funnel as rules
from app.sales.rules.funnel import Figure
from app.workorders.queries import Units, org_units
from app.worktypes.rules import WorkType

ZONE = ZoneInfo("Asia/Shanghai")
HOUR = 2
_WORK = "sales.funnel"


@dataclass(frozen=True)
class Funnel:
    """The figures of some days, the last excluded, and what was left out of them."""

    org_unit_id: UUID
    first: date
    until: date
    figures: list[Figure]
    excluded: dict[rules.Exclusion, int]
    added_up_until: date | None


async def read(
    session: AsyncSession,
    caller: Caller,
    *,
    org_unit_id: UUID | None,
    first: date | None,
    until: date | None,
    work_type: WorkType | None,
    now: datetime,
) -> Funnel:
    """Read what became of the visits that completed an order on local days of a part of the
    organisation; the last thirty days unless told.

    Raises NotFound for a unit that is not the caller's, PeriodTooLong.
    """
    unit_id = org_unit_id or caller.org_unit_id
    units = await org_units(session, ids=[unit_id])
    unit = units.in_reach(unit_id, caller.org_path)
    if unit is None:
        raise NotFound(org_unit_id=unit_id)
    today = now.astimezone(unit.zone).date()
    until = until or today + timedelta(days=1)
    first = first or until - timedelta(days=30)
    if not first < until <= first + timedelta(days=rules.MOST_DAYS):
        raise rules.PeriodTooLong(days=rules.MOST_DAYS)
    night = await done_until(session, _WORK)
    nightly = night.astimezone(ZONE).date() if night is not None else None
    # The day of the night itself goes on.
    live = max(nightly or date.min, today - timedelta(days=rules.COUNTED_LIVE), first)
    sums = []
    for zone, ids in _by_zone(units, unit.path).items():
        if first < min(live, until):
            days = Days(ids, zone, first, min(live, until))
            sums.append(await queries.added_up(session, days, work_type))
        if live < until:
            days = Days(ids, zone, live, min(until, today + timedelta(days=2)))
            if days.first < days.until:
                sums.append(await queries.counted_live(session, days, work_type))
    found = queries.together(sums)
    return Funnel(
        unit_id,
        first,
        until,
        rules.figures(found),
        {each: found[each.value] for each in rules.Exclusion},
        nightly,
    )


def _by_zone(units: Units, path: str) -> dict[ZoneInfo, list[UUID]]:
    found: dict[ZoneInfo, list[UUID]] = {}
    for unit_id in units.within(path):
        found.setdefault(units.by_id[unit_id].zone, []).append(unit_id)
    return found


async def add_up(database: Database, *, now: datetime) -> None:
    """Add up once a night the days whose sales can still change, each in a transaction of its own;
    stopped in the middle it begins anew."""
    cut = last_cut(now, ZONE, HOUR)
    async with database.read() as session:
        done = await done_until(session, _WORK)
    if done is not None and done >= cut:
        return
    night = cut.astimezone(ZONE).date()
    for ago in range(rules.NIGHTS, 0, -1):
        day = night - timedelta(days=ago)
        async with database.begin() as tx:
            if not await alone(tx, _WORK):
                return
            await add_up_day(tx, day)
    async with database.begin() as tx:
        await tx.merge(Night(work=_WORK, until=cut, done_at=now, facts={}))


async def add_up_day(tx: AsyncSession, day: date) -> None:
    """Count a local day of all org units anew."""
    for zone, ids in _by_zone(await org_units(tx), "").items():
        await queries.count_days(tx, Days(ids, zone, day, day + timedelta(days=1)))
