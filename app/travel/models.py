"""Ways that were driven, and what was learned from them."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row


class Trip(Row, Base):
    """A way that a technician went from setting out to checking in; one row a check-in.

    `seconds` are what it took, `expected` what was expected of it before it was learned from,
    `distance_m` is the straight line; `hour` and `day` are local ones of the setting out. Grids
    are those of the order before (null: from home) and of this one.
    """

    __tablename__ = "trip"
    __table_args__ = (
        Index("uq_trip_order", "work_order_id", "set_out_at", unique=True),
        Index("ix_trip_day", "day"),
        CheckConstraint("hour BETWEEN 0 AND 23", name="hour"),
        CheckConstraint("seconds >= 0", name="not_negative"),
    )

    work_order_id: Mapped[UUID] = mapped_column(ForeignKey("work_order.id"))
    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    set_out_at: Mapped[datetime]
    day: Mapped[date]
    hour: Mapped[int]
    from_grid_id: Mapped[UUID | None]
    to_grid_id: Mapped[UUID | None]
    seconds: Mapped[int]
    expected: Mapped[int]
    distance_m: Mapped[int]


class TravelMedian(Base):
    """The median of the ways from one grid to another at a local hour (-1: at any), with how many
    there were. Written anew every night; grids are never deleted, so no foreign key watches."""

    __tablename__ = "travel_median"
    __table_args__ = (CheckConstraint("hour BETWEEN -1 AND 23", name="hour"),)

    from_grid_id: Mapped[UUID] = mapped_column(primary_key=True)
    to_grid_id: Mapped[UUID] = mapped_column(primary_key=True)
    hour: Mapped[int] = mapped_column(primary_key=True)
    seconds: Mapped[int]
    trips: Mapped[int]
    learned_at: Mapped[datetime]
