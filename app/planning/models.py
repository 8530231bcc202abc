"""Plans of days, with every visit's time and every route."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Integer, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, text_enum
from app.grids.rules.asking import Kind
from app.planning.rules import EventKind, LeftReason, PlanKind, PlanState
from app.workorders.rules import State, UnplacedReason


class DayPlan(Row, Base):
    """A version of an org unit's local day; the id is the client's.

    `asked` says how it is to be made (seed, seconds of processor time, what set it off) and
    `inputs` holds all that it was made from, compressed, so that it can be made again for a while;
    `progress` changes while it runs and `score` is what the judge says of the result. `base_id` is
    the plan that it began with.
    """

    __tablename__ = "day_plan"
    __table_args__ = (
        # One planning run an org unit and day; runs of units within each other are refused under
        # a lock (service).
        Index(
            "uq_day_plan_under_way",
            "org_unit_id",
            "day",
            unique=True,
            postgresql_where=text("state IN ('waiting', 'running')"),
        ),
        Index("ix_day_plan_day", "day", "org_unit_id", "asked_at"),
        # A night finds whose inputs are too old among those that still have any.
        Index("ix_day_plan_inputs", "day", postgresql_where=text("inputs IS NOT NULL")),
    )

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    day: Mapped[date]
    kind: Mapped[PlanKind] = mapped_column(text_enum(PlanKind))
    state: Mapped[PlanState] = mapped_column(text_enum(PlanState))
    reason: Mapped[str]
    content_hash: Mapped[str]
    asked: Mapped[dict[str, Any]]
    asked_at: Mapped[datetime]
    asked_by: Mapped[UUID | None]
    started_at: Mapped[datetime | None]
    stop_asked_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    published_at: Mapped[datetime | None]
    published_by: Mapped[UUID | None]
    base_id: Mapped[UUID | None] = mapped_column(ForeignKey("day_plan.id"))
    progress: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    score: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    inputs: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)


class PlanRoute(Base):
    """A technician's day in a plan. Moments are UTC, `travel`, `work`, `wait` and `overtime` (after
    the shift's end) seconds, `metres` the straight lines times the detour.

    `org_unit_id` is the unit in which they were planned, which is not their own on a loan.
    """

    __tablename__ = "plan_route"

    plan_id: Mapped[UUID] = mapped_column(
        ForeignKey("day_plan.id", ondelete="CASCADE"), primary_key=True
    )
    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"), primary_key=True)
    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    leaves_at: Mapped[datetime]
    home_at: Mapped[datetime]
    lunch_at: Mapped[datetime | None]
    visits: Mapped[int]
    travel: Mapped[int]
    metres: Mapped[int]
    work: Mapped[int]
    wait: Mapped[int]
    overtime: Mapped[int]


class PlanVisit(Base):
    """An order in a plan: whose it is, the how-many-th of the day, and when; or why it is nobody's.

    `before_id` is who held it when the plan was made, `before_begins_at` and `before_late` when it
    would have begun and how late as things were: null where it could not be done at all. `way`,
    `wait`, `late` and `slack` (how much later it may begin without anything becoming late) are
    seconds.
    """

    __tablename__ = "plan_visit"
    __table_args__ = (Index("ix_plan_visit_order", "work_order_id"),)

    plan_id: Mapped[UUID] = mapped_column(
        ForeignKey("day_plan.id", ondelete="CASCADE"), primary_key=True
    )
    work_order_id: Mapped[UUID] = mapped_column(ForeignKey("work_order.id"), primary_key=True)
    technician_id: Mapped[UUID | None] = mapped_column(ForeignKey("technician.id"))
    before_id: Mapped[UUID | None] = mapped_column(ForeignKey("technician.id"))
    before_day: Mapped[date | None]
    before_state: Mapped[State] = mapped_column(text_enum(State))
    before_begins_at: Mapped[datetime | None]
    before_late: Mapped[int | None]
    place: Mapped[int | None]
    arrives_at: Mapped[datetime | None]
    begins_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]
    way: Mapped[int | None]
    wait: Mapped[int | None]
    late: Mapped[int | None]
    slack: Mapped[int | None]
    belongs: Mapped[Kind | None] = mapped_column(text_enum(Kind))
    frozen: Mapped[bool] = mapped_column(server_default=text("false"))
    pinned: Mapped[bool] = mapped_column(server_default=text("false"))
    unplaced_reason: Mapped[UnplacedReason | None] = mapped_column(text_enum(UnplacedReason))
    left_reason: Mapped[LeftReason | None] = mapped_column(text_enum(LeftReason))


class PlanEvent(Row, Base):
    """Something that calls for planning the rest of an org unit's local day anew.

    `key` tells it from others of its kind, so that it is found once; `facts` are what its words
    need. It waits until `plan_id` names the plan that was made for it.
    """

    __tablename__ = "plan_event"
    __table_args__ = (
        Index("uq_plan_event_key", "org_unit_id", "day", "kind", "key", unique=True),
        Index("ix_plan_event_waiting", "found_at", postgresql_where=text("plan_id IS NULL")),
        Index("ix_plan_event_plan", "plan_id", postgresql_where=text("plan_id IS NOT NULL")),
    )

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    day: Mapped[date]
    kind: Mapped[EventKind] = mapped_column(text_enum(EventKind))
    key: Mapped[str]
    technician_id: Mapped[UUID | None] = mapped_column(ForeignKey("technician.id"))
    work_order_id: Mapped[UUID | None] = mapped_column(ForeignKey("work_order.id"))
    facts: Mapped[dict[str, Any]]
    found_at: Mapped[datetime]
    plan_id: Mapped[UUID | None] = mapped_column(ForeignKey("day_plan.id"))


class WorkloadDay(Base):
    """What a technician had on a local day: added up every night from what is new.

    Seconds on shift without leave, of work at doors and on ways; metres are straight lines from
    door to door. What an opportunity is stands in rules/fairness.py.
    """

    __tablename__ = "workload_day"

    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    present_seconds: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    work_seconds: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    travel_seconds: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    metres: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    visits: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    opportunities: Mapped[int] = mapped_column(Integer, server_default=text("0"))


class PlanError(Base):
    """How much later than planned (seconds; < 0: earlier) somebody checked in; the id is the
    check-in's event. `first` is by the day's first published plan that held the visit, `last` by
    the one in force when they set out."""

    __tablename__ = "plan_error"
    __table_args__ = (
        Index("ix_plan_error_unit", "org_unit_id", "day"),
        Index("ix_plan_error_day", "day"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    day: Mapped[date]
    first: Mapped[int] = mapped_column(Integer)
    last: Mapped[int] = mapped_column(Integer)
