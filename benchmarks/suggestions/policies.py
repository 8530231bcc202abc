"""The policies that are played, each a way of setting up the service and what it does at night."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from app.core.db import Database


class Policy(Protocol):
    """How a policy prepares an installation, and what it does in the night before a day."""

    async def begins(self, database: Database, now: datetime) -> None: ...
    async def night(self, database: Database, now: datetime) -> None: ...


class RulesOnly:
    """The switch back: the rules' scores alone, nothing tried and nothing learned."""

    async def begins(self, database: Database, now: datetime) -> None:
        """Set nothing: the service knows nothing else yet."""

    async def night(self, database: Database, now: datetime) -> None:
        """Learn nothing."""


POLICIES: dict[str, Callable[[], Policy]] = {"rules-only": RulesOnly}
