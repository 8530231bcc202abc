"""Where customers stand in the lifecycle, what has changed, and the numbers it is told by."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, new_id, text_enum
from app.lifecycle.rules import CardSource, ChangeKind, ChurnClass, Stage, Tier


class CustomerLifecycle(Base):
    """Where one customer stands; days are local days of the org unit.

    Null is "not known": a tier while less is known of the income than the rules want, a score
    without a card that could tell it, or of a customer who has left. `value_12m_fen` is the mean of
    the known months' income, for twelve months. `last_signal_on` is the latest day on which
    something spoke for decline. `tier_forecast` is the tier that the last three months alone would
    give. `churn_reasons` are `[{field, points, value, term}]`, the heaviest first. `computed_at`
    is when this was written: a customer of whom nothing has changed is not written anew.
    """

    __tablename__ = "customer_lifecycle"
    __table_args__ = (
        # The counts per org unit are read off the index alone.
        Index(
            "ix_customer_lifecycle_unit",
            "org_unit_id",
            "stage",
            "tier",
            "churn_class",
            "hidden_high_value",
        ),
    )

    customer_id: Mapped[UUID] = mapped_column(
        ForeignKey("customer.id", ondelete="CASCADE"), primary_key=True
    )
    org_unit_id: Mapped[UUID]
    stage: Mapped[Stage] = mapped_column(text_enum(Stage))
    stage_since: Mapped[date]
    stage_rule: Mapped[str]
    tier: Mapped[Tier | None] = mapped_column(text_enum(Tier))
    tier_before: Mapped[Tier | None] = mapped_column(text_enum(Tier))
    tier_since: Mapped[date | None]
    tier_forecast: Mapped[Tier | None] = mapped_column(text_enum(Tier))
    hidden_high_value: Mapped[bool]
    value_12m_fen: Mapped[int | None]
    churn_score: Mapped[float | None]
    churn_class: Mapped[ChurnClass | None] = mapped_column(text_enum(ChurnClass))
    churn_reasons: Mapped[list[dict[str, Any]]]
    signals: Mapped[list[str]] = mapped_column(ARRAY(Text))
    last_signal_on: Mapped[date | None]
    card_version: Mapped[str | None]
    rules_version: Mapped[str]
    computed_at: Mapped[datetime]


class LifecycleChange(Base):
    """That a customer's stage, tier or class of risk changed, by which rule and from what.

    What was found out about a customer first is not a change. `before` or `after` null is not
    known, as it is of a class of risk once a customer has left. `warns` says that somebody ought to
    hear of it: the customer entered decline, fell or is about to fall a tier, or is likely to
    leave. `run_id` is of the batch or of the event that found it.
    """

    __tablename__ = "lifecycle_change"
    __table_args__ = (
        Index("ix_lifecycle_change_customer", "customer_id", "at", "id"),
        Index("ix_lifecycle_change_list", "org_unit_id", "at", "id"),
        Index(
            "ix_lifecycle_change_warned", "run_id", "customer_id", postgresql_where=text("warns")
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    run_id: Mapped[UUID]
    customer_id: Mapped[UUID]
    org_unit_id: Mapped[UUID]
    kind: Mapped[ChangeKind] = mapped_column(text_enum(ChangeKind))
    before: Mapped[str | None]
    after: Mapped[str | None]
    rule: Mapped[str]
    inputs: Mapped[dict[str, Any]] = mapped_column(JSONB())
    warns: Mapped[bool]
    at: Mapped[datetime]


class LifecycleRun(Row, Base):
    """One run over all customers, and what it found; `finished_at` null was stopped, or goes on."""

    __tablename__ = "lifecycle_run"
    __table_args__ = (
        Index(
            "ix_lifecycle_run_finished",
            "finished_at",
            postgresql_where=text("finished_at IS NOT NULL"),
        ),
    )

    at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    customers: Mapped[int] = mapped_column(server_default=text("0"))
    written: Mapped[int] = mapped_column(server_default=text("0"))
    changes: Mapped[int] = mapped_column(server_default=text("0"))
    warnings: Mapped[int] = mapped_column(server_default=text("0"))


class LifecycleCut(Base):
    """From how much on a customer of an org unit is in a tier or a better one.

    The amounts are those of `CustomerLifecycle.value_12m_fen`; `usage_high_gb` is what the fifth
    of the customers who use most use at least, in a month.
    """

    __tablename__ = "lifecycle_cut"

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"), primary_key=True)
    a_from_fen: Mapped[int | None]
    b_from_fen: Mapped[int | None]
    c_from_fen: Mapped[int | None]
    mean_fen: Mapped[int | None]
    usage_high_gb: Mapped[float | None]
    customers: Mapped[int]
    computed_at: Mapped[datetime]


class LifecycleDue(Base):
    """A customer who has to be looked at before the night, because something has happened.

    Whoever looks takes the row away in the same transaction. A queue has no foreign keys.
    """

    __tablename__ = "lifecycle_due"

    customer_id: Mapped[UUID] = mapped_column(primary_key=True)


class ChurnCard(Row, Base):
    """One version of the points by which the risk is told, in force from a day on.

    It is not rewritten: other points are another version. The document is a `rules.Card`.
    `figures` tell how good it was found to be, for one that was fitted.
    """

    __tablename__ = "churn_card"
    __table_args__ = (Index("ix_churn_card_valid", "valid_from", "id"),)

    version: Mapped[str] = mapped_column(unique=True)
    source: Mapped[CardSource] = mapped_column(text_enum(CardSource))
    valid_from: Mapped[date]
    document: Mapped[dict[str, Any]] = mapped_column(JSONB())
    figures: Mapped[dict[str, Any]] = mapped_column(JSONB(), server_default=text("'{}'"))
    set_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))


class ChurnSample(Base):
    """What was known of a customer on a day, kept so that it can be learned from later.

    Contracts and debts change in place, so that what they were cannot be read afterwards. One row a
    month for a share of the customers; `fields` are the card's. `month` is its first day.
    """

    __tablename__ = "churn_sample"
    __table_args__ = (Index("ix_churn_sample_day", "day", "customer_id"),)

    customer_id: Mapped[UUID] = mapped_column(primary_key=True)
    month: Mapped[date] = mapped_column(primary_key=True)
    day: Mapped[date]
    org_unit_id: Mapped[UUID]
    fields: Mapped[dict[str, Any]] = mapped_column(JSONB())
