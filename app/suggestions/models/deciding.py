"""Decisions about what to offer, each offer shown or held back, and the registry of models."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.catalog.rules import ValueLever
from app.core.dated import DatedRule
from app.core.db import Base, Row, text_enum
from app.suggestions.rules import (
    Coordination,
    Group,
    HeldBack,
    Mode,
)
from app.suggestions.rules.leads import LeadTo
from app.suggestions.rules.model import ModelKind, PolicyState

# Both tables of the log are cut by the month of an id, whose first 48 bits are its time: the key
# can stay the id alone, and a month is dropped without touching its rows. Nothing outside the log
# has foreign keys to it, nor has one of the two to the other: each would have to be checked for
# every row of a month that goes.
BY_MONTH = "RANGE (id)"


class SuggestionDecision(Row, Base):
    """One ranking for one visit: the customer's facts it saw and the policy that ranked.

    Append-only; the newest of a visit is in force, until `valid_until` (null was not said yet).
    `visit_id` null was taken ahead of the visit, for a phone that may be offline at the door.
    `fingerprint` hashes everything that was
    decided on, so that asking again with nothing changed finds this row. `held_back` says why
    nothing was shown. `rules_version` stands for the gates, numbers and campaigns that
    were in force. `model_version` null was ranked by rules alone; `seed` repeats the draws.
    `as_of` is when the facts were read, and `shadow` says, by the version of each model that is
    tried beside the one in force, what that would have chosen.
    """

    __tablename__ = "suggestion_decision"
    __table_args__ = (
        Index("ix_suggestion_decision_visit", "visit_id", "id"),
        Index(
            "ix_suggestion_decision_ahead",
            "work_order_id",
            "id",
            postgresql_where=text("visit_id IS NULL"),
        ),
        {"postgresql_partition_by": BY_MONTH},
    )

    visit_id: Mapped[UUID | None] = mapped_column(ForeignKey("visit.id"))
    work_order_id: Mapped[UUID] = mapped_column(ForeignKey("work_order.id"))
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customer.id"), index=True)
    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    at: Mapped[datetime]
    policy: Mapped[str]
    rules_version: Mapped[str | None]
    model_version: Mapped[str | None]
    seed: Mapped[int | None]
    group: Mapped[Group] = mapped_column(text_enum(Group))
    mode: Mapped[Mode] = mapped_column(text_enum(Mode))
    as_of: Mapped[datetime]
    valid_until: Mapped[datetime | None]
    facts: Mapped[dict[str, Any]]
    fingerprint: Mapped[str]
    held_back: Mapped[str | None]
    shadow: Mapped[dict[str, Any] | None]


class Suggestion(Row, Base):
    """One offering in a decision: shown with a rank, or held back with a code.

    `reasons` are the parts that add up to `score_fen`, also for what was held back: the chance
    `p_accept` times the value `value_fen` times the factors `context` and `lever`, less the cost of
    a contact. `propensity` is how likely it was put first, null for what no gate let through, and
    `features` are what the model was told of it. `left_to` is whoever speaks on the channel that
    the customer prefers, and had rather be handed it than have it pitched at the door.
    """

    __tablename__ = "suggestion"
    __table_args__ = (
        Index("ix_suggestion_decision", "decision_id"),
        CheckConstraint("(rank IS NULL) = (held_back IS NOT NULL)", name="shown_or_held_back"),
        {"postgresql_partition_by": BY_MONTH},
    )

    decision_id: Mapped[UUID]
    offering_id: Mapped[UUID] = mapped_column(ForeignKey("product_offering.id"))
    offering_code: Mapped[str]
    rank: Mapped[int | None]
    score_fen: Mapped[int]
    p_accept: Mapped[float | None]
    value_fen: Mapped[int | None]
    context: Mapped[float | None]
    lever: Mapped[float | None]
    propensity: Mapped[float | None]
    features: Mapped[dict[str, Any] | None]
    reasons: Mapped[list[dict[str, Any]]]
    held_back: Mapped[str | None]
    coordination: Mapped[Coordination | None] = mapped_column(text_enum(Coordination))
    left_to: Mapped[LeadTo | None] = mapped_column(text_enum(LeadTo))


class SuggestionGate(Row, Base):
    """That a gate holds or does not, for an org unit's subtree from a local day on.

    A version is never rewritten; the closest unit's latest counts, and a gate that no version
    speaks of holds. The numbers of gates are the parameters `suggestions.*`.
    """

    __tablename__ = "suggestion_gate"
    __table_args__ = (
        Index("uq_suggestion_gate_version", "code", "org_path", "version", unique=True),
    )

    code: Mapped[HeldBack] = mapped_column(text_enum(HeldBack))
    version: Mapped[int]
    org_path: Mapped[str] = mapped_column(server_default=text("''"))
    valid_from: Mapped[date]
    in_force: Mapped[bool]
    set_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))


class SuggestionCampaign(Row, Base):
    """A factor for one offer or for a lever's offers for a time; see `rules.campaigns.Campaign`."""

    __tablename__ = "suggestion_campaign"
    __table_args__ = (
        CheckConstraint("(lever IS NULL) <> (offering_code IS NULL)", name="about_one_thing"),
        CheckConstraint("factor BETWEEN 0.5 AND 2", name="within_bounds"),
        CheckConstraint("valid_to > valid_from", name="dates_in_order"),
    )

    code: Mapped[str] = mapped_column(unique=True)
    org_path: Mapped[str] = mapped_column(server_default=text("''"))
    lever: Mapped[ValueLever | None] = mapped_column(text_enum(ValueLever))
    offering_code: Mapped[str | None]
    factor: Mapped[float]
    valid_from: Mapped[date]
    valid_to: Mapped[date]
    owner: Mapped[str]
    set_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    ended_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))


class SuggestionLever(DatedRule, Base):
    """Whom a lever is for, for a time: see `rules.levers.LeverRule`. `stages` null is any."""

    __tablename__ = "suggestion_lever"
    __table_args__ = (
        CheckConstraint("valid_to IS NULL OR valid_to >= valid_from", name="dates_in_order"),
    )

    lever: Mapped[ValueLever] = mapped_column(text_enum(ValueLever))
    stages: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    manager_tiers: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    preferred_tiers: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))


class PolicyModel(Row, Base):
    """A model in the registry: its document, what it was learned from, and where it stands.

    `document` is as `rules.model.Model.document` writes it. `trained_from` and `trained_until` are
    null for a model that has seen no rows. Of each kind one is live.
    """

    __tablename__ = "policy_model"
    __table_args__ = (
        Index("uq_policy_model_live", "kind", unique=True, postgresql_where=text("state = 'live'")),
        Index("ix_policy_model_state", "state"),
    )

    version: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[ModelKind] = mapped_column(text_enum(ModelKind))
    state: Mapped[PolicyState] = mapped_column(text_enum(PolicyState))
    document: Mapped[dict[str, Any]]
    trained_from: Mapped[datetime | None]
    trained_until: Mapped[datetime | None]
    rows: Mapped[int]
    figures: Mapped[dict[str, Any]]
    promoted_at: Mapped[datetime | None]
    promoted_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    retired_at: Mapped[datetime | None]
