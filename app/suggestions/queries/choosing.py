"""What a choice rests on beside the customer: models, gates, campaigns, and the size of the log.

All of it changes rarely, so a process remembers it for a few seconds.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import Database
from app.core.lately import lately, remembered
from app.suggestions.models import PolicyModel, SuggestionCampaign, SuggestionGate
from app.suggestions.rules.campaigns import Campaign
from app.suggestions.rules.gating import GateVersion
from app.suggestions.rules.model import Model, ModelKind, PolicyState

_MODELS, _GATES, _CAMPAIGNS, _LOGGED = (
    f"suggestions.{name}" for name in ("models", "gates", "campaigns", "logged")
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
    for name in (_MODELS, _GATES, _CAMPAIGNS):
        database.cache.pop(name, None)
