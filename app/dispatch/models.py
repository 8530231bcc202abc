"""Stored decisions of placing, and points that many unrelated orders share."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row


class DispatchDecision(Row, Base):
    """Why an order went where it went: the grid, each candidate and what it failed or won by.

    Append-only; the newest row of an order is the one in force.
    """

    __tablename__ = "dispatch_decision"
    __table_args__ = (Index("ix_dispatch_decision_order", "work_order_id", "id"),)

    work_order_id: Mapped[UUID] = mapped_column(ForeignKey("work_order.id"))
    at: Mapped[datetime]
    grid_id: Mapped[UUID | None]
    technician_id: Mapped[UUID | None]
    reason: Mapped[str]
    account_id: Mapped[UUID | None]
    candidates: Mapped[list[dict[str, Any]]]


class PointLocality(Base):
    """A locality (street or compound) that some order named at a point; degrees times a million."""

    __tablename__ = "point_locality"

    lon_e6: Mapped[int] = mapped_column(primary_key=True)
    lat_e6: Mapped[int] = mapped_column(primary_key=True)
    locality: Mapped[str] = mapped_column(primary_key=True)


class SharedPoint(Base):
    """A point that so many unrelated orders share that it can only be a geocoder's stand-in.

    `trusted_at` set means a person has looked and says that the point is real.
    """

    __tablename__ = "shared_point"

    lon_e6: Mapped[int] = mapped_column(primary_key=True)
    lat_e6: Mapped[int] = mapped_column(primary_key=True)
    flagged_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    trusted_at: Mapped[datetime | None]
