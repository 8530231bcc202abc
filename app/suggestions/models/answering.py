"""What became of suggestions: answers, notes of competitors, leads for others, and outcomes.

None of them has a foreign key to a suggestion, whose log is cut by the month.
"""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, text_enum
from app.suggestions.rules import AnswerKind, DeclineReason, HeldBack
from app.suggestions.rules.leads import LeadState, LeadTo


class SuggestionAnswer(Row, Base):
    """What was said of a suggestion; the phone makes the id. Append-only, the newest counts.

    `pitched` tells whether the technician spoke of it at all: that is their choice, and no answer
    of the customer's. `answer` null is a pitch whose answer is not known yet. `held_back` is the
    guard that had become true when an acceptance arrived, or a hand-over. `at` is when it was said
    as far as can be believed, and `created_at` when we heard of it. `competitor` names who else
    serves them; the rest stands in the note with the answer's id.
    """

    __tablename__ = "suggestion_answer"
    __table_args__ = (
        Index("ix_suggestion_answer_suggestion", "suggestion_id"),
        Index("ix_suggestion_answer_customer", "customer_id", "at"),
        Index("ix_suggestion_answer_at", "at"),
        # The lifecycle reads those of all customers every night, and they are few.
        Index(
            "ix_suggestion_answer_dissatisfied",
            "customer_id",
            "at",
            postgresql_where=text("reason = 'dissatisfied'"),
        ),
        # How old a row is says this, and not the id, which a phone has made.
        Index("ix_suggestion_answer_swept", "created_at", "id"),
        CheckConstraint("pitched OR answer IS NOT NULL", name="says_something"),
    )

    suggestion_id: Mapped[UUID]
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customer.id"))
    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    answer: Mapped[AnswerKind | None] = mapped_column(text_enum(AnswerKind))
    pitched: Mapped[bool] = mapped_column(server_default=text("true"))
    reason: Mapped[DeclineReason | None] = mapped_column(text_enum(DeclineReason))
    competitor: Mapped[str | None]
    later_on: Mapped[date | None]
    held_back: Mapped[HeldBack | None] = mapped_column(text_enum(HeldBack))
    at: Mapped[datetime]
    device_at: Mapped[datetime]


class CompetitorNote(Row, Base):
    """What a customer told of another operator: who, with what, at what price, and until when.

    The id is that of the answer it came with. The grid is the one of the order, so that a
    supervisor sees where others are selling.
    """

    __tablename__ = "competitor_note"
    __table_args__ = (
        Index("ix_competitor_note_unit", "org_unit_id", "at", "id"),
        Index("ix_competitor_note_grid", "grid_id", "at", "id"),
        # How old a row is says this, and not the id, which a phone has made.
        Index("ix_competitor_note_swept", "created_at", "id"),
    )

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    grid_id: Mapped[UUID | None] = mapped_column(ForeignKey("grid.id"))
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customer.id"))
    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    who: Mapped[str]
    offer: Mapped[str | None]
    monthly_price_fen: Mapped[int | None]
    until: Mapped[date | None]
    at: Mapped[datetime]


class SalesLead(Row, Base):
    """An offer handed over to another channel, which closes it here; the phone makes the id.

    Of one offer to one customer only one lead is open at a time. One about a prospect has no
    customer and no suggestion, and an offering only where they asked about one.
    """

    __tablename__ = "sales_lead"
    __table_args__ = (
        Index("ix_sales_lead_unit", "org_unit_id", "at", "id"),
        Index(
            "uq_sales_lead_open",
            "customer_id",
            "offering_code",
            unique=True,
            postgresql_where=text("state IN ('open', 'taken')"),
        ),
        # What is forgotten when its time is over, and has not been yet.
        Index(
            "ix_sales_lead_swept",
            "created_at",
            "id",
            postgresql_where=text("num_nonnulls(note, ended_note) > 0"),
        ),
        CheckConstraint(
            "CASE WHEN prospect_id IS NULL"
            " THEN num_nulls(customer_id, suggestion_id, offering_code) = 0"
            " ELSE num_nonnulls(customer_id, suggestion_id) = 0 END",
            name="about_somebody",
        ),
    )

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    customer_id: Mapped[UUID | None] = mapped_column(ForeignKey("customer.id"))
    prospect_id: Mapped[UUID | None] = mapped_column(ForeignKey("prospect.id"))
    suggestion_id: Mapped[UUID | None]
    offering_code: Mapped[str | None]
    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    handed_to: Mapped[LeadTo] = mapped_column(text_enum(LeadTo))
    note: Mapped[str | None]
    state: Mapped[LeadState] = mapped_column(text_enum(LeadState))
    taken_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    ended_note: Mapped[str | None]
    at: Mapped[datetime]
    device_at: Mapped[datetime]
    changed_at: Mapped[datetime]


class SuggestionOutcome(Base):
    """What came of a suggestion that was answered: one row each, completed as time passes.

    `kept_30` tells whether what was accepted is still held 30 days later, and `complained_14`
    whether the customer complained within 14 days after it was pitched; null is not known yet, or
    nothing that could be known.
    """

    __tablename__ = "suggestion_outcome"
    __table_args__ = (Index("ix_suggestion_outcome_decision", "decision_id"),)

    suggestion_id: Mapped[UUID] = mapped_column(primary_key=True)
    decision_id: Mapped[UUID]
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customer.id"))
    answered_at: Mapped[datetime]
    pitched: Mapped[bool]
    accepted: Mapped[bool]
    kept_30: Mapped[bool | None]
    complained_14: Mapped[bool | None]
    settled_at: Mapped[datetime]
