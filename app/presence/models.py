"""One row a shift as it was really worked, and the few coarse positions that are kept of it."""

from datetime import datetime
from uuid import UUID

from geoalchemy2 import Geometry
from geoalchemy2.elements import WKBElement
from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, text_enum
from app.presence.rules import DutyEnd


class Duty(Row, Base):
    """A technician's shift, from when they said that it begins until they said that it ends.

    `began_at` and `ended_at` are by the phone's clock within limits, `created_at` is when it came
    to be known. Positions are agreed to from `consent_from` on, under the words of
    `consent_version`; both are null when that was not given, or was withdrawn.
    """

    __tablename__ = "duty"
    __table_args__ = (
        Index(
            "uq_duty_open", "technician_id", unique=True, postgresql_where=text("ended_at IS NULL")
        ),
        Index("ix_duty_technician", "technician_id", "began_at"),
        CheckConstraint("ended_at >= began_at", name="times_in_order"),
    )

    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    device_at: Mapped[datetime]
    began_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    end: Mapped[DutyEnd | None] = mapped_column(text_enum(DutyEnd))
    consent_version: Mapped[int | None]
    consent_from: Mapped[datetime | None]
    consent_withdrawn_at: Mapped[datetime | None]


class Position(Base):
    """About where a technician was at a moment of their phone's clock: the middle of a square
    (WGS-84)."""

    __tablename__ = "position"
    # What is over is found by the time at which it was; a row is written about then, so that an
    # index of blocks finds it, which is a thousandth of the table.
    __table_args__ = (Index("ix_position_at", "at", postgresql_using="brin"),)

    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"), primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    duty_id: Mapped[UUID]
    point: Mapped[WKBElement] = mapped_column(Geometry("POINT", srid=4326, spatial_index=False))
    accuracy_m: Mapped[int]
