"""Wire shapes of deliveries, for supervisors."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from app.core.http import Answer, Input, Moment
from app.ordering.delivery import ChangeKind, ChangeState, Endpoint, SyncState


class OrderSyncOut(Answer):
    """The delivery of one sale to the ordering system."""

    id: UUID
    sale_id: UUID
    state: SyncState
    attempts: int
    next_try_at: datetime | None = Field(description="When something is done by itself; real time.")
    last_tried_at: datetime | None
    last_error: str | None
    remote_id: str | None
    remote_state: str | None
    doubles: list[str] = Field(
        description="Further orders of the other side with our id; have them cancelled there."
    )


class OrderSyncPage(Answer):
    """A page of deliveries, newest first."""

    order_syncs: list[OrderSyncOut]
    next_page_token: str | None


class OrderChangeIn(Input):
    """A wish to cancel or to amend the order of a sale; sent again, answered like at first."""

    id: UUID = Field(description="Made by whoever asks, a UUIDv7.")
    kind: ChangeKind
    reason: str = Field(min_length=1, max_length=300)
    note: str | None = Field(
        default=None, min_length=1, max_length=500, description="To amend: a note to be added."
    )
    requested_start: Moment | None = Field(
        default=None, description="To amend: when the customer wants to have it."
    )


class OrderChangeOut(Answer):
    """A change of an order: what was asked, and how far it has come."""

    id: UUID
    sale_id: UUID
    kind: ChangeKind
    state: ChangeState
    reason: str
    note: str | None
    requested_start: datetime | None
    asked_at: datetime
    attempts: int
    next_try_at: datetime | None = Field(description="When something is done by itself; real time.")
    last_error: str | None = Field(description="What went wrong, or why it was refused.")
    remote_state: str | None = Field(description="The ordering system's own word for it.")
    ended_at: datetime | None


class OrderChanges(Answer):
    """What was asked of the order of a sale, the latest first."""

    changes: list[OrderChangeOut]


class EndpointOut(Answer):
    """One endpoint of the ordering system: whether it is left alone for now, and why."""

    endpoint: Endpoint
    open_since: datetime | None = Field(
        description="Since when nothing is sent; null while all is well."
    )
    open_until: datetime | None = Field(description="When one attempt tries it out again.")
    times_opened: int
    last_error: str | None


class ListenerOut(Answer):
    """Our listener on the ordering system's hub."""

    callback: str
    registered_at: datetime | None = Field(description="Null while it is not registered.")
    checked_at: datetime | None
    last_error: str | None


class OrderingSystemOut(Answer):
    """How we stand with the ordering system."""

    endpoints: list[EndpointOut]
    listeners: list[ListenerOut]
