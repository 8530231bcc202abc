"""Crediting commissions, and taking them back, by what is new in the ledger of sales.

One sweep at a time works, under a lock that ends with its transaction; the unique indexes of the
ledger hold even without it.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from app.commissions import queries
from app.commissions.queries import Credited, Forgotten, New, Owed, Share, Taken
from app.commissions.rules import EntryKind, reckoning
from app.commissions.rules.reckoning import Credit, Part
from app.commissions.service.flagging import flag_sales
from app.core.db import Rows, new_id, put
from app.core.nights import alone
from app.core.parameter_values import parameters_in_force
from app.core.parameters import Parameters
from app.sales import service as sales
from app.sales.rules import SaleStep
from app.sales.service import Entry
from app.workorders.queries import Units, org_units

AT_A_TIME = 500
_WORK = "commissions.sweep"
_REVERSALS = frozenset({SaleStep.REVERSED, SaleStep.REVERSAL_UNDONE})


@dataclass(frozen=True)
class _Here:
    """What one round of a sweep goes by."""

    units: Units
    parameters: Parameters
    now: datetime

    def zone(self, unit_id: UUID) -> ZoneInfo:
        return self.units.by_id[unit_id].zone

    def path(self, unit_id: UUID) -> str:
        return self.units.by_id[unit_id].path

    def month(self, unit_id: UUID) -> date:
        return reckoning.month_of(self.now, self.zone(unit_id))


class _Entered(NamedTuple):
    """An entry to be written: what is credited, which entry it counters, and for which item."""

    id: UUID
    credit: Credit
    counters_id: UUID | None = None
    item_id: UUID | None = None


async def sweep(tx: AsyncSession, *, now: datetime) -> bool:
    """Do one round; returns whether there may be more. `now` is business time.

    Another sweep that is at it has nothing left to do here.
    """
    if not await alone(tx, _WORK):
        return False
    events = await queries.new_events(tx, AT_A_TIME)
    units = await org_units(tx, ids={one.org_unit_id for one in events})
    here = _Here(units, await parameters_in_force(tx), now)
    acknowledged = [one for one in events if one.step == SaleStep.ACKNOWLEDGED]
    undone = {one.sale_id for one in events if one.step == SaleStep.REVERSAL_UNDONE}
    items = {one.item_id for one in events if one.item_id is not None}
    if acknowledged or undone:
        # A part may never have been delivered of what had been given up, and was delivered else.
        items.update(await queries.gone_before(tx, {e.sale_id for e in acknowledged}, undone))
    await _earn(tx, here, acknowledged)
    # An item comes back of a sale that stands, and before the rest of it: so what was taken by
    # mistake before is given back first. A sale that was reversed once more is so in the end.
    last = {one.sale_id: one.step for one in events if one.step in _REVERSALS}
    await _give_back(tx, here, sorted(undone), items)
    await _take_back_items(tx, here, items)
    await _take_back(tx, here, [id_ for id_, step in last.items() if step == SaleStep.REVERSED])
    sold_in = {one.sale_id: here.path(one.org_unit_id) for one in acknowledged}
    await flag_sales(tx, sold_in, now=now)
    if events:
        await queries.read_up_to(tx, events[-1])
    if len(events) == AT_A_TIME:
        return True
    # Only once every reversal is known is it sure what was kept.
    return await _keep(tx, here) == AT_A_TIME


async def _earn(tx: AsyncSession, here: _Here, events: Sequence[New]) -> None:
    worth = {one.sale_id: one for one in await queries.worth_of(tx, [e.sale_id for e in events])}
    parts, due = [], []
    for event in events:
        # A second time the sale is not among them: each is credited once.
        sale = worth.pop(event.sale_id, None)
        if sale is None:
            continue
        first, second = _parts(here, event.at, sale)
        whose = (sale.sale_id, sale.technician_id, sale.org_unit_id)
        parts.append(Part(*whose, here.month(sale.org_unit_id), first))
        due.append(second)
    await put(tx, Rows("commission_due", _DUE_COLUMNS, due))
    await _credit(tx, here, parts, EntryKind.EARNED, SaleStep.COMMISSION_EARNED)


_DUE_COLUMNS = "sale_id technician_id org_unit_id fen due_at"


def _parts(
    here: _Here, acknowledged_at: datetime, sale: Owed | Forgotten
) -> tuple[int, tuple[UUID, UUID, UUID, int, datetime]]:
    """Say what the first part of a commission is, and write when the rest is due to whom."""
    path = here.path(sale.org_unit_id)
    percent = here.parameters.whole(reckoning.FIRST_PERCENT, acknowledged_at, path)
    days = here.parameters.number(reckoning.KEPT_DAYS, acknowledged_at, path)
    first = reckoning.first_part(sale.fen, percent)
    due_at = acknowledged_at + timedelta(days=days)
    return first, (sale.sale_id, sale.technician_id, sale.org_unit_id, sale.fen - first, due_at)


async def _keep(tx: AsyncSession, here: _Here) -> int:
    due = await queries.take_due(tx, here.now, AT_A_TIME)
    here = replace(here, units=await org_units(tx, ids={one.org_unit_id for one in due}))
    parts = [
        Part(one.sale_id, one.technician_id, one.org_unit_id, here.month(one.org_unit_id), one.fen)
        for one in due
    ]
    await _credit(tx, here, parts, EntryKind.KEPT, SaleStep.COMMISSION_KEPT)
    return len(due)


async def _credit(
    tx: AsyncSession, here: _Here, parts: Sequence[Part], kind: EntryKind, step: SaleStep
) -> None:
    if not parts:
        return
    so_far = await queries.standing(tx, {(one.technician_id, one.month) for one in parts})
    caps: dict[tuple[UUID, date], int] = {}
    for part in parts:
        begins = datetime.combine(part.month, datetime.min.time(), here.zone(part.org_unit_id))
        cap = here.parameters.whole(reckoning.MONTH_CAP, begins, here.path(part.org_unit_id))
        caps.setdefault((part.technician_id, part.month), cap)
    credits = reckoning.credited(parts, so_far, caps)
    await _enter(tx, here, [_Entered(new_id(), one) for one in credits], kind, step)


async def _take_back(tx: AsyncSession, here: _Here, sale_ids: Sequence[UUID]) -> None:
    if not sale_ids:
        return
    await queries.forget_due(tx, sale_ids)
    standing = await queries.not_countered(tx, sale_ids)
    counters = [_counter(here, entry, entry.fen) for entry in standing]
    await _enter(tx, here, counters, EntryKind.TAKEN_BACK, SaleStep.COMMISSION_REVERSED)


async def _give_back(
    tx: AsyncSession, here: _Here, sale_ids: Sequence[UUID], new_items: Collection[UUID]
) -> None:
    """Give back what was taken with sales that were not reversed after all, and let what is to come
    of them come; `new_items` are taken back of them afterwards."""
    if not sale_ids:
        return
    entries = [_given(here, taken) for taken in await queries.taken_back(tx, sale_ids)]
    await _enter(tx, here, entries, EntryKind.GIVEN_BACK, SaleStep.COMMISSION_GIVEN_BACK)
    forgotten = await queries.not_due_any_more(tx, sale_ids)
    due = [_parts(here, sale.acknowledged_at, sale) for sale in forgotten]
    await put(tx, Rows("commission_due", _DUE_COLUMNS, [row for _, row in due]))
    gone = [item for sale in forgotten for item in sale.items if item not in new_items]
    for together in _rounds(await queries.shares(tx, gone) if gone else []):
        await queries.lessen_due(tx, together)


def _given(here: _Here, taken: Taken) -> _Entered:
    month = here.month(taken.org_unit_id)
    part = Part(taken.sale_id, taken.technician_id, taken.org_unit_id, month, taken.fen)
    return _Entered(new_id(), Credit(part, taken.fen, 0), taken.id)


def _rounds(shares: Sequence[Share]) -> list[list[Share]]:
    """Part shares into rounds of one item of each sale, since each is a share of what the one
    before has left."""
    rounds: dict[int, list[Share]] = {}
    counts: Counter[UUID] = Counter()
    for one in shares:
        rounds.setdefault(counts[one.sale_id], []).append(one)
        counts[one.sale_id] += 1
    return list(rounds.values())


async def _take_back_items(tx: AsyncSession, here: _Here, item_ids: Collection[UUID]) -> None:
    """Take back what was credited for single items, and lessen what is to come of their sales."""
    shares = await queries.shares(tx, item_ids) if item_ids else []
    if not shares:
        return
    standing: dict[UUID, list[Credited]] = {}
    for entry in await queries.not_countered(tx, [one.sale_id for one in shares]):
        standing.setdefault(entry.sale_id, []).append(entry)
    counters = []
    for together in _rounds(shares):
        await queries.lessen_due(tx, together)
        for one in together:
            left = []
            for entry in standing.get(one.sale_id, ()):
                stays = _LEFT_OF[entry.kind](entry.fen, one.before, one.after)
                if stays < entry.fen:
                    counters.append(_counter(here, entry, entry.fen - stays, one.item_id))
                left.append(entry._replace(fen=stays))
            standing[one.sale_id] = left
    await _enter(tx, here, counters, EntryKind.TAKEN_BACK, SaleStep.COMMISSION_REVERSED)


_LEFT_OF = {
    EntryKind.EARNED: reckoning.left_of_first,
    EntryKind.KEPT: reckoning.left_of_second,
}


def _counter(here: _Here, entry: Credited, fen: int, item_id: UUID | None = None) -> _Entered:
    month = here.month(entry.org_unit_id)
    part = Part(entry.sale_id, entry.technician_id, entry.org_unit_id, month, -fen)
    return _Entered(new_id(), Credit(part, -fen, 0), entry.id, item_id)


async def _enter(
    tx: AsyncSession,
    here: _Here,
    entries: Sequence[_Entered],
    kind: EntryKind,
    step: SaleStep,
) -> None:
    """Write entries into the ledger of commissions, and that they are there into the sales'."""
    columns = (
        "id sale_id technician_id org_unit_id kind at month fen cut_fen counters_id sale_item_id"
    )
    rows = [
        (
            one.id,
            one.credit.part.sale_id,
            one.credit.part.technician_id,
            one.credit.part.org_unit_id,
            kind.value,
            here.now,
            one.credit.part.month,
            one.credit.fen,
            one.credit.cut_fen,
            one.counters_id,
            one.item_id,
        )
        for one in entries
    ]
    await put(tx, Rows("commission_entry", columns, rows))
    await sales.enter(
        tx,
        [Entry(one.credit.part.sale_id, step, here.now, facts=_facts(one)) for one in entries],
    )


def _facts(one: _Entered) -> dict[str, Any]:
    facts = {"entry_id": one.id, "fen": one.credit.fen}
    return facts if one.item_id is None else {**facts, "item_id": one.item_id}
