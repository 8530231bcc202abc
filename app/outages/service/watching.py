"""Looking for outages: new reports join what is open, and are searched for bursts."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from geoalchemy2 import WKTElement
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import is_broken, new_id
from app.core.log import log
from app.core.parameter_values import parameters_in_force
from app.outages import queries, rules
from app.outages.models import Outage
from app.outages.queries import rates, reports
from app.outages.queries.places import name_of
from app.outages.queries.reports import Seen
from app.outages.rules import Folded, Limits, OutageState, Place
from app.outages.service import holding
from app.workorders.models import WorkOrder
from app.workorders.queries import org_units


async def look_at(tx: AsyncSession, district_path: str, *, now: datetime) -> None:
    """Look at the new reports of a district, given by its path.

    Those in the place of a confirmed outage join it; the others are searched for places that have
    more than their usual rate explains, which are proposed or go on as the proposal they belong to.
    """
    if not await reports.alone(tx, district_path):
        return
    numbers = await parameters_in_force(tx)
    limits = rules.limits_of(numbers, now, district_path)
    seen = await reports.of_district(tx, district_path, now - timedelta(minutes=limits.minutes))
    confirmed = await queries.confirmed(tx)
    there = set(confirmed.values())
    belongs = {
        one.report.order_id: rules.belong(one.report, confirmed, one.apart_from)
        for one in seen
        if one.outage_id not in there
    }
    # Those that intake has let join: they are held, but nobody has stopped their clocks.
    belongs |= {
        one.report.order_id: one.outage_id
        for one in seen
        if one.outage_id in there and not one.judged
    }
    late = await _join_confirmed(tx, seen, belongs, now=now)
    proposed = await queries.proposed_in(tx, district_path)
    ours = {known.id for known in proposed}
    candidates = [
        one
        for one in seen
        if one.state.value != "cancelled"
        and not one.apart_from
        and belongs.get(one.report.order_id) is None
        and (one.outage_id is None or one.outage_id in ours)
    ]
    for folded in await _bursts(tx, district_path, candidates, proposed, limits, now=now):
        late |= await _go_on(tx, folded, candidates, now=now)
    await reports.judged(
        tx,
        [one.report.order_id for one in seen if not one.judged and one.report.order_id not in late],
    )


async def _join_confirmed(
    tx: AsyncSession,
    seen: Sequence[Seen],
    belongs: dict[UUID, UUID | None],
    *,
    now: datetime,
) -> set[UUID]:
    """Let open orders join the confirmed outages they belong to; return those that somebody else
    has locked, which the next look takes."""
    wanted: dict[UUID, list[UUID]] = {}
    for one in seen:
        outage_id = belongs.get(one.report.order_id)
        if outage_id is not None and one.open:
            wanted.setdefault(outage_id, []).append(one.report.order_id)
    late: set[UUID] = set()
    for outage_id, order_ids in sorted(wanted.items()):
        outage = await queries.for_change(tx, outage_id)
        if outage.state is not OutageState.CONFIRMED:
            late.update(order_ids)
            continue
        orders = await holding.lock(tx, order_ids, skip_locked=True)
        await holding.join(tx, outage, orders, now=now)
        late |= set(order_ids) - {order.id for order in orders}
    return late


async def _bursts(
    tx: AsyncSession,
    district_path: str,
    candidates: Sequence[Seen],
    proposed: Sequence[rules.Known],
    limits: Limits,
    *,
    now: datetime,
) -> list[Folded]:
    counts: dict[Place, set[UUID]] = {}
    for one in candidates:
        for place in one.report.places:
            counts.setdefault(place, set()).add(one.report.who)
    many = {place for place, homes in counts.items() if len(homes) >= limits.least}
    if not many:
        return []
    usual = await rates.usual_of(tx, district_path, many)
    units = await org_units(tx, ids={candidates[0].org_unit_id})
    zone = units.by_id[candidates[0].org_unit_id].zone
    bursts = rules.find(
        [one.report for one in candidates],
        usual,
        limits,
        now.astimezone(zone),
        quiet=await queries.quiet_places(tx, now),
    )
    return rules.fold(bursts, proposed)


async def _go_on(
    tx: AsyncSession, folded: Folded, candidates: Sequence[Seen], *, now: datetime
) -> set[UUID]:
    """Write down what a burst comes to; return the orders that somebody else has locked."""
    wanted = {one.order_id for one in folded.burst.reports}
    theirs = [one for one in candidates if one.report.order_id in wanted]
    last = max(one.report.at for one in theirs)
    if folded.into is None:
        outage = await _proposed(tx, folded, theirs, now=now)
        if outage is None:
            return set()
    else:
        outage = await queries.for_change(tx, folded.into)
        if outage.state is not OutageState.PROPOSED:
            return set()
        for other in folded.merged:
            await _merge(tx, await queries.for_change(tx, other), outage, now=now)
        if (outage.place_kind, outage.place_key) != folded.place:
            outage.place_kind, outage.place_key = folded.place
            outage.name = await name_of(tx, folded.place)
        outage.since, outage.surprise = folded.since, folded.surprise
        outage.last_report_at = max(outage.last_report_at, last)
    await tx.flush()
    new = {one.report.order_id for one in theirs if one.open and one.outage_id != outage.id}
    orders = await holding.lock(tx, new, skip_locked=True)
    await holding.join(tx, outage, orders, now=now)
    return new - {order.id for order in orders}


async def _proposed(
    tx: AsyncSession, folded: Folded, theirs: Sequence[Seen], *, now: datetime
) -> Outage | None:
    middle = rules.middle([one.point for one in theirs if one.point is not None])
    outage = Outage(
        id=new_id(),
        org_unit_id=rules.unit_of(one.org_unit_id for one in theirs),
        place_kind=folded.place.kind,
        place_key=folded.place.key,
        name=await name_of(tx, folded.place),
        state=OutageState.PROPOSED,
        since=folded.since,
        found_at=now,
        last_report_at=max(one.report.at for one in theirs),
        surprise=folded.surprise,
        point=WKTElement(f"POINT({middle[0]} {middle[1]})", srid=4326) if middle else None,
    )
    try:
        async with tx.begin_nested():
            tx.add(outage)
            await tx.flush()
    except IntegrityError as error:
        if is_broken("uq_outage_open_place", error):
            return None  # somebody has declared it at this moment: its orders join that one
        raise
    log.info("an outage is proposed", outage=str(outage.id), reports=len(theirs))
    return outage


async def _merge(tx: AsyncSession, outage: Outage, into: Outage, *, now: datetime) -> None:
    """Let a proposal go on in another one, with its orders."""
    outage.state, outage.ended_at, outage.merged_into_id = OutageState.MERGED, now, into.id
    await tx.flush()
    await tx.execute(
        update(WorkOrder)
        .where(WorkOrder.outage_id == outage.id)
        .values(outage_id=into.id, version=WorkOrder.version + 1)
        .execution_options(synchronize_session=False)
    )


async def lapse(tx: AsyncSession, *, now: datetime) -> None:
    """End proposals that nobody has decided on and that have had no report for long."""
    numbers = await parameters_in_force(tx)
    for outage in await queries.undecided(tx):
        hours = numbers.number(rules.LAPSE, now)
        if outage.last_report_at <= now - timedelta(hours=hours):
            outage.state, outage.ended_at = OutageState.LAPSED, now
            await tx.flush()
            await _give_free(tx, outage)


async def _give_free(tx: AsyncSession, outage: Outage) -> None:
    """Let the orders of a proposal that came to nothing be orders like any other."""
    await tx.execute(
        update(WorkOrder)
        .where(WorkOrder.outage_id == outage.id)
        .values(outage_id=None, version=WorkOrder.version + 1)
        .execution_options(synchronize_session=False)
    )
