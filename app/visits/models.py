"""Visits: one attempt at an order."""

from datetime import datetime
from typing import Any
from uuid import UUID

from geoalchemy2 import Geometry
from geoalchemy2.elements import WKBElement
from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row


class Visit(Row, Base):
    """One attempt at an order by one technician; the phone makes the id when it sets out."""

    __tablename__ = "visit"
    __table_args__ = (
        Index(
            "uq_visit_one_open_per_order",
            "work_order_id",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("ix_visit_technician", "technician_id", "travel_started_at"),
    )

    work_order_id: Mapped[UUID] = mapped_column(ForeignKey("work_order.id"))
    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    travel_started_at: Mapped[datetime]
    checked_in_at: Mapped[datetime | None]
    check_in_point: Mapped[WKBElement | None] = mapped_column(
        Geometry("POINT", srid=4326, spatial_index=False)
    )
    check_in_accuracy_m: Mapped[float | None]
    check_in_distance_m: Mapped[float | None]
    far_reason: Mapped[str | None]
    restored_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    outcome_code: Mapped[str | None]
    measurements: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    note: Mapped[str | None]
