"""Visits: one attempt at an order."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from geoalchemy2 import Geometry
from geoalchemy2.elements import WKBElement
from sqlalchemy import ARRAY, ForeignKey, Index, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, text_enum
from app.terminals.rules import TerminalKind, Why
from app.visits.rules import FarReason, Outcome, ScanAction, SuspendCause


class Visit(Row, Base):
    """One attempt at an order by one technician; the phone makes the id when it sets out.

    Distances and accuracy are in metres, the check-in's point is in WGS-84, its `speed` is what it
    takes from the last position, in km/h, and its `device_at` the phone's time. `far_reason` is why
    a check-in is not where it should be, `check_in_marks` all that is odd about it. `resume_at` and
    `suspend_cause` are set while it is suspended; `checked` are the lines of the checklist that are
    ticked, and `progress_at` is when the phone last said so, by its own clock where that was not
    ahead of the server's. `accepted_at` is when the customer's code was told.
    """

    __tablename__ = "visit"
    __table_args__ = (
        Index(
            "uq_visit_one_open_per_order",
            "work_order_id",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("ix_visit_technician", "technician_id", "travel_started_at"),
        Index("ix_visit_order", "work_order_id", "travel_started_at"),
        # What a supervisor should look at: few, beside years of check-ins.
        Index(
            "ix_visit_marked",
            "checked_in_at",
            "id",
            postgresql_where=text("check_in_marks <> '{}'"),
        ),
        # What is forgotten when its time is over, and has not been yet.
        Index(
            "ix_visit_swept",
            "created_at",
            "id",
            postgresql_where=text("check_in_point IS NOT NULL"),
        ),
    )

    work_order_id: Mapped[UUID] = mapped_column(ForeignKey("work_order.id"))
    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    travel_started_at: Mapped[datetime]
    checked_in_at: Mapped[datetime | None]
    check_in_point: Mapped[WKBElement | None] = mapped_column(
        Geometry("POINT", srid=4326, spatial_index=False)
    )
    check_in_accuracy_m: Mapped[float | None]
    check_in_distance_m: Mapped[float | None]
    check_in_speed_kmh: Mapped[float | None]
    check_in_device_at: Mapped[datetime | None]
    check_in_marks: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    far_reason: Mapped[FarReason | None] = mapped_column(text_enum(FarReason))
    suspend_cause: Mapped[SuspendCause | None] = mapped_column(text_enum(SuspendCause))
    resume_at: Mapped[datetime | None]
    restored_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[Outcome | None] = mapped_column(text_enum(Outcome))
    outcome_code: Mapped[str | None]
    checked: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    progress_at: Mapped[datetime | None]
    measurements: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    note: Mapped[str | None]
    accepted_at: Mapped[datetime | None]


class TerminalScan(Row, Base):
    """A terminal that was scanned in a visit; the phone makes the id.

    `replaced_serial_number` is the old one of a swap. `warnings` are codes of what the technician
    was told with it; `undone_at` is set when it was taken back. The moves it made carry its id.
    """

    __tablename__ = "terminal_scan"
    __table_args__ = (Index("ix_terminal_scan_visit", "visit_id", "at"),)

    visit_id: Mapped[UUID] = mapped_column(ForeignKey("visit.id"))
    action: Mapped[ScanAction] = mapped_column(text_enum(ScanAction))
    serial_number: Mapped[str]
    replaced_serial_number: Mapped[str | None]
    kind: Mapped[TerminalKind] = mapped_column(text_enum(TerminalKind))
    reason: Mapped[Why] = mapped_column(text_enum(Why))
    content: Mapped[str]
    warnings: Mapped[list[str]] = mapped_column(ARRAY(Text))
    device_at: Mapped[datetime]
    at: Mapped[datetime]
    undone_at: Mapped[datetime | None]


class AcceptanceCode(Row, Base):
    """A code that was sent to the customer in a visit; the phone that asked for it makes the id.

    Only a hash is kept, keyed by a secret of the signing key `key_id`, since so few digits could be
    guessed from a plain one. `wrong` are the hashes of the wrong codes that were told instead.
    """

    __tablename__ = "acceptance_code"
    __table_args__ = (Index("ix_acceptance_code_visit", "visit_id", "sent_at"),)

    visit_id: Mapped[UUID] = mapped_column(ForeignKey("visit.id"))
    sent_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    key_id: Mapped[str]
    digest: Mapped[bytes]
    wrong: Mapped[list[bytes]] = mapped_column(ARRAY(LargeBinary), server_default=text("'{}'"))
    accepted_at: Mapped[datetime | None]


class WorkAssist(Row, Base):
    """A second technician on an order; whoever asks makes the id.

    The holder takes the steps. `minutes` are promised of the local `day` until `ended_at`;
    `joined_at` is when whoever helps took it on, and sees the customer from then on.
    """

    __tablename__ = "work_assist"
    __table_args__ = (
        # Those that go on: few, beside all that ever did, and read with everybody's day.
        Index(
            "uq_work_assist_going_on",
            "technician_id",
            "work_order_id",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("ix_work_assist_order", "work_order_id", "asked_at"),
    )

    work_order_id: Mapped[UUID] = mapped_column(ForeignKey("work_order.id"))
    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    day: Mapped[date]
    minutes: Mapped[int]
    asked_at: Mapped[datetime]
    asked_by: Mapped[UUID | None]
    joined_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class InstallAnswer(Base):
    """Whether what was offered last at an order's door could be installed with its visit, as its
    technician was told and as of when; phones keep it beside what is offered.

    `not_now` has, by the code of each offer that was shown, what stood against it, or null. It is
    of the decision `decision_id` alone.
    """

    __tablename__ = "install_answer"

    work_order_id: Mapped[UUID] = mapped_column(ForeignKey("work_order.id"), primary_key=True)
    decision_id: Mapped[UUID]
    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    as_of: Mapped[datetime]
    not_now: Mapped[dict[str, Any]] = mapped_column(JSONB())
