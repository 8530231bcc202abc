"""Doorways of presence: a technician's own shift and positions, and what supervisors see."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, status

from app.auth.callers import Caller, caller, technician_of
from app.auth.queries import org_unit_within
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.errors import Invalid
from app.core.geo import CoordSys
from app.core.http import Moment, Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.presence import queries, service
from app.presence.rules import MOST_TRACKED
from app.presence.schemas import (
    BeginShiftIn,
    ConsentIn,
    EndShiftIn,
    MyShiftOut,
    PositionsIn,
    PositionsTakenOut,
    PresencePage,
    PresentOut,
    ShiftOut,
    TrackOut,
    WherePage,
)

router = Router(prefix="/v1", tags=["presence"])

Technician = Annotated[Caller, Depends(caller(Role.TECHNICIAN, scope="work:do"))]
Overseer = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="technicians:read"))]

OrgUnitId = Annotated[
    UUID | None, Query(description="With all units under it; left out, the caller's own.")
]
Coords = Annotated[CoordSys, Query(description="The system points are wanted in.")]
Since = Annotated[Moment, Query(alias="from", description="From this moment on.")]
Until = Annotated[Moment, Query(description="Before this moment, at most two days later.")]

LONGEST_TRACK = timedelta(days=2)


@router.get("/my/shift", operation_id="my_shift")
async def mine(technician: Technician, read: Read) -> MyShiftOut:
    """Read the shift that the caller is on, and the words to be agreed to before the next one."""
    return MyShiftOut.of(await queries.open_duty(read, technician_of(technician)))


@router.post("/my/shifts", status_code=status.HTTP_201_CREATED, operation_id="my_shifts_begin")
async def begin(body: BeginShiftIn, technician: Technician, tx: Tx, now: Now) -> ShiftOut:
    """Say that the shift begins, and whether positions are agreed to; again is like once.

    Without it orders come all the same: the shift says to supervisors who is there.
    """
    duty = await service.begin(
        tx,
        technician,
        duty_id=body.id,
        positions_consent=body.positions_consent,
        device_at=body.device_at,
        now=now,
    )
    return ShiftOut.of(duty)


@router.post("/my/shifts/{shift_id}/end", operation_id="my_shifts_end")
async def end(
    shift_id: UUID, body: EndShiftIn, technician: Technician, tx: Tx, now: Now
) -> ShiftOut:
    """Say that the shift ends; again is like once."""
    return ShiftOut.of(
        await service.end(tx, technician, shift_id, device_at=body.device_at, now=now)
    )


@router.post("/my/shifts/{shift_id}/consent", operation_id="my_shifts_consent")
async def consent(
    shift_id: UUID, body: ConsentIn, technician: Technician, tx: Tx, now: Now
) -> ShiftOut:
    """Agree to positions from now on, or take that back; again is like once.

    When it is taken back, all positions of the shift are deleted at once.
    """
    duty = await service.agree(
        tx,
        technician,
        shift_id,
        positions_consent=body.positions_consent,
        device_at=body.device_at,
        now=now,
    )
    return ShiftOut.of(duty)


@router.post("/my/positions", operation_id="my_positions_report")
async def report(body: PositionsIn, technician: Technician, tx: Tx, now: Now) -> PositionsTakenOut:
    """Send positions, many at once; the same again changes nothing.

    What lies outside of a shift or of what was agreed to is dropped and nowhere written; the rest
    is thinned out and rounded to squares of some hundred metres.
    """
    return PositionsTakenOut.of(await service.report(tx, technician, body.read(), now=now))


@router.get("/my/positions", operation_id="my_positions")
async def own_track(
    technician: Technician,
    read: Read,
    since: Since,
    until: Until,
    coordsys: Coords = CoordSys.GCJ02,
) -> TrackOut:
    """Read what is kept of the caller's own positions."""
    _at_most(since, until)
    mine = technician_of(technician)
    return TrackOut.of(await queries.track(read, mine, since, until, MOST_TRACKED), coordsys)


@router.get("/presence", operation_id="presence_list")
async def there(
    overseer: Overseer,
    read: Read,
    org_unit_id: OrgUnitId = None,
    on_shift: Annotated[bool, Query(description="Only who is on shift.")] = False,
    size: PageSize = 50,
    token: PageToken = None,
) -> PresencePage:
    """List who is on shift, and when each was last heard of, by code; nobody's position."""
    unit = await org_unit_within(read, org_unit_id or overseer.org_unit_id, overseer)
    after = key_of(token, str)[0] if token else ""
    rows, last = cut(
        await queries.there(read, org_path=unit.path, on_shift=on_shift, after=after, size=size),
        size,
    )
    return PresencePage(
        technicians=[PresentOut.model_validate(row) for row in rows],
        next_page_token=token_of(last.code) if last else None,
    )


@router.get("/presence/positions", operation_id="presence_positions")
async def positions(
    overseer: Overseer, tx: Tx, org_unit_id: OrgUnitId = None, coordsys: Coords = CoordSys.GCJ02
) -> WherePage:
    """Show about where those are who are on shift and agree to it; the look is in the audit trail.

    Ask when a map is opened, not all the time.
    """
    unit = await org_unit_within(tx, org_unit_id or overseer.org_unit_id, overseer)
    return WherePage.of(await service.whereabouts(tx, overseer, unit), coordsys)


@router.get("/presence/{technician_id}/track", operation_id="presence_track")
async def track(
    technician_id: UUID,
    overseer: Overseer,
    tx: Tx,
    since: Since,
    until: Until,
    reason: Annotated[
        str, Query(min_length=4, max_length=200, description="Why; it is in the audit trail.")
    ],
    coordsys: Coords = CoordSys.GCJ02,
) -> TrackOut:
    """Show where a technician has been on their shifts, as far as they agreed to it, and why that
    is looked at stands in the audit trail."""
    _at_most(since, until)
    found = await service.track(
        tx, overseer, technician_id, since=since, until=until, reason=reason
    )
    return TrackOut.of(found, coordsys)


def _at_most(since: datetime, until: datetime) -> None:
    if not since < until <= since + LONGEST_TRACK:
        message = f"must lie after `from`, at most {LONGEST_TRACK.days} days"
        raise Invalid(errors=[{"field": "until", "message": message}])
