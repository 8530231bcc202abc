"""Toolkits, care rules, cases, special terms with their verdicts, and customers who have left."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.core.dated import DatedRule
from app.core.db import Base, Row, text_enum
from app.lifecycle.rules import ChurnClass, Tier
from app.retention.rules import (
    Arm,
    CaseOutcome,
    CaseState,
    Cause,
    Hand,
    Handling,
    LeaveReason,
    LeaverSource,
    StayReason,
    TermsState,
    ToolkitKind,
)


class RetentionToolkit(Row, Base):
    """One version of a toolkit, for an org unit's subtree from a local day on.

    A version is never rewritten: cases and terms that began with it keep it. `content` is what
    `rules.Toolkit` holds; `set_by` is the account that made the version, if one did.
    """

    __tablename__ = "retention_toolkit"
    __table_args__ = (Index("uq_retention_toolkit_version", "code", "version", unique=True),)

    code: Mapped[str]
    version: Mapped[int]
    org_path: Mapped[str] = mapped_column(server_default=text("''"))
    kind: Mapped[ToolkitKind] = mapped_column(text_enum(ToolkitKind))
    valid_from: Mapped[date]
    content: Mapped[dict[str, Any]] = mapped_column(JSONB())
    set_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))


class CareRule(DatedRule, Base):
    """Which warned customers get what: see `rules.CareRule`."""

    __tablename__ = "care_rule"
    __table_args__ = (
        Index("ix_care_rule_unit", "org_path", "valid_from"),
        CheckConstraint("priority BETWEEN 1 AND 4", name="priority"),
    )

    place: Mapped[int]
    causes: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    tiers: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    churn_classes: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    hidden: Mapped[bool] = mapped_column(server_default=text("false"))
    handling: Mapped[Handling] = mapped_column(text_enum(Handling))
    priority: Mapped[int]


class RetentionCase(Row, Base):
    """A customer whom somebody is to keep or win back, or who is left alone for comparison.

    Tier, class and value (fen over twelve months) are those of `decided_at`, null is not known;
    `counted_tier` is the tier whose terms hold where that is not their own.
    `share_percent` is how many in a hundred were left alone when it was drawn. A visit is the work
    order `work_order_id`; a call is claimed by an account for a while, is made from `ask_at` on,
    and `tries` counts those without an answer. `answer_hash` tells a repeated outcome from another.
    """

    __tablename__ = "retention_case"
    __table_args__ = (
        # Under two workers or two supervisors, the second case of a customer is refused here.
        Index(
            "uq_retention_case_one_open",
            "customer_id",
            unique=True,
            postgresql_where=text("state = 'open'"),
        ),
        Index("ix_retention_case_customer", "customer_id", "decided_at"),
        # What is still to be done: few, beside years of closed ones.
        Index(
            "ix_retention_case_open",
            "org_unit_id",
            "ask_at",
            "id",
            postgresql_where=text("state = 'open'"),
        ),
        Index("ix_retention_case_list", "org_unit_id", "decided_at", "id"),
        Index(
            "ix_retention_case_technician",
            "technician_id",
            "ask_at",
            postgresql_where=text("technician_id IS NOT NULL"),
        ),
        Index(
            "ix_retention_case_order",
            "work_order_id",
            postgresql_where=text("work_order_id IS NOT NULL"),
        ),
        # What is forgotten when its time is over, and has not been yet.
        Index(
            "ix_retention_case_swept",
            "created_at",
            "id",
            postgresql_where=text("num_nonnulls(competitor, note) > 0"),
        ),
        CheckConstraint("(state = 'held_out') = (arm = 'held_out')", name="left_alone"),
        CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="closed"),
    )

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customer.id"))
    grid_id: Mapped[UUID | None] = mapped_column(ForeignKey("grid.id"))
    cause: Mapped[Cause] = mapped_column(text_enum(Cause))
    handling: Mapped[Handling] = mapped_column(text_enum(Handling))
    arm: Mapped[Arm] = mapped_column(text_enum(Arm))
    share_percent: Mapped[float]
    state: Mapped[CaseState] = mapped_column(text_enum(CaseState))
    tier: Mapped[Tier | None] = mapped_column(text_enum(Tier))
    counted_tier: Mapped[Tier | None] = mapped_column(text_enum(Tier))
    churn_class: Mapped[ChurnClass | None] = mapped_column(text_enum(ChurnClass))
    value_12m_fen: Mapped[int | None]
    rule_id: Mapped[UUID | None] = mapped_column(ForeignKey("care_rule.id"))
    toolkit_id: Mapped[UUID | None] = mapped_column(ForeignKey("retention_toolkit.id"))
    change_id: Mapped[UUID | None]
    decided_at: Mapped[datetime]
    ask_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    work_order_id: Mapped[UUID | None] = mapped_column(ForeignKey("work_order.id"))
    technician_id: Mapped[UUID | None] = mapped_column(ForeignKey("technician.id"))
    taken_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    content_hash: Mapped[str | None]
    claimed_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    claimed_until: Mapped[datetime | None]
    tries: Mapped[int] = mapped_column(server_default=text("0"))
    outcome: Mapped[CaseOutcome | None] = mapped_column(text_enum(CaseOutcome))
    reason: Mapped[StayReason | None] = mapped_column(text_enum(StayReason))
    competitor: Mapped[str | None]
    offering_code: Mapped[str | None]
    note: Mapped[str | None]
    said_at: Mapped[datetime | None]
    answer_hash: Mapped[str | None]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))


class SpecialTerms(Row, Base):
    """Special terms for one customer and offering; the asker's device makes the id.

    `counted_tier` is the tier whose limits hold where that is not the customer's own. `path` are
    the hands that are asked in turn and `step` how many have approved. While they wait,
    `expires_at` is until when they do, and once approved until when the code is good. Of the code
    only a hash is kept: it is sealed anew for the asker by the key `key_id`. `redeemed_for` is the
    sale that used it.
    """

    __tablename__ = "special_terms"
    __table_args__ = (
        Index(
            "uq_special_terms_one_open",
            "customer_id",
            "offering_code",
            unique=True,
            postgresql_where=text("state IN ('waiting', 'approved')"),
        ),
        Index(
            "uq_special_terms_code",
            "code_hash",
            unique=True,
            postgresql_where=text("code_hash IS NOT NULL"),
        ),
        Index(
            "ix_special_terms_open",
            "expires_at",
            postgresql_where=text("state IN ('waiting', 'approved')"),
        ),
        Index(
            "ix_special_terms_waiting",
            "org_unit_id",
            "id",
            postgresql_where=text("state = 'waiting'"),
        ),
        Index("ix_special_terms_list", "org_unit_id", "id"),
        Index("ix_special_terms_asker", "asked_by", "id"),
        Index("ix_special_terms_customer", "customer_id", "id"),
        # What is forgotten when its time is over, and has not been yet.
        Index("ix_special_terms_swept", "created_at", "id", postgresql_where=text("reason <> ''")),
        CheckConstraint("discount_percent BETWEEN 0 AND 100", name="discount"),
    )

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customer.id"))
    case_id: Mapped[UUID | None] = mapped_column(ForeignKey("retention_case.id"))
    toolkit_id: Mapped[UUID] = mapped_column(ForeignKey("retention_toolkit.id"))
    offering_code: Mapped[str]
    discount_percent: Mapped[float]
    months: Mapped[int]
    reason: Mapped[str]
    content_hash: Mapped[str]
    tier: Mapped[Tier | None] = mapped_column(text_enum(Tier))
    counted_tier: Mapped[Tier | None] = mapped_column(text_enum(Tier))
    churn_class: Mapped[ChurnClass | None] = mapped_column(text_enum(ChurnClass))
    asked_by: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    asked_as: Mapped[Hand] = mapped_column(text_enum(Hand))
    asked_at: Mapped[datetime]
    path: Mapped[list[str]] = mapped_column(ARRAY(Text))
    step: Mapped[int] = mapped_column(server_default=text("0"))
    state: Mapped[TermsState] = mapped_column(text_enum(TermsState))
    expires_at: Mapped[datetime]
    key_id: Mapped[str | None]
    code_hash: Mapped[bytes | None]
    redeemed_at: Mapped[datetime | None]
    redeemed_for: Mapped[UUID | None]


class TermsVerdict(Row, Base):
    """One step of the path that was taken; append-only."""

    __tablename__ = "terms_verdict"
    __table_args__ = (
        Index("uq_terms_verdict_step", "terms_id", "step", unique=True),
        # What is forgotten when its time is over, and has not been yet.
        Index("ix_terms_verdict_swept", "created_at", "id", postgresql_where=text("reason <> ''")),
    )

    terms_id: Mapped[UUID] = mapped_column(ForeignKey("special_terms.id"))
    step: Mapped[int]
    hand: Mapped[Hand] = mapped_column(text_enum(Hand))
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    approved: Mapped[bool]
    reason: Mapped[str]
    at: Mapped[datetime]


class FormerCustomer(Row, Base):
    """A customer who has left, on a local day, and why.

    `reachable` null is not known; `refused_at` is when they said that they will not come back, and
    `returned_on` the local day they did. Tier and value (fen over twelve months) are those of their
    last day, null is not known.
    """

    __tablename__ = "former_customer"
    __table_args__ = (
        # One leaving at a time; whoever comes back can leave again.
        Index(
            "uq_former_customer_gone",
            "customer_id",
            unique=True,
            postgresql_where=text("returned_on IS NULL"),
        ),
        Index("ix_former_customer_unit", "org_unit_id", "left_on", "id"),
        Index("ix_former_customer_customer", "customer_id", "left_on"),
        # What is forgotten when its time is over, and has not been yet.
        Index(
            "ix_former_customer_swept",
            "created_at",
            "id",
            postgresql_where=text(
                "reason <> 'unknown' OR num_nonnulls(competitor, note, tier, value_12m_fen) > 0"
            ),
        ),
    )

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customer.id"))
    left_on: Mapped[date]
    reason: Mapped[LeaveReason] = mapped_column(text_enum(LeaveReason))
    competitor: Mapped[str | None]
    reachable: Mapped[bool | None]
    note: Mapped[str | None]
    source: Mapped[LeaverSource] = mapped_column(text_enum(LeaverSource))
    work_order_id: Mapped[UUID | None] = mapped_column(ForeignKey("work_order.id"))
    tier: Mapped[Tier | None] = mapped_column(text_enum(Tier))
    value_12m_fen: Mapped[int | None]
    recorded_at: Mapped[datetime]
    refused_at: Mapped[datetime | None]
    returned_on: Mapped[date | None]
