"""Work orders and their append-only events."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from geoalchemy2 import Geometry
from geoalchemy2.elements import WKBElement
from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    ForeignKey,
    Index,
    Text,
    func,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, text_enum
from app.promises.rules import ProofKind, Span, StopCause
from app.workorders.rules import State, Step, UnplacedReason
from app.worktypes.rules import WorkType


class WorkOrder(Row, Base):
    """A promised install or repair. Times are UTC; `planned_day` is a local day of the org unit.

    `content_hash` tells a repeated intake from one with other content; `tried_at` is when placing
    was last tried. `template_id` is the version of its work type's template that it began with, and
    `promise_rule_id` the rule it is judged by; `repeat_of_id` is the order that was closed shortly
    before on the same service, `repeats` how many faults in a row came back so; `outage_id` is the
    outage it belongs to, also when that is over; `nudges` counts how often the customer has asked
    for it, `absences` how often nobody was at home.
    """

    __tablename__ = "work_order"
    __table_args__ = (
        Index("uq_work_order_external", "source", "external_id", unique=True),
        # Under two phones or a double tap, the second order under way is refused here.
        Index(
            "uq_work_order_one_under_way",
            "holder_id",
            unique=True,
            postgresql_where=text("state IN ('en_route', 'on_site')"),
        ),
        Index("ix_work_order_day", "holder_id", "planned_day"),
        # What a technician still holds, however old: few rows, beside years of closed ones.
        Index(
            "ix_work_order_held",
            "holder_id",
            "planned_day",
            postgresql_where=text(
                "state IN ('assigned', 'acknowledged', 'en_route', 'on_site', 'suspended')"
            ),
        ),
        # A unit's day: what its people hold, what nobody has, what was completed when.
        Index(
            "ix_work_order_unit_day",
            "org_unit_id",
            "planned_day",
            postgresql_where=text(
                "state IN ('assigned', 'acknowledged', 'en_route', 'on_site', 'suspended')"
            ),
        ),
        Index(
            "ix_work_order_unit_waiting",
            "org_unit_id",
            postgresql_where=text("state IN ('received', 'located', 'unplaced')"),
        ),
        Index(
            "ix_work_order_completed",
            "org_unit_id",
            "completed_at",
            postgresql_where=text("completed_at IS NOT NULL"),
        ),
        # The supervisor's list, newest first; of open orders, which are few beside years of closed
        # ones, any further condition is found quickly by the second.
        Index("ix_work_order_list", "org_unit_id", "received_at", "id"),
        Index(
            "ix_work_order_open",
            "org_unit_id",
            "received_at",
            "id",
            postgresql_where=text("state NOT IN ('completed', 'archived', 'cancelled')"),
        ),
        # What is promised soonest, and what is late: of the open ones alone.
        Index(
            "ix_work_order_due",
            "org_unit_id",
            "due_at",
            "id",
            postgresql_where=text(
                "state NOT IN ('completed', 'archived', 'cancelled') AND due_at IS NOT NULL"
            ),
        ),
        # Taken in but not placed, since placing failed: almost always empty.
        Index(
            "ix_work_order_waiting",
            "tried_at",
            postgresql_where=text("state IN ('received', 'located')"),
        ),
        # What nobody has, the most urgent first: few, and looked at every few seconds.
        Index("ix_work_order_unplaced", "priority", postgresql_where=text("state = 'unplaced'")),
        Index("ix_work_order_grid", "grid_id", "received_at"),
        Index(
            "ix_work_order_customer",
            "customer_id",
            "received_at",
            postgresql_where=text("customer_id IS NOT NULL"),
        ),
        # What is forgotten when its time is over, and has not been yet.
        Index(
            "ix_work_order_swept",
            "created_at",
            "id",
            postgresql_where=text("num_nonnulls(contact_name, contact_phone) > 0"),
        ),
        # What was closed last on a service, and what came back of what somebody has closed.
        Index(
            "ix_work_order_service",
            "service_number",
            "completed_at",
            postgresql_where=text("service_number IS NOT NULL AND completed_at IS NOT NULL"),
        ),
        Index(
            "ix_work_order_repeat",
            "repeat_of_id",
            postgresql_where=text("repeat_of_id IS NOT NULL"),
        ),
        # Faults that came back to a customer, and services to be removed: few beside all orders.
        Index(
            "ix_work_order_trouble",
            "customer_id",
            "received_at",
            postgresql_where=text("work_type = 'remove' OR repeat_of_id IS NOT NULL"),
        ),
        # The orders of one outage; and repairs as they came in, for whoever looks for outages.
        Index("ix_work_order_outage", "outage_id", postgresql_where=text("outage_id IS NOT NULL")),
        Index(
            "ix_work_order_reports", "received_at", postgresql_where=text("work_type = 'repair'")
        ),
        CheckConstraint("priority BETWEEN 1 AND 4", name="priority"),
        CheckConstraint("(state = 'unplaced') = (unplaced_reason IS NOT NULL)", name="reason_said"),
    )

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    source: Mapped[str]
    external_id: Mapped[str]
    content_hash: Mapped[str]
    work_type: Mapped[WorkType] = mapped_column(text_enum(WorkType))
    priority: Mapped[int] = mapped_column(server_default=text("3"))
    state: Mapped[State] = mapped_column(text_enum(State))
    unplaced_reason: Mapped[UnplacedReason | None] = mapped_column(text_enum(UnplacedReason))
    template_id: Mapped[UUID | None] = mapped_column(ForeignKey("work_template.id"))
    promise_rule_id: Mapped[UUID | None] = mapped_column(ForeignKey("promise_rule.id"))
    repeat_of_id: Mapped[UUID | None] = mapped_column(ForeignKey("work_order.id"))
    outage_id: Mapped[UUID | None] = mapped_column(ForeignKey("outage.id", use_alter=True))
    repeats: Mapped[int] = mapped_column(server_default=text("0"))
    nudges: Mapped[int] = mapped_column(server_default=text("0"))
    absences: Mapped[int] = mapped_column(server_default=text("0"))
    customer_id: Mapped[UUID | None] = mapped_column(ForeignKey("customer.id"))
    service_number: Mapped[str | None]
    contact_name: Mapped[str | None]
    contact_phone: Mapped[str | None]
    address: Mapped[str]
    locality: Mapped[str | None]
    summary: Mapped[str]
    point: Mapped[WKBElement | None] = mapped_column(
        Geometry("POINT", srid=4326, spatial_index=False)
    )
    grid_id: Mapped[UUID | None] = mapped_column(ForeignKey("grid.id"))
    near_border: Mapped[bool] = mapped_column(server_default=text("false"))
    skills: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    terminals: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    estimated_minutes: Mapped[int]
    appointment_from: Mapped[datetime | None]
    appointment_until: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    reported_at: Mapped[datetime]
    received_at: Mapped[datetime]
    tried_at: Mapped[datetime | None]
    holder_id: Mapped[UUID | None] = mapped_column(ForeignKey("technician.id"))
    planned_day: Mapped[date | None]
    restored_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    outcome_code: Mapped[str | None]
    version: Mapped[int] = mapped_column(server_default=text("1"))

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012

    @property
    def window(self) -> tuple[datetime, datetime] | None:
        """The appointment, as aware moments from and until; None without one."""
        if self.appointment_from is None or self.appointment_until is None:
            return None
        return self.appointment_from, self.appointment_until


class WorkOrderEvent(Row, Base):
    """One step of an order: who, when (server and device time), where, why. Append-only.

    The order comes first in the key, and ids are made in the order of time: one index gives both
    the row and an order's history.
    """

    __tablename__ = "work_order_event"
    # Rows come in the order of time, so a few bytes for each stretch of them find a night's worth.
    # A vacuum comes only once a fifth of years of rows is new: each stretch is summed up when full.
    __table_args__ = (
        Index(
            "ix_work_order_event_at",
            "at",
            postgresql_using="brin",
            postgresql_with={"autosummarize": "on"},
        ),
    )

    work_order_id: Mapped[UUID] = mapped_column(ForeignKey("work_order.id"), primary_key=True)
    at: Mapped[datetime]
    device_at: Mapped[datetime | None]
    account_id: Mapped[UUID | None]
    technician_id: Mapped[UUID | None]
    step: Mapped[Step | None] = mapped_column(text_enum(Step))
    from_state: Mapped[State | None] = mapped_column(text_enum(State))
    to_state: Mapped[State] = mapped_column(text_enum(State))
    reason: Mapped[str | None]
    facts: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))


class ClockStop(Row, Base):
    """From when until when the clock of an order's promise stands still, and what shows why.

    While `ended_at` is null the clock stands, but not beyond `ends_by`: a stop that nobody ends
    ends by itself. The device's times are kept beside those that count. `first_due_at` is until
    when the order was due before its clock was ever stopped. A stop that was wrong is withdrawn
    and stays to be seen; `content_hash` tells whether it is asked for again.
    """

    __tablename__ = "clock_stop"
    __table_args__ = (
        ExcludeConstraint(
            ("work_order_id", "="),
            (
                func.tstzrange(
                    literal_column("began_at"), literal_column("coalesce(ended_at, ends_by)")
                ),
                "&&",
            ),
            name="ex_clock_stop_one_at_a_time",
            using="gist",
            where=text("withdrawn_at IS NULL"),
        ),
        Index("ix_clock_stop_order", "work_order_id", "id"),
        CheckConstraint("ended_at >= began_at AND ends_by >= began_at", name="in_order"),
    )

    work_order_id: Mapped[UUID] = mapped_column(ForeignKey("work_order.id"))
    cause: Mapped[StopCause] = mapped_column(text_enum(StopCause))
    rule_code: Mapped[str]
    exempts: Mapped[bool]
    began_at: Mapped[datetime]
    ends_by: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    proof_kind: Mapped[ProofKind] = mapped_column(text_enum(ProofKind))
    proof_id: Mapped[UUID | None]
    reference: Mapped[str | None]
    note: Mapped[str] = mapped_column(server_default=text("''"))
    account_id: Mapped[UUID | None]
    technician_id: Mapped[UUID | None]
    device_began_at: Mapped[datetime | None]
    device_ended_at: Mapped[datetime | None]
    ended_by_id: Mapped[UUID | None]
    withdrawn_at: Mapped[datetime | None]
    withdrawn_by_id: Mapped[UUID | None]
    withdrawn_why: Mapped[str | None]
    first_due_at: Mapped[datetime | None]
    content_hash: Mapped[str]

    @property
    def span(self) -> Span:
        """From when until when it counts, as it is known now."""
        return Span(self.began_at, self.ended_at or self.ends_by)
