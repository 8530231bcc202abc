"""Technicians, their skills, weekly shifts, leave, loans, and what is promised of each day."""

from datetime import date, datetime, time
from uuid import UUID

from geoalchemy2 import Geometry
from geoalchemy2.elements import WKBElement
from sqlalchemy import CheckConstraint, ForeignKey, Index, Uuid, func, literal_column, text
from sqlalchemy.dialects.postgresql import ARRAY, ExcludeConstraint
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
        # Leave that is not over, beside years of what is.
        Index("ix_leave_ends_at", "ends_at"),
        CheckConstraint("ends_at > starts_at", name="times_in_order"),
    )

    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    cause: Mapped[LeaveCause] = mapped_column(text_enum(LeaveCause))


class TechnicianDay(Base):
    """The minutes and orders promised of one technician's day; its row is the lock for placing.

    `route` is the order in which the day's orders are to be done, by their ids; which orders a day
    has is told by the orders themselves, so one in neither list is only without a place yet. Only
    `technicians.availability` changes a row, always in the transaction that moves the order, and
    each change makes the `version` greater: whoever has read a day without locking it can tell.
    """

    __tablename__ = "technician_day"
    __table_args__ = (
        CheckConstraint("committed_minutes >= 0 AND orders >= 0", name="not_negative"),
    )

    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    committed_minutes: Mapped[int] = mapped_column(server_default=text("0"))
    orders: Mapped[int] = mapped_column(server_default=text("0"))
    route: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid), server_default=text("'{}'"))
    version: Mapped[int] = mapped_column(server_default=text("0"))


class TechnicianLoan(Row, Base):
    """Somebody who works for another org unit on some local days, `valid_to` excluded.

    Who covers the technician lends; who only covers the borrowing unit asks, and it is `agreed_at`
    later or `ended_at` without it. While it runs, the unit plans with this person and their own
    does not.
    """

    __tablename__ = "technician_loan"
    __table_args__ = (
        ExcludeConstraint(
            ("technician_id", "="),
            (func.daterange(literal_column("valid_from"), literal_column("valid_to")), "&&"),
            name="ex_technician_loan_one_at_a_time",
            using="gist",
            where=text("agreed_at IS NOT NULL AND ended_at IS NULL"),
        ),
        Index("ix_technician_loan_unit", "org_unit_id", "valid_to"),
        # Those that run or will run: few, beside all that ever did.
        Index(
            "ix_technician_loan_agreed",
            "valid_to",
            postgresql_where=text("agreed_at IS NOT NULL AND ended_at IS NULL"),
        ),
        CheckConstraint("valid_to > valid_from", name="days_in_order"),
    )

    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    valid_from: Mapped[date]
    valid_to: Mapped[date]
    reason: Mapped[str]
    asked_at: Mapped[datetime]
    asked_by: Mapped[UUID | None]
    agreed_at: Mapped[datetime | None]
    agreed_by: Mapped[UUID | None]
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[UUID | None]
