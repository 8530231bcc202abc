"""Grids enter a stage, alone or many at once, and leave it again."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.callers import Caller
from app.core.db import is_broken
from app.core.errors import NotFound, Problem, SameIdOtherContent
from app.grids.models import GridContract
from app.territory.queries import contracts as queries
from app.territory.rules import stages
from app.territory.rules.stages import Span, Terms

# A bulk answer names so many of its lines that cannot be.
LINES_NAMED = 200


async def begin(
    tx: AsyncSession, terms: Terms, *, retroactive: bool, caller: Caller, now: datetime
) -> GridContract:
    """Let a grid enter a stage from a local day on; what is in force on that day ends there.

    The caller makes the id; the same again is answered like the first time. Raises NotFound for
    a grid or technician outside the caller's part of the organisation, SameIdOtherContent,
    HolderInactive, ContractorUnknown, and what `rules.stages` raises.
    """
    outcome = await _begin(tx, [terms], retroactive=retroactive, caller=caller, now=now)
    (done,) = outcome
    if isinstance(done, Problem):
        raise done
    return done


async def begin_many(
    tx: AsyncSession, wanted: Sequence[Terms], *, retroactive: bool, caller: Caller, now: datetime
) -> list[GridContract]:
    """Let many grids enter stages, all of them or none; a grid may be named for several days.

    Raises ContractsRefused, which names each that cannot be and why; then nothing is changed.
    """
    outcome = await _begin(tx, wanted, retroactive=retroactive, caller=caller, now=now)
    lines = [
        {
            "index": index,
            "grid_id": terms.grid_id,
            "problem": done.slug,
            "zh": f"{done.title.zh}：{done.detail('zh')}",
            "en": f"{done.title.en}: {done.detail('en')}",
            "facts": done.facts,
        }
        for index, (terms, done) in enumerate(zip(wanted, outcome, strict=True))
        if isinstance(done, Problem)
    ]
    if lines:
        raise stages.ContractsRefused(refused=len(lines), lines=lines[:LINES_NAMED])
    return [done for done in outcome if isinstance(done, GridContract)]


async def _begin(
    tx: AsyncSession, wanted: Sequence[Terms], *, retroactive: bool, caller: Caller, now: datetime
) -> list[GridContract | Problem]:
    """Judge all, and write them if none is refused: a handful of statements for however many."""
    judge = await _judge(tx, wanted, retroactive=retroactive, caller=caller, now=now)
    outcome = [judge.of(terms) for terms in wanted]
    if any(isinstance(done, Problem) for done in outcome):
        return outcome
    try:
        async with tx.begin_nested():
            # What ends makes room first: two rows of a grid never hold on one day.
            for row, day in judge.ended:
                row.valid_to = day
            await tx.flush()
            tx.add_all(judge.begun)
    except IntegrityError as error:
        if is_broken("pk_grid_contract", error):
            # One of the ids was used for another grid this very moment.
            taken = await queries.known(tx, {row.id for row in judge.begun})
            raise SameIdOtherContent(id=", ".join(map(str, taken))) from error
        raise
    return outcome


@dataclass(kw_only=True)
class _Judge:
    """Knows all that decides about some terms, and keeps what was decided until it is written.

    Local days by grid, rows known by id, spans by grid, technicians with whether they are active.
    """

    retroactive: bool
    today: dict[UUID, date]
    known: dict[UUID, GridContract]
    rows: dict[UUID, GridContract]
    spans: dict[UUID, list[Span]]
    active: dict[UUID, bool]
    contractors: list[str]
    ended: list[tuple[GridContract, date]] = field(default_factory=list)
    begun: list[GridContract] = field(default_factory=list)

    def of(self, terms: Terms) -> GridContract | Problem:
        """Tell what becomes of some terms: their row, or why there is none."""
        try:
            return self._row(terms)
        except Problem as problem:
            return problem

    def _row(self, terms: Terms) -> GridContract:
        today = self.today.get(terms.grid_id)
        if today is None:
            raise NotFound(grid_id=terms.grid_id)
        known = self.known.get(terms.id)
        if known is not None:
            return _same(known, terms)
        stages.check(terms)
        self._check_holder(terms)
        spans = self.spans[terms.grid_id]
        ended = stages.begin(terms, spans, today=today, retroactive=self.retroactive)
        row = GridContract(**asdict(terms))
        if ended is not None:
            ended.valid_to = terms.valid_from
            self.ended.append((self.rows[ended.id], terms.valid_from))
        spans.append(Span(terms.id, terms.stage, terms.valid_from, terms.valid_to))
        self.rows[terms.id] = self.known[terms.id] = row
        self.begun.append(row)
        return row

    def _check_holder(self, terms: Terms) -> None:
        if terms.technician_id is not None:
            active = self.active.get(terms.technician_id)
            if active is None:
                raise NotFound(technician_id=terms.technician_id)
            if not active:
                raise stages.HolderInactive(technician_id=terms.technician_id)
        if terms.contractor is not None and terms.contractor not in self.contractors:
            raise stages.ContractorUnknown(contractor=terms.contractor, known=self.contractors)


async def _judge(
    tx: AsyncSession, wanted: Sequence[Terms], *, retroactive: bool, caller: Caller, now: datetime
) -> _Judge:
    """Lock the grids and read what is known of them, of the ids and of the holders."""
    grid_ids = {terms.grid_id for terms in wanted}
    today = await queries.grids_for_change(tx, grid_ids, caller, now)
    # The day before counts too: from its stage the new one advances or falls back.
    since = min(terms.valid_from for terms in wanted) - timedelta(days=1)
    rows = await queries.rows_since(tx, grid_ids, since)
    spans: dict[UUID, list[Span]] = {grid_id: [] for grid_id in grid_ids}
    for row in rows:
        spans[row.grid_id].append(Span(row.id, row.stage, row.valid_from, row.valid_to))
    people = {terms.technician_id for terms in wanted if terms.technician_id is not None}
    named = any(terms.contractor is not None for terms in wanted)
    return _Judge(
        retroactive=retroactive,
        today=today,
        known=await queries.known(tx, {terms.id for terms in wanted}),
        rows={row.id: row for row in rows},
        spans=spans,
        active=await queries.holders(tx, people, caller) if people else {},
        contractors=await queries.contractors(tx, caller) if named else [],
    )


def _same(known: GridContract, terms: Terms) -> GridContract:
    """Give a row that was begun before. It may have been ended since, but not put off."""
    wanted = asdict(terms)
    ends = wanted.pop("valid_to")
    kept = known.valid_to == ends or (
        known.valid_to is not None and (ends is None or known.valid_to < ends)
    )
    if not kept or any(getattr(known, name) != value for name, value in wanted.items()):
        raise SameIdOtherContent(id=terms.id)
    return known


async def end(
    tx: AsyncSession,
    *,
    contract_id: UUID,
    last_excluded: date,
    reason: str,
    retroactive: bool,
    caller: Caller,
    now: datetime,
) -> GridContract:
    """End a stage on a local day, the first on which it no longer holds; the grid then has none.

    Ended on the day it begins, it never held: so a mistake is taken back. The same again is
    answered like the first time. Raises NotFound, Invalid for a day before its beginning or after
    the end it has, and Retroactive for a day gone by unless it is meant.
    """
    grid_id = await queries.grid_of(tx, contract_id, caller)
    today = (await queries.grids_for_change(tx, [grid_id], caller, now)).get(grid_id)
    if today is None:  # retired; what it had ended with it
        raise NotFound(contract_id=contract_id)
    row = await tx.get_one(GridContract, contract_id, populate_existing=True)
    if (row.valid_to, row.end_reason) == (last_excluded, reason):
        return row
    span = Span(row.id, row.stage, row.valid_from, row.valid_to)
    stages.end(span, last_excluded, today=today, retroactive=retroactive)
    row.valid_to, row.end_reason = last_excluded, reason
    return row


_FOLLOW_SPLIT = text(
    """
    INSERT INTO grid_contract
        (id, grid_id, stage, valid_from, valid_to, technician_id, contractor, note)
    SELECT gen_random_uuid(), part.id, c.stage, greatest(c.valid_from, part.day), c.valid_to,
        c.technician_id, c.contractor, c.note
    FROM grid_contract c
    CROSS JOIN unnest(CAST(:ids AS uuid[]), CAST(:days AS date[])) AS part (id, day)
    WHERE c.grid_id = :of AND (c.valid_to IS NULL OR c.valid_to > greatest(c.valid_from, part.day))
    RETURNING id
    """
)


async def follow_split(tx: AsyncSession, *, of: UUID, parts: Mapping[UUID, date]) -> None:
    """Let the new parts of a split grid have its stage, from the local day of each on.

    So have they its holder, and what is planned. Targets were set for the whole, and stay with
    the grid that keeps its code. The caller holds the grid.
    """
    given = {"of": of, "ids": list(parts), "days": list(parts.values())}
    ids = (await tx.scalars(_FOLLOW_SPLIT, given)).all()
    if ids:
        audit.note(tx, table="grid_contract", operation="insert", ids=ids)
