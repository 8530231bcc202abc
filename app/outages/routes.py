"""Doorways of outages: what is proposed, what a supervisor decides, and what belongs to it."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Response, status

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.geo import CoordSys
from app.core.http import Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.outages.queries import listing, places
from app.outages.rules import OutageState, Place
from app.outages.schemas import (
    MOST_ORDERS,
    AmendIn,
    CloseIn,
    ConfirmedIn,
    ConfirmIn,
    DeclareIn,
    DismissIn,
    OrdersIn,
    OutageDetailOut,
    OutageOut,
    OutagePage,
)
from app.outages.service import deciding, members
from app.outages.service.deciding import Confirmed

router = Router(prefix="/v1/outages", tags=["outages"])

Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="orders:read"))]
Decider = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="orders:dispatch"))]
InSystem = Annotated[
    CoordSys, Query(alias="coordsys", description="The coordinate system of points in the answer.")
]


@router.get("", operation_id="outages_list")
async def listed(
    reader: Reader,
    read: Read,
    state: OutageState | None = None,
    coordsys: InSystem = CoordSys.WGS84,
    size: PageSize = 50,
    token: PageToken = None,
) -> OutagePage:
    """List the outages of your part of the organisation: open ones first, the newest first."""
    after = key_of(token, int, datetime, UUID) if token else None
    rows, last = cut(
        await listing.page(
            read,
            reader,
            size=size,
            state=state,
            after=after and (bool(after[0]), after[1], after[2]),
        ),
        size,
    )
    return OutagePage(
        outages=[OutageOut.of(row, coordsys) for row in rows],
        next_page_token=(
            token_of(int(last.ended_at is None), last.found_at, last.id) if last else None
        ),
    )


@router.get("/{outage_id}", operation_id="outages_one")
async def one(
    outage_id: UUID, reader: Reader, read: Read, coordsys: InSystem = CoordSys.WGS84
) -> OutageDetailOut:
    """Read an outage with its orders and where they are."""
    row = await listing.one(read, outage_id, reader)
    children = await listing.children(read, outage_id, most=MOST_ORDERS)
    homes = await places.homes(read, Place(row.place_kind, row.place_key))
    return OutageDetailOut.with_children(row, children, homes, coordsys)


@router.post(
    "",
    operation_id="outages_declare",
    status_code=status.HTTP_201_CREATED,
    responses={200: {"description": "The same outage again.", "model": OutageOut}},
)
async def declare(
    body: DeclareIn, decider: Decider, tx: Tx, now: Now, response: Response
) -> OutageOut:
    """Declare an outage that you know of: its reports are held, and one order is worked on."""
    outage, new = await deciding.declare(
        tx,
        body.id,
        decider,
        Place(body.kind, body.key),
        _confirmed(body),
        since=body.since,
        now=now,
    )
    if not new:
        response.status_code = status.HTTP_200_OK
    return await _shown(tx, outage.id, decider)


@router.post("/{outage_id}/confirm", operation_id="outages_confirm")
async def confirm(
    outage_id: UUID, body: ConfirmIn, decider: Decider, tx: Tx, now: Now
) -> OutageOut:
    """Say that a proposal is an outage: its orders are held, and one order is worked on."""
    await deciding.confirm(tx, outage_id, decider, _confirmed(body), version=body.version, now=now)
    return await _shown(tx, outage_id, decider)


@router.post("/{outage_id}/amend", operation_id="outages_amend")
async def amend(outage_id: UUID, body: AmendIn, decider: Decider, tx: Tx) -> OutageOut:
    """Correct a confirmed outage: its cause, its expected end, what becomes of its orders."""
    given = body.model_dump(exclude={"version"}, exclude_none=True)
    await deciding.amend(tx, outage_id, decider, given, version=body.version)
    return await _shown(tx, outage_id, decider)


@router.post("/{outage_id}/dismiss", operation_id="outages_dismiss")
async def dismiss(
    outage_id: UUID, body: DismissIn, decider: Decider, tx: Tx, now: Now
) -> OutageOut:
    """Say that a proposal is no outage; the place is not proposed again for a while."""
    await deciding.dismiss(tx, outage_id, decider, version=body.version, note=body.note, now=now)
    return await _shown(tx, outage_id, decider)


@router.post("/{outage_id}/attach", operation_id="outages_attach")
async def attach(outage_id: UUID, body: OrdersIn, decider: Decider, tx: Tx, now: Now) -> OutageOut:
    """Let further orders belong to an open outage."""
    await members.attach(tx, outage_id, decider, body.order_ids, version=body.version, now=now)
    return await _shown(tx, outage_id, decider)


@router.post("/{outage_id}/detach", operation_id="outages_detach")
async def detach(outage_id: UUID, body: OrdersIn, decider: Decider, tx: Tx, now: Now) -> OutageOut:
    """Split off orders that do not belong to an outage; they are placed at once."""
    await members.detach(tx, outage_id, decider, body.order_ids, version=body.version, now=now)
    return await _shown(tx, outage_id, decider)


@router.post("/{outage_id}/close", operation_id="outages_close")
async def close(outage_id: UUID, body: CloseIn, decider: Decider, tx: Tx, now: Now) -> OutageOut:
    """Say that an outage is over; its orders are tested, closed or placed afterwards."""
    await deciding.close(
        tx,
        outage_id,
        decider,
        version=body.version,
        when_over=body.when_over,
        restored_at=body.restored_at,
        note=body.note,
        now=now,
    )
    return await _shown(tx, outage_id, decider)


def _confirmed(body: ConfirmedIn) -> Confirmed:
    return Confirmed(body.cause, body.expected_end, body.when_over, body.note)


async def _shown(tx: Tx, outage_id: UUID, caller: Caller) -> OutageOut:
    return OutageOut.of(await listing.one(tx, outage_id, caller), CoordSys.WGS84)
