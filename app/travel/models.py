"""Ways that were driven, and what was learned from them."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import REAL, CheckConstraint, ForeignKey, Index, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, text_enum
from app.travel.rules import Cut


class Trip(Base):
    """A way that a technician went from setting out to checking in; the id is the check-in's event.

    `seconds` are what it took, `expected` what was expected of it before it was learned from, and
    `by_distance` what would have been expected if nothing had ever been learned; `metres` is the
    straight line and `least` what every way takes besides. Grids are those of the place before
    (null: home, or none) and of this order; `day` and `hour` are local ones of the setting out.
    """

    __tablename__ = "trip"
    __table_args__ = (
        Index("ix_trip_day", "day"),
        Index("ix_trip_unit", "org_unit_id", "day"),
        CheckConstraint("hour BETWEEN 0 AND 23", name="hour"),
        CheckConstraint("seconds >= 0", name="not_negative"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    work_order_id: Mapped[UUID] = mapped_column(ForeignKey("work_order.id"))
    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    set_out_at: Mapped[datetime]
    day: Mapped[date]
    hour: Mapped[int] = mapped_column(SmallInteger)
    from_grid_id: Mapped[UUID | None]
    to_grid_id: Mapped[UUID | None]
    seconds: Mapped[int]
    expected: Mapped[int]
    by_distance: Mapped[int]
    least: Mapped[int]
    metres: Mapped[int]
    cut: Mapped[Cut | None] = mapped_column(text_enum(Cut))


class TravelMedian(Base):
    """The medians of the ways from one grid to another at a local hour (-1: at any), with how many
    there were: `seconds` is for people to read, `pace` is seconds a metre of the straight line.

    Written anew every night; grids are never deleted, so no foreign key watches.
    """

    __tablename__ = "travel_median"
    __table_args__ = (CheckConstraint("hour BETWEEN -1 AND 23", name="hour"),)

    from_grid_id: Mapped[UUID] = mapped_column(primary_key=True)
    to_grid_id: Mapped[UUID] = mapped_column(primary_key=True)
    hour: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    pace: Mapped[float] = mapped_column(REAL)
    seconds: Mapped[int]
    trips: Mapped[int]


class TravelRatio(Base):
    """How much longer ways of an org unit and those under it took than by distance: the median at
    a local hour (-1: at any), with how many there were. Written anew every night."""

    __tablename__ = "travel_ratio"
    __table_args__ = (CheckConstraint("hour BETWEEN -1 AND 23", name="hour"),)

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"), primary_key=True)
    hour: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    ratio: Mapped[float] = mapped_column(REAL)
    trips: Mapped[int]


class TravelRoad(Base):
    """What a routing engine says of the way from one grid to another: `pace` is seconds a metre of
    the straight line between a point of each, null where no road leads there. `asked_at` is UTC.

    It is known by day and hour of nothing: it stands for the median of a pair that has none yet.
    """

    __tablename__ = "travel_road"

    from_grid_id: Mapped[UUID] = mapped_column(primary_key=True)
    to_grid_id: Mapped[UUID] = mapped_column(primary_key=True)
    pace: Mapped[float | None] = mapped_column(REAL)
    asked_at: Mapped[datetime]
