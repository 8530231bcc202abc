"""Decisions about what to offer, each offer shown or held back, and the customers' answers."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, text_enum
from app.suggestions.rules import AnswerKind, DeclineReason


class SuggestionDecision(Row, Base):
    """One ranking for one visit: the customer's facts it saw and the policy that ranked.

    Append-only; the newest of a visit is in force. `fingerprint` hashes everything that was
    decided on, so that asking again with nothing changed finds this row. `held_back` says why
    nothing was shown.
    """

    __tablename__ = "suggestion_decision"
    __table_args__ = (Index("ix_suggestion_decision_visit", "visit_id", "id"),)

    visit_id: Mapped[UUID] = mapped_column(ForeignKey("visit.id"))
    work_order_id: Mapped[UUID] = mapped_column(ForeignKey("work_order.id"))
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customer.id"), index=True)
    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    at: Mapped[datetime]
    policy: Mapped[str]
    facts: Mapped[dict[str, Any]]
    fingerprint: Mapped[str]
    held_back: Mapped[str | None]


class Suggestion(Row, Base):
    """One offering in a decision: shown with a rank, or held back with a code.

    `reasons` are the parts that add up to `score_fen`, also for what was held back.
    """

    __tablename__ = "suggestion"
    __table_args__ = (
        Index("ix_suggestion_decision", "decision_id"),
        CheckConstraint("(rank IS NULL) = (held_back IS NOT NULL)", name="shown_or_held_back"),
    )

    decision_id: Mapped[UUID] = mapped_column(ForeignKey("suggestion_decision.id"))
    offering_id: Mapped[UUID] = mapped_column(ForeignKey("product_offering.id"))
    offering_code: Mapped[str]
    rank: Mapped[int | None]
    score_fen: Mapped[int]
    reasons: Mapped[list[dict[str, Any]]]
    held_back: Mapped[str | None]


class SuggestionAnswer(Row, Base):
    """What the customer said to a suggestion; the phone makes the id. Append-only, the newest
    counts.

    `at` is when it was said as far as can be believed, and `created_at` when we heard of it.
    """

    __tablename__ = "suggestion_answer"
    __table_args__ = (
        Index("ix_suggestion_answer_suggestion", "suggestion_id"),
        Index("ix_suggestion_answer_customer", "customer_id", "at"),
    )

    suggestion_id: Mapped[UUID] = mapped_column(ForeignKey("suggestion.id"))
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customer.id"))
    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    answer: Mapped[AnswerKind] = mapped_column(text_enum(AnswerKind))
    reason: Mapped[DeclineReason | None] = mapped_column(text_enum(DeclineReason))
    competitor: Mapped[str | None]
    later_on: Mapped[date | None]
    at: Mapped[datetime]
    device_at: Mapped[datetime]


class ContactSlot(Base):
    """Offers are on a technician's screen for this customer, so nobody else may start selling.

    One row a customer, written under the customer's row lock; it ends by itself at `held_until`,
    and earlier when something was pitched (the contact ledger counts from then on) or the visit
    was handed back.
    """

    __tablename__ = "contact_slot"

    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customer.id"), primary_key=True)
    visit_id: Mapped[UUID] = mapped_column(ForeignKey("visit.id"), index=True)
    held_until: Mapped[datetime]
