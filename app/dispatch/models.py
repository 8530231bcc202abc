"""Stored decisions of placing, and points that many unrelated orders share."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row


class DispatchDecision(Row, Base):
    """Why an order went where it went: the grid, each candidate and what it failed or won by.

    Append-only; the newest row of an order is the one in force. `reason` is how the chosen one
    belongs to the grid, `by_hand`, or why nobody was found. `candidates` are in the order of
    asking, with short names since there are many: t technician, k kind, r rank, m metres away (of
    a neighbour), w why passed over (absent for the chosen one); a last entry {n} counts those
    nobody needed to look at.
    """

    __tablename__ = "dispatch_decision"

    work_order_id: Mapped[UUID] = mapped_column(ForeignKey("work_order.id"), primary_key=True)
    at: Mapped[datetime]
    grid_id: Mapped[UUID | None]
    technician_id: Mapped[UUID | None]
    planned_day: Mapped[date | None]
    reason: Mapped[str]
    note: Mapped[str | None]
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
