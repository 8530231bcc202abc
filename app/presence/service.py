"""What can be done with presence: begin and end a shift, agree to positions, send and see them."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.callers import Caller, technician_of
from app.auth.models import OrgUnit
from app.core.errors import NotFound, SameIdOtherContent
from app.core.parameter_values import parameters_in_force
from app.core.parameters import Parameter
from app.presence import queries, rules
from app.presence.models import Duty
from app.presence.queries import Whereabouts
from app.presence.rules import MOST_SEEN, MOST_TRACKED, DutyEnd, Limits, Point, Taken

ROUND = 20_000


async def begin(
    tx: AsyncSession,
    caller: Caller,
    *,
    duty_id: UUID,
    positions_consent: int | None,
    device_at: datetime,
    now: datetime,
) -> Duty:
    """Begin a shift; `positions_consent` is the version of the words that were agreed to.

    Words that are not in force count as no consent. The same step again is answered like the first.
    One that was left open for longer than a shift may last is ended here. Raises AlreadyOnShift and
    SameIdOtherContent.
    """
    mine = technician_of(caller)
    await queries.alone(tx, mine)
    known = await tx.get(Duty, duty_id)
    if known is not None:
        if (known.technician_id, known.device_at) != (mine, device_at):
            raise SameIdOtherContent(id=duty_id)
        return known
    began_at = rules.done_at(device_at, now)
    other = await queries.open_duty(tx, mine)
    if other is not None:
        longest = await _longest(tx, now, caller.org_path)
        if now - other.began_at < longest:
            raise rules.AlreadyOnShift(id=other.id, began_at=other.began_at)
        other.ended_at = min(other.began_at + longest, max(began_at, other.began_at))
        other.end = DutyEnd.LEFT_OPEN
        await tx.flush()
    duty = Duty(
        id=duty_id,
        technician_id=mine,
        device_at=device_at,
        began_at=began_at,
    )
    _agree(duty, positions_consent, began_at)
    tx.add(duty)
    await tx.flush()
    return duty


async def _longest(tx: AsyncSession, now: datetime, org_path: str) -> timedelta:
    numbers = await parameters_in_force(tx)
    return timedelta(hours=numbers.number(rules.LONGEST_HOURS, now, org_path))


def _agree(duty: Duty, version: int | None, at: datetime) -> None:
    if version == rules.CONSENT_VERSION:
        duty.consent_version, duty.consent_from, duty.consent_withdrawn_at = version, at, None


async def end(
    tx: AsyncSession, caller: Caller, duty_id: UUID, *, device_at: datetime, now: datetime
) -> Duty:
    """End a shift; one that has ended is answered as it is. Raises NotFound."""
    await queries.alone(tx, technician_of(caller))
    duty = await _mine(tx, caller, duty_id)
    if duty.ended_at is None:
        duty.ended_at = max(rules.done_at(device_at, now), duty.began_at)
        duty.end = DutyEnd.ENDED
        await tx.flush()
    return duty


async def _mine(tx: AsyncSession, caller: Caller, duty_id: UUID) -> Duty:
    duty = await queries.duty_for_change(tx, technician_of(caller), duty_id)
    if duty is None:
        raise NotFound()
    return duty


async def agree(
    tx: AsyncSession,
    caller: Caller,
    duty_id: UUID,
    *,
    positions_consent: int | None,
    device_at: datetime,
    now: datetime,
) -> Duty:
    """Agree to positions for the rest of a shift, or, by None, take that back.

    What is taken back is deleted for the whole shift, and that can be done when it is over, too.
    Again is like once. Raises NotFound, and ShiftOver for agreeing too late.
    """
    await queries.alone(tx, technician_of(caller))
    duty = await _mine(tx, caller, duty_id)
    at = max(rules.done_at(device_at, now), duty.began_at)
    if positions_consent is None:
        if duty.consent_from is not None:
            duty.consent_version, duty.consent_from, duty.consent_withdrawn_at = None, None, at
        gone = await queries.delete_of_duty(tx, duty)
        if gone:
            audit.note(tx, table="position", operation="delete", count=gone)
    elif duty.consent_from is None:
        if duty.ended_at is not None:
            raise rules.ShiftOver(ended_at=duty.ended_at)
        _agree(duty, positions_consent, at)
    await tx.flush()
    return duty


async def report(
    tx: AsyncSession, caller: Caller, points: Sequence[Point], *, now: datetime
) -> Taken:
    """Take a batch of positions in; the same batch again changes nothing.

    What may not be kept is dropped and counted, and nothing of it is written anywhere.
    """
    mine = technician_of(caller)
    if not points:
        return Taken(0, Counter())
    times = [point.at for point in points]
    numbers = await parameters_in_force(tx)

    def number(parameter: Parameter) -> float:
        return numbers.number(parameter, now, caller.org_path)

    limits = Limits(
        kept=timedelta(days=number(rules.KEPT_DAYS)),
        grid_m=number(rules.GRID_METERS),
        least_m=number(rules.LEAST_METERS),
        least=timedelta(seconds=number(rules.LEAST_SECONDS)),
        longest=timedelta(seconds=number(rules.LONGEST_SECONDS)),
        worst_m=number(rules.WORST_METERS),
    )
    # Consent that is taken back at this moment waits for these to be written, and deletes them.
    await queries.alone(tx, mine)
    duties = await queries.duties_between(tx, mine, min(times), max(times))
    before = await queries.last_before(tx, mine, min(times))
    kept, dropped = rules.kept_of(points, duties, before, limits, now)
    await queries.keep(tx, mine, [(duty.id, point) for duty, point in kept])
    return Taken(len(kept), dropped)


async def whereabouts(tx: AsyncSession, caller: Caller, unit: OrgUnit) -> list[Whereabouts]:
    """Read about where those of a unit are who are on shift and agree to it; an entry in the audit
    trail names the unit, since it is looked at as a whole."""
    found = await queries.last_positions(tx, unit.path, MOST_SEEN)
    positions_seen(tx, caller, unit.id)
    return found


def positions_seen(tx: AsyncSession, caller: Caller, org_unit_id: UUID) -> None:
    """Enter into the audit trail that a caller was shown about where those of a unit are."""
    audit.unmasked(
        tx,
        caller,
        subject_kind="org_unit",
        subject_id=org_unit_id,
        purpose="where technicians are",
        fields=("position",),
    )


async def track(
    tx: AsyncSession,
    caller: Caller,
    technician_id: UUID,
    *,
    since: datetime,
    until: datetime,
    reason: str,
) -> list[Point]:
    """Read where a technician has been, for a reason that stands in the audit trail with it.

    Raises NotFound for somebody outside of the caller's subtree.
    """
    if not await queries.is_within(tx, technician_id, caller.org_path):
        raise NotFound()
    audit.unmasked(
        tx,
        caller,
        subject_kind="technician",
        subject_id=technician_id,
        purpose=reason,
        fields=("position",),
    )
    return await queries.track(tx, technician_id, since, until, MOST_TRACKED)


async def tidy(tx: AsyncSession, now: datetime) -> int:
    """End shifts that were left open, and delete positions that are over, a round of them.

    Returns how many positions went. The numbers hold for the whole installation.
    """
    numbers = await parameters_in_force(tx)
    hours = numbers.number(rules.LONGEST_HOURS, now)
    await queries.end_left_open(tx, now - timedelta(hours=hours), hours)
    days = numbers.number(rules.KEPT_DAYS, now)
    return await queries.forget(tx, now - timedelta(days=days), ROUND)
