"""The policies that are played, each a way of setting up the service and what it does at night."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import Database
from app.core.parameter_values import ParameterValue
from app.policies.service.learning import learn
from app.suggestions.models import PolicyModel
from app.suggestions.queries import forget
from app.suggestions.rules.exploring import RULES_ONLY
from app.suggestions.rules.model import Model, ModelKind, PolicyState


class Policy(Protocol):
    """How a policy prepares an installation, and what it does in the night before a day."""

    async def begins(self, database: Database, now: datetime) -> None: ...
    async def night(self, database: Database, now: datetime) -> None: ...


class ColdStart:
    """Experts' rates, tried beyond what they say; nothing is learned from what is answered."""

    async def begins(self, database: Database, now: datetime) -> None:
        """Put the model in force that has seen nothing."""
        model = Model.cold("cold")
        async with database.begin() as tx:
            tx.add(
                PolicyModel(
                    version=model.version,
                    kind=ModelKind.ACCEPTANCE,
                    state=PolicyState.LIVE,
                    document=model.document(),
                    rows=0,
                    figures={},
                )
            )
        forget(database)

    async def night(self, database: Database, now: datetime) -> None:
        """Learn nothing."""


class RulesOnly(ColdStart):
    """The switch back: rules' scores in the model's place, in the same groups of the month."""

    async def begins(self, database: Database, now: datetime) -> None:
        """Turn the switch, beside a model that would be in force without it."""
        await super().begins(database, now)
        async with database.begin() as tx:
            tx.add(ParameterValue(name=RULES_ONLY.name, org_path="", valid_from=now, value=1))
        database.cache.clear()


class Learned(ColdStart):
    """The same, and every night a new model is fitted to what was answered and put in force."""

    async def night(self, database: Database, now: datetime) -> None:
        """Fit what the night's learning fits, and put it in force at once."""
        async with database.begin() as tx:
            await _put_in_force(tx, now)
        forget(database)


async def _put_in_force(tx: AsyncSession, now: datetime) -> None:
    """Learn from the answers so far, and let the candidate take the place of the model in force."""
    found = await learn(tx, now)
    if found is None:
        return
    live = PolicyModel.state == PolicyState.LIVE
    await tx.execute(
        update(PolicyModel).where(live).values(state=PolicyState.RETIRED, retired_at=now)
    )
    found.model.state = PolicyState.LIVE
    await tx.flush()


POLICIES: dict[str, Callable[[], Policy]] = {
    "rules-only": RulesOnly,
    "cold start": ColdStart,
    "learned": Learned,
}
