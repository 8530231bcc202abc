"""What a supervisor decides: that it is an outage, that it is none, and that it is over."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller, district_of
from app.core import jobs
from app.core.db import is_broken
from app.core.errors import SameIdOtherContent
from app.core.parameter_values import parameters_in_force
from app.outages import queries, rules
from app.outages.models import Outage
from app.outages.queries import places, reports
from app.outages.queries.open import forget_open
from app.outages.rules import (
    OutageCause,
    OutageState,
    OutageThere,
    Place,
    UnknownPlace,
    WhenOver,
)
from app.outages.service import holding, parents
from app.outages.service.asked import hash_of, taken
from app.workorders import queries as workorders
from app.workorders.models import WorkOrder
from app.workorders.queries import org_units


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What a supervisor says of an outage: why, until when (aware), what becomes of its orders when
    it is over, and a note."""

    cause: OutageCause
    expected_end: datetime | None
    when_over: WhenOver
    note: str | None


async def confirm(
    tx: AsyncSession,
    outage_id: UUID,
    caller: Caller,
    confirmed: Confirmed,
    *,
    version: int,
    now: datetime,
) -> Outage:
    """Say that a proposal is an outage: its orders are held, and one order is worked on.

    Raises NotFound, OutageChanged or OutageOver.
    """
    said = [confirmed.cause, confirmed.expected_end, confirmed.when_over, confirmed.note]
    outage, again = await taken(tx, outage_id, caller, version, "confirm", said)
    if again:
        return outage
    rules.check_open(outage.state, OutageState.PROPOSED)
    _decide(outage, confirmed, caller, now)
    await tx.flush()
    orders = await workorders.all_for_change(tx, workorders.OPEN, WorkOrder.outage_id == outage.id)
    await holding.hold(tx, outage, orders, now=now, account_id=caller.account_id)
    await _work_on(tx, outage, len(orders), caller, now)
    return outage


def _decide(outage: Outage, confirmed: Confirmed, caller: Caller, now: datetime) -> None:
    outage.state, outage.confirmed_at = OutageState.CONFIRMED, now
    outage.decided_by = caller.account_id
    outage.cause, outage.expected_end = confirmed.cause, confirmed.expected_end
    outage.when_over, outage.note = confirmed.when_over, confirmed.note


async def _work_on(
    tx: AsyncSession, outage: Outage, orders: int, caller: Caller, now: datetime
) -> None:
    point = await parents.middle_of(tx, outage)
    outage.parent_order_id = await parents.make(
        tx, outage, orders=orders, point=point, account_id=caller.account_id, now=now
    )
    await tx.flush()
    forget_open(tx)


async def declare(
    tx: AsyncSession,
    outage_id: UUID,
    caller: Caller,
    place: Place,
    confirmed: Confirmed,
    *,
    since: datetime | None,
    now: datetime,
) -> tuple[Outage, bool]:
    """Say by hand that a place has failed, since a moment; its reports since then belong to it.

    The id is the caller's own; True says that it is new. A compound's key is its name, which is
    sought in the caller's district. Raises UnknownPlace, OutageThere or SameIdOtherContent.
    """
    content = hash_of(
        place,
        since,
        [confirmed.cause, confirmed.expected_end, confirmed.when_over, confirmed.note],
    )
    known = await tx.get(Outage, outage_id, with_for_update=True, populate_existing=True)
    if known is not None:
        if known.content_hash != content:
            raise SameIdOtherContent(id=outage_id)
        return known, False
    if place.kind is rules.PlaceKind.COMPOUND:
        district = district_of(caller.org_path)
        place = Place(place.kind, rules.compound_key(district, place.key))
    found = await places.found(tx, place, caller.org_path)
    if found is None:
        raise UnknownPlace(key=place.key, errors=[{"field": "key", "message": "no such place"}])
    outage = Outage(
        id=outage_id,
        org_unit_id=found.org_unit_id,
        place_kind=place.kind,
        place_key=place.key,
        name=found.name,
        since=since or now,
        found_at=now,
        last_report_at=since or now,
        content_hash=content,
    )
    _decide(outage, confirmed, caller, now)
    try:
        async with tx.begin_nested():
            tx.add(outage)
            await tx.flush()
    except IntegrityError as error:
        if not is_broken("uq_outage_open_place", error):
            raise
        there = await queries.open_at(tx, place)
        raise OutageThere(outage_id=there and there.id, state=there and there.state) from error
    unit = (await org_units(tx, ids=[outage.org_unit_id])).by_id[outage.org_unit_id]
    seen = await reports.of_place(tx, place, district_of(unit.path), outage.since)
    theirs = [one for one in seen if one.open and one.outage_id is None]
    points = [one.point for one in theirs if one.point is not None]
    middle = rules.middle(points or await places.points_of(tx, place))
    if middle is not None:
        await places.put_at(tx, outage.id, middle)
    orders = await holding.lock(tx, [one.report.order_id for one in theirs])
    await holding.join(tx, outage, orders, now=now)
    await _work_on(tx, outage, len(orders), caller, now)
    return outage, True


