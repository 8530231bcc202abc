"""Escalations of orders, and compensations of those that were late."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, text_enum
from app.overdue.rules import CompensationState
from app.promises.rules import Level, Per


class Escalation(Row, Base):
    """That a level was told of an order which is due at a moment: once for each such moment.

    `holder_id` is who had the order then. Somebody acknowledges it with a word on what is done; it
    lapses when the order is closed, or due at another moment.
    """

    __tablename__ = "escalation"
    __table_args__ = (
        Index("uq_escalation_step", "work_order_id", "level", "due_at", unique=True),
        Index("ix_escalation_list", "org_unit_id", "at", "id"),
        Index(
            "ix_escalation_open",
            "org_unit_id",
            "at",
            "id",
            postgresql_where=text("acknowledged_at IS NULL AND lapsed_at IS NULL"),
        ),
        Index(
            "ix_escalation_holder",
            "holder_id",
            postgresql_where=text(
                "acknowledged_at IS NULL AND lapsed_at IS NULL AND level = 'technician'"
            ),
        ),
    )

    work_order_id: Mapped[UUID] = mapped_column(ForeignKey("work_order.id"))
    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    level: Mapped[Level] = mapped_column(text_enum(Level))
    due_at: Mapped[datetime]
    rule_code: Mapped[str]
    at: Mapped[datetime]
    holder_id: Mapped[UUID | None]
    lapsed_at: Mapped[datetime | None]
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by_id: Mapped[UUID | None]
    note: Mapped[str | None]


class Compensation(Row, Base):
    """What is to be paid for an order that was late, or why nothing is; money is in fen.

    `late_days` are the days of 24 hours that began after `due_at`. `causes` are those that excuse
    it: without their stops it would have been late, or they exempt it though it is. A reversal is a
    row of its own with the amount below nothing. Nothing changes once somebody has decided.
    """

    __tablename__ = "compensation"
    __table_args__ = (
        Index(
            "uq_compensation_order",
            "work_order_id",
            unique=True,
            postgresql_where=text("reverses_id IS NULL"),
        ),
        Index(
            "uq_compensation_reversal",
            "reverses_id",
            unique=True,
            postgresql_where=text("reverses_id IS NOT NULL"),
        ),
        Index("ix_compensation_list", "org_unit_id", "changed_at", "id"),
        Index(
            "ix_compensation_proposed",
            "work_order_id",
            postgresql_where=text("state = 'proposed'"),
        ),
    )

    work_order_id: Mapped[UUID] = mapped_column(ForeignKey("work_order.id"))
    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    promise_rule_id: Mapped[UUID] = mapped_column(ForeignKey("promise_rule.id"))
    state: Mapped[CompensationState] = mapped_column(text_enum(CompensationState))
    first_due_at: Mapped[datetime]
    due_at: Mapped[datetime]
    late_until: Mapped[datetime]
    late_days: Mapped[int]
    per: Mapped[Per] = mapped_column(text_enum(Per))
    fen: Mapped[int]
    cap_fen: Mapped[int]
    causes: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    changed_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    decided_by_id: Mapped[UUID | None]
    reason: Mapped[str | None]
    reverses_id: Mapped[UUID | None] = mapped_column(ForeignKey("compensation.id"))
