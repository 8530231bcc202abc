"""What the operator's system last said of the line to each address that was asked about."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base


class ServiceabilityAnswer(Base):
    """The last answer about an address; a newer one takes its place.

    `expires_at` is until when it need not be asked again. `reason` are the system's own words.
    """

    __tablename__ = "serviceability_answer"

    service_address_id: Mapped[UUID] = mapped_column(
        ForeignKey("service_address.id", ondelete="CASCADE"), primary_key=True
    )
    asked_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    port_free: Mapped[bool | None]
    max_speed_mbps: Mapped[int | None]
    olt_port: Mapped[str | None]
    reason: Mapped[str | None]
