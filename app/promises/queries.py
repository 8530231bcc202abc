"""Reads of promise rules, of what stops their clocks, and of the working calendar.

All of them change rarely; a change is in force everywhere after a few seconds.
"""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.i18n import Words
from app.core.lately import lately
from app.promises.models import (
    CalendarDay,
    ClockStopRule,
    EscalationRule,
    PromiseRule,
    WorkingHours,
)
from app.promises.rules import (
    NO_CALENDAR,
    Calendar,
    Clock,
    EscalationStep,
    Opening,
    Per,
    Promise,
    ProofKind,
    SpecialDay,
    StopRule,
)
from app.worktypes.rules import WorkType


async def promises(session: AsyncSession) -> list[Promise]:
    """Return the dated promise rules."""
    return await lately(session, "promises.rules", _promises)


async def _promises(session: AsyncSession) -> list[Promise]:
    rows = await session.execute(select(*(getattr(PromiseRule, name) for name in Promise._fields)))
    return [Promise(*row)._replace(compensation_per=Per(row.compensation_per)) for row in rows]


async def stop_rules(session: AsyncSession) -> list[StopRule]:
    """Return the dated rules of what stops a clock."""
    return await lately(session, "promises.stop_rules", _stop_rules)


async def _stop_rules(session: AsyncSession) -> list[StopRule]:
    names = StopRule._fields
    rows = await session.execute(select(*(getattr(ClockStopRule, name) for name in names)))
    return [
        StopRule(*row)._replace(
            work_types=frozenset(map(WorkType, row.work_types)),
            proofs=frozenset(map(ProofKind, row.proofs)),
        )
        for row in rows
    ]


async def escalation_steps(session: AsyncSession) -> list[EscalationStep]:
    """Return the dated steps of escalation."""
    return await lately(session, "promises.escalation_steps", _escalation_steps)


async def _escalation_steps(session: AsyncSession) -> list[EscalationStep]:
    names = EscalationStep._fields
    rows = await session.execute(select(*(getattr(EscalationRule, name) for name in names)))
    return [
        EscalationStep(*row)._replace(work_types=frozenset(map(WorkType, row.work_types)))
        for row in rows
    ]


async def calendar(session: AsyncSession, promises: list[Promise]) -> Calendar:
    """Return the working calendar; where no promise runs by it, nothing is read."""
    if all(one.clock is Clock.CALENDAR for one in promises):
        return NO_CALENDAR
    return await whole_calendar(session)


async def whole_calendar(session: AsyncSession) -> Calendar:
    """Return the working calendar."""
    return await lately(session, "promises.calendar", _calendar)


async def _calendar(session: AsyncSession) -> Calendar:
    hours = await session.execute(
        select(*(getattr(WorkingHours, name) for name in Opening._fields))
    )
    openings = [Opening(*row) for row in hours]
    days = await session.scalars(select(CalendarDay))
    return Calendar(
        openings,
        [
            SpecialDay(one.org_path, one.day, one.kind, Words(one.name_zh, one.name_en))
            for one in days
        ],
    )
