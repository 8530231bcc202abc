"""Stored decisions of placing, points that unrelated orders share, and appointments."""

from datetime import date, datetime, time
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, text_enum
from app.dispatch.rules import BulkKind, Cause, HoldState
from app.worktypes.rules import WorkType


class DispatchDecision(Row, Base):
    """Why an order went where it went: the grid, each candidate and what it failed or won by.

    Append-only; the newest row of an order is the one in force. `reason` is how the chosen one
    belongs to the grid, `by_hand`, or why nobody was found. `candidates` are in the order of
    asking, with short names since there are many: t technician, k kind, r rank, m metres away (of
    a neighbour), w why passed over (absent for the chosen one), c what the order would have cost
    with whoever could have had it, in seconds: travel, ownership, lateness, unevenness, and that a
    repeat fault is not done by whom it prefers, where that is so; a last entry {n} counts those
    nobody needed to look at. {d} names the order that gave way to this one, {b} the one to which
    this one gave way.
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


class SlotTemplate(Row, Base):
    """A slot that an org unit's customers may choose on some weekdays, from one day to another.

    Local times; `org_path` empty is for everybody; Monday's bit of `weekdays` is 1. `closes_at` is
    a time of the evening before.
    """

    __tablename__ = "slot_template"
    __table_args__ = (
        CheckConstraint("ends_at > starts_at", name="times_in_order"),
        CheckConstraint("weekdays BETWEEN 1 AND 127", name="weekdays"),
        CheckConstraint("valid_to > valid_from", name="days_in_order"),
    )

    code: Mapped[str] = mapped_column(unique=True)
    org_path: Mapped[str] = mapped_column(server_default=text("''"))
    category: Mapped[str]
    work_types: Mapped[list[str]] = mapped_column(ARRAY(Text))
    weekdays: Mapped[int] = mapped_column(server_default=text("127"))
    starts_at: Mapped[time]
    ends_at: Mapped[time]
    closes_at: Mapped[time | None]
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]


class SlotLimit(Row, Base):
    """At most so many appointments of an org unit on a local day, beside what people can do.

    `category` and `slot` (a template's code) empty are all of them; `most` 0 for all is a holiday.
    """

    __tablename__ = "slot_limit"
    __table_args__ = (
        Index("uq_slot_limit_day", "org_unit_id", "day", "category", "slot", unique=True),
        CheckConstraint("most >= 0", name="not_negative"),
    )

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    day: Mapped[date] = mapped_column(index=True)
    category: Mapped[str] = mapped_column(server_default=text("''"))
    slot: Mapped[str] = mapped_column(server_default=text("''"))
    most: Mapped[int]
    note: Mapped[str]


class AppointmentHold(Row, Base):
    """A slot kept for a customer for a while, by somebody who can keep it; the id is the client's.

    The person's day counts its minutes as promised (`reserved_*`, which are less than the order's
    when the order itself is on that day already) until it is confirmed, released or expired. Of
    `terminals`, which are kinds, one each is kept in their van as long. `visit_id` is the visit at
    whose door a technician booked it, of those that were booked at one.
    """

    __tablename__ = "appointment_hold"
    __table_args__ = (
        # The few that count, or did until a moment ago, beside all that ever were.
        Index(
            "ix_appointment_hold_open",
            "technician_id",
            "day",
            postgresql_where=text("state = 'held'"),
        ),
        Index(
            "ix_appointment_hold_order",
            "work_order_id",
            postgresql_where=text("work_order_id IS NOT NULL"),
        ),
        CheckConstraint("ends_at > begins_at", name="times_in_order"),
    )

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    grid_id: Mapped[UUID] = mapped_column(ForeignKey("grid.id"))
    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    work_order_id: Mapped[UUID | None] = mapped_column(ForeignKey("work_order.id"))
    state: Mapped[HoldState] = mapped_column(text_enum(HoldState))
    content_hash: Mapped[str]
    work_type: Mapped[WorkType] = mapped_column(text_enum(WorkType))
    urgent: Mapped[bool]
    minutes: Mapped[int]
    skills: Mapped[list[str]] = mapped_column(ARRAY(Text))
    terminals: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    slot: Mapped[str]
    day: Mapped[date]
    begins_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    reserved_minutes: Mapped[int]
    reserved_orders: Mapped[int]
    held_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    account_id: Mapped[UUID | None]
    visit_id: Mapped[UUID | None] = mapped_column(ForeignKey("visit.id"))


class AppointmentChange(Row, Base):
    """An appointment that was moved: from when to when, why, and who said so. Append-only."""

    __tablename__ = "appointment_change"

    work_order_id: Mapped[UUID] = mapped_column(ForeignKey("work_order.id"), primary_key=True)
    at: Mapped[datetime]
    account_id: Mapped[UUID | None]
    hold_id: Mapped[UUID]
    cause: Mapped[Cause] = mapped_column(text_enum(Cause))
    note: Mapped[str]
    overridden: Mapped[bool]
    before_from: Mapped[datetime]
    before_until: Mapped[datetime]
    after_from: Mapped[datetime]
    after_until: Mapped[datetime]
    technician_before_id: Mapped[UUID | None]
    technician_id: Mapped[UUID | None]


class DispatchPin(Base):
    """An order that a person gave to somebody: nothing but a person moves it, until it is released.

    Whatever moves the order to somebody else or to another day, takes it back or closes it ends the
    pin with it: a trigger of the database sees to that.
    """

    __tablename__ = "dispatch_pin"

    work_order_id: Mapped[UUID] = mapped_column(ForeignKey("work_order.id"), primary_key=True)
    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    day: Mapped[date]
    at: Mapped[datetime]
    account_id: Mapped[UUID | None]
    reason: Mapped[str]


class BulkMove(Row, Base):
    """Orders that one command moved, gave or took back together; the id is the client's.

    `before` and `after` say of each order who held it on which day, in which state it was and, from
    the command on, its version; so it can be undone as long as nobody has touched them since. Of a
    `reorder` they are the routes of the days. `days` are the effects on the days concerned,
    `left_out` what was among those asked for and could not be moved. `undoes` names the one it
    undoes.
    """

    __tablename__ = "bulk_move"
    __table_args__ = (Index("ix_bulk_move_account", "account_id", "at"),)

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    account_id: Mapped[UUID | None]
    at: Mapped[datetime]
    kind: Mapped[BulkKind] = mapped_column(text_enum(BulkKind))
    reason: Mapped[str]
    content_hash: Mapped[str]
    before: Mapped[list[dict[str, Any]]]
    after: Mapped[list[dict[str, Any]]]
    days: Mapped[list[dict[str, Any]]]
    left_out: Mapped[list[dict[str, Any]]]
    undoes: Mapped[UUID | None] = mapped_column(ForeignKey("bulk_move.id"), unique=True)
