"""Decisions about what to offer, each offer shown or held back, and the customers' answers."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, text_enum
from app.suggestions.rules import AnswerKind


class SuggestionDecision(Row, Base):
    """One ranking for one visit: the customer's facts it saw and the policy that ranked.

    Append-only; the newest of a visit is in force.
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
    held_back: Mapped[str | None]


class Suggestion(Row, Base):
    """One offering in a decision: shown with a rank and reasons, or held back with a code."""

    __tablename__ = "suggestion"
    __table_args__ = (Index("ix_suggestion_decision", "decision_id"),)

    decision_id: Mapped[UUID] = mapped_column(ForeignKey("suggestion_decision.id"))
    offering_id: Mapped[UUID] = mapped_column(ForeignKey("product_offering.id"))
    offering_code: Mapped[str]
    rank: Mapped[int | None]
    score: Mapped[float]
    reasons: Mapped[list[dict[str, Any]]]
    held_back: Mapped[str | None]


class SuggestionAnswer(Row, Base):
    """What the customer said to a suggestion; append-only, the newest counts."""

    __tablename__ = "suggestion_answer"
    __table_args__ = (Index("ix_suggestion_answer_suggestion", "suggestion_id"),)

    suggestion_id: Mapped[UUID] = mapped_column(ForeignKey("suggestion.id"))
    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    answer: Mapped[AnswerKind] = mapped_column(text_enum(AnswerKind))
    pitched: Mapped[bool] = mapped_column(server_default=text("true"))
    reason: Mapped[str | None]
    competitor: Mapped[str | None]
    later_on: Mapped[date | None]
    at: Mapped[datetime]
    device_at: Mapped[datetime | None]
