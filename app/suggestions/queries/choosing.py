"""What a choice rests on beside the customer: models, gates, campaigns, levers, the log's size.

All of it changes rarely, so a process remembers it for a few seconds.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, literal, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.rules import ValueLever
from app.core.db import Database, fetched, first_id_at
from app.core.lately import lately, remembered
from app.suggestions.models import (
    PolicyModel,
    SuggestionCampaign,
    SuggestionGate,
    SuggestionLever,
)
from app.suggestions.rules.campaigns import Campaign
from app.suggestions.rules.gating import GateVersion
from app.suggestions.rules.levers import LeverRule
from app.suggestions.rules.model import Model, ModelKind, PolicyState

_MODELS, _GATES, _CAMPAIGNS, _LEVERS, _LOGGED = (
    f"suggestions.{name}" for name in ("models", "gates", "campaigns", "levers", "logged")
)
# How many decisions there are is asked once a minute: it moves a floor after tens of thousands.
COUNTED_EVERY_SECONDS = 60.0


class Standing(NamedTuple):
    """A model of the registry and where it stands."""

    id: UUID
    state: PolicyState
    model: Model


# A live model decides, a challenger decides for a share, and a shadow notes what it would do.
AT_WORK = (PolicyState.LIVE, PolicyState.CHALLENGER, PolicyState.SHADOW)


async def models_at_work(session: AsyncSession) -> Sequence[Standing]:
    """Return the models of acceptance that are asked, the newest first."""
    return await lately(session, _MODELS, _models)


async def _models(session: AsyncSession) -> Sequence[Standing]:
    # A model is never rewritten, so only one that was not known is read as a whole.
    known = {one.id: one.model for one in remembered(session, _MODELS) or ()}
    rows = (
        await session.execute(
            select(PolicyModel.id, PolicyModel.version, PolicyModel.state)
            .where(
                PolicyModel.kind == ModelKind.ACCEPTANCE,
                PolicyModel.state.in_(AT_WORK),
            )
            .order_by(PolicyModel.id.desc())
        )
    ).all()
    new = [row.id for row in rows if row.id not in known]
    if new:
        documents = select(PolicyModel.id, PolicyModel.version, PolicyModel.document)
        for row in await session.execute(documents.where(PolicyModel.id.in_(new))):
            known[row.id] = Model.of_document(row.version, row.document)
    return [Standing(row.id, row.state, known[row.id]) for row in rows]


async def gates(session: AsyncSession) -> Sequence[GateVersion]:
    """Return every version of every gate that was ever switched."""
    return await lately(session, _GATES, _gates)


async def _gates(session: AsyncSession) -> Sequence[GateVersion]:
    columns = [getattr(SuggestionGate, name) for name in GateVersion._fields]
    rows = await session.execute(select(*columns).order_by(SuggestionGate.id))
    return [GateVersion(*row) for row in rows]


async def campaigns(session: AsyncSession) -> Sequence[Campaign]:
    """Return every campaign there is, was, or will be."""
    return await lately(session, _CAMPAIGNS, _campaigns)


async def _campaigns(session: AsyncSession) -> Sequence[Campaign]:
    columns = [getattr(SuggestionCampaign, name) for name in Campaign._fields]
    rows = await session.execute(select(*columns).order_by(SuggestionCampaign.id))
    return [Campaign(*row) for row in rows]


async def levers(session: AsyncSession) -> Sequence[LeverRule]:
    """Return every rule of a lever there is, was, or will be."""
    return await lately(session, _LEVERS, _levers)


async def _levers(session: AsyncSession) -> Sequence[LeverRule]:
    columns = [getattr(SuggestionLever, name) for name in LeverRule._fields]
    rows = await session.execute(select(*columns).order_by(SuggestionLever.id))
    return [LeverRule(*row) for row in rows]


class Buyer(NamedTuple):
    """What a sale asks of a customer and the org unit: its path and zone, and their tier (None is
    not known)."""

    path: str
    zone: str
    tier: str | None


_BUYER = text(
    """
    SELECT org_unit.path, org_unit.time_zone, customer_lifecycle.tier
    FROM org_unit
    LEFT JOIN customer_lifecycle ON customer_lifecycle.customer_id = :customer_id
    WHERE org_unit.id = :org_unit_id
    """
)


async def buyer_in_unit(session: AsyncSession, customer_id: UUID, org_unit_id: UUID) -> Buyer:
    """Read what decides whether a sale to a customer is the account manager's."""
    given = {"customer_id": customer_id, "org_unit_id": org_unit_id}
    return Buyer(*(await session.execute(_BUYER, given)).one())


