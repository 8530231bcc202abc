"""Many memberships at once: all rows of a command are done, or none is."""

from collections.abc import Sequence

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller
from app.core.errors import Conflict
from app.grids import memberships
from app.grids.rules.bulk import (
    End,
    Ground,
    Judgement,
    MembershipsRefused,
    Row,
    day_of,
    judge,
)


async def preview(session: AsyncSession, rows: Sequence[Row], caller: Caller) -> Judgement:
    """Judge a command of at least one row as it would be if it were carried out now."""
    return await _judged(session, rows, caller, locking=False)


async def carry_out(tx: AsyncSession, rows: Sequence[Row], caller: Caller) -> Judgement:
    """Do every row of a command, or none of them.

    The grids stay locked until the transaction ends, so that of two commands over the same grids
    one waits and sees what the other did. Sent again, it finds all done and changes nothing.
    Raises MembershipsRefused, which names every row that cannot be done, and Conflict when an id
    is used for somebody else's grid this very moment.
    """
    judgement = await _judged(tx, rows, caller, locking=True)
    plan = judgement.plan
    if plan.refused:
        raise MembershipsRefused(
            refused=len(plan.refused),
            rows=[
                {
                    "row": n + 1,
                    "type": f"urn:yingwei:problem:{problem.slug}",
                    "zh": f"{problem.title.zh}：{problem.detail('zh')}",
                    "en": f"{problem.title.en}: {problem.detail('en')}",
                    "facts": problem.facts,
                }
                for n, problem in plan.refused
            ],
        )
    try:
        async with tx.begin_nested():
            await memberships.write(tx, ends=plan.ends, begins=plan.begins)
    except IntegrityError as error:
        raise Conflict() from error
    return judgement


async def _judged(
    session: AsyncSession, rows: Sequence[Row], caller: Caller, *, locking: bool
) -> Judgement:
    """Read what the rows meet, in at most four statements, and judge them."""
    ended = [row.membership_id for row in rows if isinstance(row, End)]
    wanted = [row.term for row in rows if not isinstance(row, End)]
    named = await memberships.grids_of(session, ended)
    grids = await memberships.grids_within(
        session, named | {term.grid_id for term in wanted}, caller, locking=locking
    )
    found = await memberships.terms(
        session,
        grids,
        first_day=min(day_of(row) for row in rows),
        ids=[*ended, *(term.id for term in wanted)],
        locking=locking,
    )
    people = await memberships.people(
        session,
        {term.technician_id for term in wanted} | {term.technician_id for term in found},
        caller,
    )
    ground = Ground(
        grids=grids.keys(),
        technicians={one.id for one in people.values() if one.ours},
        terms=[term for term in found if term.grid_id in grids],
        elsewhere={term.id for term in found if term.grid_id not in grids},
        names={one.id: (one.code, one.name) for one in people.values()},
    )
    return Judgement(judge(rows, ground), grids, people)
