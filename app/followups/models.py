"""Dated rules of follow-ups, and the follow-ups made by them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.dated import DatedRule
from app.core.db import Base, Row, text_enum
from app.followups.rules import FollowUpChannel, FollowUpState, NoAnswer
from app.worktypes.rules import WorkType


class FollowUpRule(DatedRule, Base):
    """About which completed orders an org unit asks, from one day to another: see `rules.Rule`."""

    __tablename__ = "follow_up_rule"
    __table_args__ = (
        Index("ix_follow_up_rule_type", "work_type", "org_path", "valid_from"),
        CheckConstraint("share_percent BETWEEN 0 AND 100", name="share"),
    )

    work_type: Mapped[WorkType] = mapped_column(text_enum(WorkType))
    channel: Mapped[FollowUpChannel] = mapped_column(text_enum(FollowUpChannel))
    share_percent: Mapped[float]
    delay_hours: Mapped[float]
    valid_days: Mapped[int]
    quiet_days: Mapped[int]
    spares_do_not_disturb: Mapped[bool]


class FollowUp(Row, Base):
    """Asking about one completed order; `technician_id` is who completed it.

    It is to be asked at `ask_at` and can be answered until `expires_at`. Of a survey's link only a
    hash is kept, and none when it is over. A call is claimed by an account for a while; `tries`
    counts the calls without an answer. `answer_hash` tells a repeated answer from another one, and
    `care_order_id` is the order that a low mark has made.
    """

    __tablename__ = "follow_up"
    __table_args__ = (
        Index(
            "uq_follow_up_token",
            "token_hash",
            unique=True,
            postgresql_where=text("token_hash IS NOT NULL"),
        ),
        # What is still to be done: few, beside years of answers.
        Index(
            "ix_follow_up_to_send",
            "ask_at",
            postgresql_where=text("state = 'waiting' AND channel = 'survey'"),
        ),
        Index(
            "ix_follow_up_to_call",
            "org_unit_id",
            "ask_at",
            "id",
            postgresql_where=text("state = 'waiting' AND channel = 'call'"),
        ),
        Index(
            "ix_follow_up_open",
            "expires_at",
            postgresql_where=text("state IN ('waiting', 'asked')"),
        ),
        Index(
            "ix_follow_up_customer",
            "customer_id",
            "completed_at",
            postgresql_where=text("customer_id IS NOT NULL"),
        ),
        Index("ix_follow_up_list", "org_unit_id", "completed_at", "id"),
        # Supervisors look for low marks among the answers, which are a part of what was asked.
        Index(
            "ix_follow_up_answers",
            "org_unit_id",
            "completed_at",
            "id",
            "mark",
            postgresql_where=text("mark IS NOT NULL"),
        ),
        Index("ix_follow_up_technician", "technician_id", "completed_at", "id"),
        CheckConstraint("mark BETWEEN 1 AND 5", name="mark"),
        CheckConstraint("(state = 'answered') = (mark IS NOT NULL)", name="answered"),
    )

    work_order_id: Mapped[UUID] = mapped_column(ForeignKey("work_order.id"), unique=True)
    rule_id: Mapped[UUID] = mapped_column(ForeignKey("follow_up_rule.id"))
    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    customer_id: Mapped[UUID | None] = mapped_column(ForeignKey("customer.id"))
    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    channel: Mapped[FollowUpChannel] = mapped_column(text_enum(FollowUpChannel))
    state: Mapped[FollowUpState] = mapped_column(text_enum(FollowUpState))
    completed_at: Mapped[datetime]
    ask_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    asked_at: Mapped[datetime | None]
    token_hash: Mapped[bytes | None]
    claimed_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    claimed_until: Mapped[datetime | None]
    tries: Mapped[int] = mapped_column(server_default=text("0"))
    no_answer: Mapped[NoAnswer | None] = mapped_column(text_enum(NoAnswer))
    mark: Mapped[int | None]
    reasons: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    note: Mapped[str | None]
    answered_at: Mapped[datetime | None]
    answer_hash: Mapped[str | None]
    care_order_id: Mapped[UUID | None] = mapped_column(ForeignKey("work_order.id"))
