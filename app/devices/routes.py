"""Doorways of phones: what a phone says of itself, and what supervisors do when one is lost."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, status

from app.auth.callers import Caller, caller
from app.auth.queries import org_unit_within
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.devices import queries, service
from app.devices.phones import DeviceName
from app.devices.schemas import (
    ConfirmIn,
    DeviceIn,
    DeviceOut,
    DevicePage,
    MyDeviceOut,
    WipeIn,
    WipeOut,
    WipesIn,
    WipesOut,
)

router = Router(prefix="/v1", tags=["devices"])

# Supervisors' phones are woken by alerts.
Owner = Annotated[
    Caller, Depends(caller(Role.TECHNICIAN, Role.SUPERVISOR, scope="me:read", emptying=True))
]
Overseer = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="technicians:read"))]
Wiper = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="devices:wipe"))]


@router.put("/my/device", operation_id="my_device_register")
async def register(body: DeviceIn, owner: Owner, name: DeviceName, tx: Tx, now: Now) -> MyDeviceOut:
    """Say what this phone is and how it is woken; again is like once.

    Do so at every start of the app, and when the phone's maker gives it another token. A push says
    only why it comes: `news` or `wipe`, pull then; `alert`, list alerts then.
    """
    push = body.push
    device = await service.register(
        tx,
        owner,
        name,
        platform=body.platform,
        app_version=body.app_version,
        push_provider=push.provider if push else None,
        push_token=push.token if push else None,
        now=now,
    )
    return MyDeviceOut.model_validate(device)


@router.post("/my/device/wipes/{wipe_id}/confirm", operation_id="my_device_confirm_wipe")
async def confirm(
    wipe_id: UUID, body: ConfirmIn, owner: Owner, name: DeviceName, tx: Tx, now: Now
) -> WipeOut:
    """Say that this phone has been emptied; its sign-in ends with that. Again is like once.

    Only the phone can say so that the wipe is meant for: its sign-in is known, and another one of
    the same account is answered with 404.
    """
    wipe = await service.confirm_wipe(tx, owner, name, wipe_id, unsent=body.unsent, now=now)
    return WipeOut.of(wipe)


@router.get("/devices", operation_id="devices_list")
async def listed(
    overseer: Overseer,
    read: Read,
    org_unit_id: Annotated[
        UUID | None, Query(description="Only this org unit and what is under it.")
    ] = None,
    technician_id: Annotated[UUID | None, Query(description="Only this technician's.")] = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> DevicePage:
    """List the phones of the caller's part of the organisation, when each was last heard of, and
    which are to be emptied."""
    unit = await org_unit_within(read, org_unit_id, overseer) if org_unit_id else None
    rows, last = cut(
        await queries.page(
            read,
            org_path=unit.path if unit else overseer.org_path,
            technician_id=technician_id,
            size=size,
            after=key_of(token, UUID)[0] if token else None,
        ),
        size,
    )
    return DevicePage(
        devices=[DeviceOut.of(row) for row in rows],
        next_page_token=token_of(last.id) if last else None,
    )


@router.post(
    "/devices/{device_id}/wipe", status_code=status.HTTP_201_CREATED, operation_id="devices_wipe"
)
async def wipe(device_id: UUID, body: WipeIn, wiper: Wiper, tx: Tx, now: Now) -> WipeOut:
    """Have a phone emptied that was lost, or is somebody else's now.

    It is told by its stream, by a push, or when it next syncs. It may push what is unsent: what was
    done before this moment is still carried out. Then it removes everything, says so, and is
    signed out. One that is to be emptied already is answered with that wipe.
    """
    made = await service.ask_wipe(
        tx, wiper, device_id, wipe_id=body.id, reason=body.reason, now=now
    )
    return WipeOut.of(made)


@router.post("/devices/{device_id}/wipe/withdraw", operation_id="devices_withdraw_wipe")
async def withdraw(device_id: UUID, wiper: Wiper, tx: Tx, now: Now) -> WipeOut:
    """Let a phone be that was found again, unless it has been emptied. Again is like once."""
    return WipeOut.of(await service.withdraw_wipe(tx, wiper, device_id, now=now))


@router.post(
    "/accounts/{account_id}/wipe-devices",
    status_code=status.HTTP_201_CREATED,
    operation_id="accounts_wipe_devices",
)
async def wipe_all(account_id: UUID, body: WipesIn, wiper: Wiper, tx: Tx, now: Now) -> WipesOut:
    """Have all phones emptied that an account is known to use; again is like once."""
    made = await service.ask_wipes(tx, wiper, account_id, reason=body.reason, now=now)
    return WipesOut(wipes=[WipeOut.of(one) for one in made])
