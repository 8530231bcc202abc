"""Wire shapes of phones."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, StringConstraints

from app.core.http import Answer, Input
from app.devices.models import DeviceWipe
from app.devices.queries import DeviceRow
from app.devices.rules import PushProvider, WipeState, wipe_state

Short = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Reason = Annotated[str, StringConstraints(min_length=2, max_length=500)]


class PushIn(Input):
    """How a phone is woken while its app is in the background."""

    provider: PushProvider = Field(description="Whose service gave the token.")
    token: Annotated[str, StringConstraints(min_length=8, max_length=4096)]


class DeviceIn(Input):
    """What a phone is."""

    platform: Short | None = Field(default=None, examples=["android 14"])
    app_version: Short | None = Field(default=None, examples=["3.2.0"])
    push: PushIn | None = Field(
        default=None, description="Left out, the phone is not woken any more."
    )


class MyDeviceOut(Answer):
    """A phone as it knows itself."""

    id: UUID
    name: str = Field(max_length=64, description="`X-Device-Id`, or `-` without it.")
    platform: str | None = Field(max_length=64)
    app_version: str | None = Field(max_length=64)
    push_provider: PushProvider | None


class WipeIn(Input):
    """That a phone is to be emptied, and why."""

    id: UUID = Field(description="Made by the client (UUIDv7): sent again it is the same wipe.")
    reason: Reason = Field(examples=["lost on the bus"])


class WipesIn(Input):
    """That all phones of an account are to be emptied, and why."""

    reason: Reason


class ConfirmIn(Input):
    """What a phone says that has been emptied."""

    unsent: int = Field(
        ge=0,
        le=100_000,
        description="How many actions it could not push before; 0 when nothing was lost.",
    )


class WipeOut(Answer):
    """A wipe and how far it has come."""

    id: UUID
    device_id: UUID
    state: WipeState
    reason: str = Field(max_length=500)
    asked_at: datetime
    confirmed_at: datetime | None
    withdrawn_at: datetime | None
    unsent: int | None = Field(
        ge=0, description="How many actions the phone gave up; null until it has confirmed."
    )

    @classmethod
    def of(cls, wipe: DeviceWipe) -> Self:
        """Write a wipe."""
        return cls(
            id=wipe.id,
            device_id=wipe.device_id,
            state=wipe_state(wipe.confirmed_at, wipe.withdrawn_at),
            reason=wipe.reason,
            asked_at=wipe.asked_at,
            confirmed_at=wipe.confirmed_at,
            withdrawn_at=wipe.withdrawn_at,
            unsent=wipe.unsent,
        )


class WipesOut(Answer):
    """The wipes of an account's phones."""

    wipes: Annotated[list[WipeOut], Field(max_length=1000)]


class DeviceOut(Answer):
    """A phone as supervisors see it."""

    id: UUID
    account_id: UUID
    username: str = Field(max_length=200)
    technician_id: UUID | None
    technician_code: str | None = Field(max_length=64)
    technician_name: str | None = Field(max_length=200)
    name: str = Field(
        max_length=64, description="What it calls itself by `X-Device-Id`; `-` when it does not."
    )
    platform: str | None = Field(max_length=64)
    app_version: str | None = Field(max_length=64)
    push_provider: PushProvider | None = Field(description="Null: it cannot be woken.")
    last_seen_at: datetime = Field(description="Right to within some minutes.")
    streaming: bool = Field(description="Whether it listens to the stream at this moment.")
    wipe: WipeOut | None = Field(description="The last one that was asked for.")

    @classmethod
    def of(cls, row: DeviceRow) -> Self:
        """Write a phone."""
        wipe = None
        if row.wipe_id is not None and row.wipe_asked_at is not None:
            wipe = WipeOut(
                id=row.wipe_id,
                device_id=row.id,
                state=wipe_state(row.wipe_confirmed_at, row.wipe_withdrawn_at),
                reason=row.wipe_reason or "",
                asked_at=row.wipe_asked_at,
                confirmed_at=row.wipe_confirmed_at,
                withdrawn_at=row.wipe_withdrawn_at,
                unsent=row.wipe_unsent,
            )
        return cls(**{**row._asdict(), "wipe": wipe})


class DevicePage(Answer):
    """A page of phones."""

    devices: Annotated[list[DeviceOut], Field(max_length=200)]
    next_page_token: str | None = Field(max_length=400)