async def logged(session: AsyncSession, most: int) -> int:
    """Count the decisions that were logged, up to a number past which it makes no difference."""

    async def count(session: AsyncSession) -> int:
        before: int = remembered(session, _LOGGED) or 0
        if before >= most:
            return before
        return int(await session.scalar(_COUNT, {"most": most}) or 0)

    return await lately(session, _LOGGED, count, seconds=COUNTED_EVERY_SECONDS)


_COUNT = text("SELECT count(*) FROM (SELECT FROM suggestion_decision LIMIT :most) AS d")


def forget(database: Database) -> None:
    """Let this process read anew what it has just changed itself."""
    for name in (_MODELS, _GATES, _CAMPAIGNS, _LEVERS):
        database.cache.pop(name, None)


async def campaigns_page(
    session: AsyncSession, org_path: str, *, size: int, after: UUID | None
) -> Sequence[SuggestionCampaign]:
    """List one campaign more than asked for of those that concern an org unit, the newest first."""
    return await _page(session, SuggestionCampaign, org_path, size=size, after=after)


async def lever_rules_page(
    session: AsyncSession,
    org_path: str,
    *,
    size: int,
    after: UUID | None,
    lever: ValueLever | None = None,
) -> Sequence[SuggestionLever]:
    """List one rule of levers more than asked for, also past ones, like `campaigns_page`."""
    wanted = () if lever is None else (SuggestionLever.lever == lever,)
    return await _page(session, SuggestionLever, org_path, *wanted, size=size, after=after)


async def gate_versions_page(
    session: AsyncSession, org_path: str, *, size: int, after: UUID | None
) -> Sequence[SuggestionGate]:
    """List one version of gates more than asked for, also past ones, like `campaigns_page`."""
    return await _page(session, SuggestionGate, org_path, size=size, after=after)


Set = TypeVar("Set", SuggestionCampaign, SuggestionGate, SuggestionLever)


async def _page(
    session: AsyncSession,
    table: type[Set],
    org_path: str,
    *wanted: ColumnElement[bool],
    size: int,
    after: UUID | None,
) -> Sequence[Set]:
    path = table.org_path
    statement = (
        select(table)
        .where(or_(path.startswith(org_path, autoescape=True), literal(org_path).startswith(path)))
        .where(*wanted)
        .order_by(table.id.desc())
        .limit(size + 1)
    )
    if after is not None:
        statement = statement.where(table.id < after)
    return (await session.scalars(statement)).all()


# What is worth most, with the campaigns and without; equal ones go by code, as in the ranking. What
# campaigns add counts where it is worth a contact without. Otherwise the cost of a contact is the
# same for all and decides nothing here. The months of the log that cannot
# have the days are not looked into: a decision's id was made by the real clock, which a simulated
# one may lie behind, so nothing is said of the latest.
_WINNERS = """
    WITH best AS (
        SELECT d.id,
            (array_agg(s.offering_code ORDER BY worth.fen * CASE
                WHEN s.score_fen > worth.fen * greatest(s.lever - 1, 0) THEN s.lever
                ELSE least(s.lever, 1) END DESC, s.offering_code))[1] AS pushed,
            (array_agg(s.offering_code ORDER BY worth.fen DESC, s.offering_code))[1] AS alone
        FROM suggestion_decision d
        JOIN technician t ON t.id = d.technician_id
        JOIN org_unit u ON u.id = t.org_unit_id
        JOIN suggestion s ON s.decision_id = d.id AND s.propensity IS NOT NULL
        CROSS JOIN LATERAL (SELECT s.p_accept * s.value_fen * s.context AS fen) AS worth
        WHERE d.at >= %(since)s AND d.at < %(until)s AND d.id >= %(from_id)s AND s.id >= %(from_id)s
            AND starts_with(u.path, %(org_path)s)
        GROUP BY d.id
    )
    SELECT pushed, count(*), count(*) FILTER (WHERE pushed <> alone)
    FROM best GROUP BY pushed ORDER BY pushed
"""


async def changed_winners(
    session: AsyncSession, org_path: str, since: datetime, until: datetime
) -> dict[str, Any]:
    """Count, by offer, the decisions of some time that it wins, and that it wins by campaigns."""
    given = {
        "since": since,
        "until": until,
        "from_id": first_id_at(since),
        "org_path": org_path,
    }
    offers = [
        {"offering_code": code, "won": won, "won_through_campaigns": through}
        for code, won, through in await fetched(session, _WINNERS, given)
    ]
    return {
        "decisions": sum(one["won"] for one in offers),
        "changed": sum(one["won_through_campaigns"] for one in offers),
        "offers": offers,
    }
