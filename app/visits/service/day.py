"""A technician's day, in the order it is to be worked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, technician_of
from app.core.parameter_values import parameters_in_force
from app.visits import queries, rules
from app.visits.queries import DayRow


@dataclass(frozen=True, slots=True)
class Day:
    """A local day's orders in their order; `grace` is how long a contact stays shown after."""

    day: date
    orders: Sequence[DayRow]
    now: datetime
    grace: timedelta


async def my_day(read: AsyncSession, caller: Caller, *, day: date | None, now: datetime) -> Day:
    """Read a technician's orders of a local day (None is today), with what is open from before.

    Raises Forbidden for an account that is nobody's.
    """
    technician_id = technician_of(caller)
    if day is None:
        day = now.astimezone(await queries.zone_of_unit(read, caller.org_unit_id)).date()
    numbers = await parameters_in_force(read)
    grace = timedelta(hours=numbers.number(rules.GRACE_HOURS, now, caller.org_path))
    rows = await queries.day_of(read, technician_id, day)
    return Day(day, sorted(rows, key=_place), now, grace)


def _place(row: DayRow) -> tuple[float | str, ...]:
    return rules.place_in_day(
        row.state,
        place=row.place,
        appointment_from=row.appointment_from,
        appointment_until=row.appointment_until,
        priority=row.priority,
        due_at=row.due_at,
        completed_at=row.completed_at,
        order_id=row.id,
    )