async def dismiss(
    tx: AsyncSession,
    outage_id: UUID,
    caller: Caller,
    *,
    version: int,
    note: str | None,
    now: datetime,
) -> Outage:
    """Say that a proposal is no outage: its orders go on as any other, and the place is not
    proposed again for a while. Raises NotFound, OutageChanged or OutageOver."""
    outage, again = await taken(tx, outage_id, caller, version, "dismiss", note)
    if again:
        return outage
    rules.check_open(outage.state, OutageState.PROPOSED)
    unit = (await org_units(tx, ids=[outage.org_unit_id])).by_id[outage.org_unit_id]
    hours = (await parameters_in_force(tx)).number(rules.QUIET, now, unit.path)
    outage.state, outage.ended_at, outage.note = OutageState.DISMISSED, now, note
    outage.decided_by, outage.quiet_until = caller.account_id, now + timedelta(hours=hours)
    await tx.flush()
    freed = await tx.scalars(
        update(WorkOrder)
        .where(WorkOrder.outage_id == outage.id)
        .values(outage_id=None, version=WorkOrder.version + 1)
        .returning(WorkOrder.id)
        .execution_options(synchronize_session=False)
    )
    # What somebody has looked at and found to be nothing is no sign of anything wider either.
    await reports.set_apart(tx, outage.id, freed.all())
    return outage


async def amend(
    tx: AsyncSession,
    outage_id: UUID,
    caller: Caller,
    given: Mapping[str, Any],
    *,
    version: int,
) -> Outage:
    """Correct what was said of a confirmed outage: its cause, when it is expected to end, what
    becomes of its orders, the note. Raises NotFound, OutageChanged or OutageOver."""
    outage, again = await taken(tx, outage_id, caller, version, "amend", given)
    if again:
        return outage
    rules.check_open(outage.state, OutageState.CONFIRMED)
    for name, value in given.items():
        setattr(outage, name, value)
    await tx.flush()
    forget_open(tx)
    return outage


async def close(
    tx: AsyncSession,
    outage_id: UUID,
    caller: Caller,
    *,
    version: int,
    when_over: WhenOver | None,
    restored_at: datetime | None,
    note: str | None,
    now: datetime,
) -> Outage:
    """Say that an outage is over, since a moment; what becomes of its orders is done afterwards.

    Its own order is cancelled unless somebody is under way with it. Raises NotFound, OutageChanged
    or OutageOver.
    """
    said = [when_over, restored_at, note]
    outage, again = await taken(tx, outage_id, caller, version, "close", said)
    if again:
        return outage
    rules.check_open(outage.state, OutageState.CONFIRMED)
    outage.when_over = when_over or outage.when_over
    outage.note = note or outage.note
    await _end(tx, outage, restored_at=min(restored_at or now, now), now=now)
    await parents.call_off(tx, outage, account_id=caller.account_id, now=now)
    return outage


async def end_by_parent(tx: AsyncSession, order_id: UUID, *, now: datetime) -> None:
    """End the outage that a completed order was worked on for; other orders change nothing."""
    outage_id = await queries.of_parent(tx, order_id)
    if outage_id is None:
        return
    outage = await queries.for_change(tx, outage_id)
    if outage.state is OutageState.CONFIRMED:
        restored = await parents.restored_at(tx, order_id, now)
        await _end(tx, outage, restored_at=restored, now=now)


async def _end(tx: AsyncSession, outage: Outage, *, restored_at: datetime, now: datetime) -> None:
    outage.state, outage.ended_at, outage.restored_at = OutageState.CLOSED, now, restored_at
    await tx.flush()
    forget_open(tx)
    await jobs.tell(tx, "outage.closed", outage_id=outage.id)
