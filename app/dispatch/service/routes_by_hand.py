"""A technician's day as a supervisor sees it and puts it into another order."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.rules import Caller
from app.core.db import new_id
from app.core.errors import NotFound
from app.dispatch import rules
from app.dispatch.models import BulkMove
from app.dispatch.rules import BulkKind
from app.dispatch.rules.by_hand import check_holds, reordered, seen_of
from app.dispatch.rules.moves import Person
from app.dispatch.rules.routes import Drive, Frame, Stop, follow
from app.dispatch.rules.why_not import FARTHEST_DAYS
from app.dispatch.service.moving import people_of_days, standing_days
from app.technicians import availability


@dataclass(frozen=True, slots=True)
class DayOfRoute:
    """Somebody's local day in its order, followed from now on; no drive where they do not work."""

    technician_id: UUID
    day: date
    stops: Sequence[Stop]
    frame: Frame | None
    drive: Drive | None
    written: bool

    @property
    def seen(self) -> str:
        """What names it as it is now."""
        return seen_of(self.stops)


async def route(
    session: AsyncSession, technician_id: UUID, day: date, caller: Caller, *, now: datetime
) -> DayOfRoute:
    """Read a technician's local day in its order. Raises NotFound outside the caller's subtree,
    unless they are lent to it on that day."""
    person = await _person(session, technician_id, day, caller, now)
    return await _read(session, person, day, now)


async def set_route(
    tx: AsyncSession,
    technician_id: UUID,
    day: date,
    caller: Caller,
    *,
    order_ids: Sequence[UUID],
    seen: str,
    reason: str,
    override: bool,
    now: datetime,
) -> DayOfRoute:
    """Put a technician's day into an order; what is under way stays first.

    The day is locked, so that nothing comes to it meanwhile. Who did so and why is kept among the
    moves. Raises NotFound, DayOutOfRange, RouteChanged, or RouteBreaks where it breaks an
    appointment, the shift's end or a break that held before.
    """
    person = await _person(tx, technician_id, day, caller, now)
    first = person.diary.today
    last = first + timedelta(days=FARTHEST_DAYS)
    if not first <= day <= last:
        raise rules.DayOutOfRange(first=first, last=last, errors=[])
    await availability.lock(tx, [(technician_id, day)])
    before = await _read(tx, person, day, now)
    stops = reordered(before.stops, order_ids, seen)
    after = _followed(person, day, before.frame, stops, written=True)
    if before.drive is not None and after.drive is not None:
        check_holds(after.drive.broken, before.drive.broken, override=override)
    route = [stop.order_id for stop in stops]
    await availability.write_routes(tx, {(technician_id, day): route})
    audit.note(tx, table="technician_day", operation="reordered", ids=[technician_id])
    about = {"technician_id": str(technician_id), "day": str(day)}
    tx.add(
        BulkMove(
            id=new_id(),
            org_unit_id=caller.org_unit_id,
            account_id=caller.account_id,
            at=now,
            kind=BulkKind.REORDER,
            reason=reason,
            content_hash="",
            before=[{**about, "route": [str(stop.order_id) for stop in before.stops]}],
            after=[{**about, "route": [str(one) for one in route]}],
            days=[],
            left_out=[],
        )
    )
    await tx.flush()
    return after


async def _person(
    session: AsyncSession, technician_id: UUID, day: date, caller: Caller, now: datetime
) -> Person:
    person = (await people_of_days(session, [technician_id], caller, now)).get(technician_id)
    if person is None or not person.counted_on(day):
        raise NotFound()
    return person


async def _read(session: AsyncSession, person: Person, day: date, now: datetime) -> DayOfRoute:
    key = (person.diary.technician_id, day)
    standing = (await standing_days(session, [key], {key[0]: person}, now))[key]
    return _followed(person, day, standing.frame, standing.stops, written=bool(standing.route))


def _followed(
    person: Person, day: date, frame: Frame | None, stops: Sequence[Stop], *, written: bool
) -> DayOfRoute:
    drive = None if frame is None else follow(frame, stops, person.travel)
    return DayOfRoute(person.diary.technician_id, day, list(stops), frame, drive, written)
