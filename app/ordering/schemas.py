"""Wire shapes of deliveries, for supervisors."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from app.core.http import Answer
from app.ordering.delivery import SyncState


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
