"""The dated promise rules, what stops their clocks, and the working calendar of org units."""

from datetime import date, time

from sqlalchemy import ARRAY, CheckConstraint, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, text_enum
from app.grids.rules import GridKind
from app.promises.rules import Clock, DayKind, Level, StopCause
from app.worktypes.rules import WorkType


class PromiseRule(Row, Base):
    """What an org unit's customers are promised for a work type, from one day to another.

    `value_tier` and `grid_kind` null are for all customers and all places; `same_visit` is for
    what is installed in the very visit in which it was sold.
    """

    __tablename__ = "promise_rule"
    __table_args__ = (Index("ix_promise_rule_type", "work_type", "org_path", "valid_from"),)

    code: Mapped[str] = mapped_column(unique=True)
    org_path: Mapped[str] = mapped_column(server_default=text("''"))
    work_type: Mapped[WorkType] = mapped_column(text_enum(WorkType))
    value_tier: Mapped[str | None]
    grid_kind: Mapped[GridKind | None] = mapped_column(text_enum(GridKind))
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
    clock: Mapped[Clock] = mapped_column(
        text_enum(Clock), default=Clock.CALENDAR, server_default=text("'calendar'")
    )
    cut_off: Mapped[time | None]
    due_time: Mapped[time]
    hours_after: Mapped[float]
    compensation_fen: Mapped[int]
    compensation_per: Mapped[str]
    compensation_cap_fen: Mapped[int]
    same_visit: Mapped[bool] = mapped_column(server_default=text("false"))


class ClockStopRule(Row, Base):
    """That a cause stops the clock of an org unit's promises, from one day to another.

    `work_types` empty is all of them, `proofs` empty is any; see `promises.rules.StopRule`.
    """

    __tablename__ = "clock_stop_rule"
    __table_args__ = (CheckConstraint("most_hours > 0", name="lasts"),)

    code: Mapped[str] = mapped_column(unique=True)
    org_path: Mapped[str] = mapped_column(server_default=text("''"))
    cause: Mapped[StopCause] = mapped_column(text_enum(StopCause))
    work_types: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
    stops: Mapped[bool] = mapped_column(server_default=text("true"))
    proofs: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    most_hours: Mapped[float]
    exempts: Mapped[bool] = mapped_column(server_default=text("false"))


class WorkingHours(Row, Base):
    """Hours that an org unit works on some weekdays (Monday's bit is 1), from one day to another.

    Local times. Several rows of one unit and one `valid_from` make up its week.
    """

    __tablename__ = "working_hours"
    __table_args__ = (
        CheckConstraint("closes_at > opens_at", name="times_in_order"),
        CheckConstraint("weekdays BETWEEN 1 AND 127", name="weekdays"),
    )

    code: Mapped[str] = mapped_column(unique=True)
    org_path: Mapped[str] = mapped_column(server_default=text("''"))
    weekdays: Mapped[int]
    opens_at: Mapped[time]
    closes_at: Mapped[time]
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]


class CalendarDay(Row, Base):
    """A holiday, or a day that is worked to make up for one, of an org unit's subtree."""

    __tablename__ = "calendar_day"
    __table_args__ = (Index("uq_calendar_day", "org_path", "day", unique=True),)

    org_path: Mapped[str] = mapped_column(server_default=text("''"))
    day: Mapped[date]
    kind: Mapped[DayKind] = mapped_column(text_enum(DayKind))
    name_zh: Mapped[str]
    name_en: Mapped[str]


class EscalationRule(Row, Base):
    """When an org unit's orders are escalated to a level; see `promises.rules.EscalationStep`."""

    __tablename__ = "escalation_rule"

    code: Mapped[str] = mapped_column(unique=True)
    org_path: Mapped[str] = mapped_column(server_default=text("''"))
    work_types: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    level: Mapped[Level] = mapped_column(text_enum(Level))
    minutes_after_due: Mapped[int]
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
