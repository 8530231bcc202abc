"""Technicians, their skills, weekly shifts, leave and the minutes promised of each day."""

from datetime import date, datetime, time
from uuid import UUID

from geoalchemy2 import Geometry
from geoalchemy2.elements import WKBElement
from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, text_enum
from app.technicians.rules import LeaveCause


class Technician(Row, Base):
    """A person who installs and repairs; `home_point` is where the day begins and ends (WGS-84)."""

    __tablename__ = "technician"

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"), index=True)
    code: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    phone: Mapped[str | None]
    contractor: Mapped[str | None]
    home_point: Mapped[WKBElement | None] = mapped_column(
        Geometry("POINT", srid=4326, spatial_index=False)
    )
    daily_minutes: Mapped[int] = mapped_column(server_default=text("480"))
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    version: Mapped[int] = mapped_column(server_default=text("1"))

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class TechnicianSkill(Base):
    """A skill a technician has, with a level from 1 (can) to 5 (teaches)."""

    __tablename__ = "technician_skill"

    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"), primary_key=True)
    skill: Mapped[str] = mapped_column(primary_key=True)
    level: Mapped[int] = mapped_column(server_default=text("1"))


class Shift(Row, Base):
    """A weekly working time, local to the org unit; weekday 0 is Monday."""

    __tablename__ = "shift"
    __table_args__ = (
        Index("uq_shift_technician", "technician_id", "weekday", "starts_at", unique=True),
        CheckConstraint("weekday BETWEEN 0 AND 6", name="weekday"),
        CheckConstraint("ends_at > starts_at", name="times_in_order"),
    )

    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    weekday: Mapped[int]
    starts_at: Mapped[time]
    ends_at: Mapped[time]


class Leave(Row, Base):
    """A time a technician does not work: holiday, illness, training."""

    __tablename__ = "leave"
    __table_args__ = (
        Index("ix_leave_technician", "technician_id", "ends_at"),
        CheckConstraint("ends_at > starts_at", name="times_in_order"),
    )

    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    cause: Mapped[LeaveCause] = mapped_column(text_enum(LeaveCause))


class TechnicianDay(Base):
    """The minutes and orders promised of one technician's day; its row is the lock for placing.

    Only `technicians.service.commit_minutes` and `release_minutes` change it, always in the
    transaction that moves the order.
    """

    __tablename__ = "technician_day"
    __table_args__ = (
        CheckConstraint("committed_minutes >= 0 AND orders >= 0", name="not_negative"),
    )

    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    committed_minutes: Mapped[int] = mapped_column(server_default=text("0"))
    orders: Mapped[int] = mapped_column(server_default=text("0"))
