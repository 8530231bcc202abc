"""A plan as somebody wishes for it."""

from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from app.planning.rules.plans import PlanKind


@dataclass(frozen=True, slots=True)
class Wish:
    """A plan as it is asked for: the day's search takes so many seconds of processor time or so
    many iterations; neither is what the settings say for each order."""

    id: UUID
    day: date
    seed: int = 0
    cpu_seconds: float | None = None
    iterations: int | None = None
    base_id: UUID | None = None
    reason: str = ""
    kind: PlanKind = PlanKind.DAY
    facts: dict[str, Any] | None = None

    def asked(self) -> dict[str, Any]:
        """Say how it is to be made, as it is kept."""
        return {
            "seed": self.seed,
            "cpu_seconds": self.cpu_seconds,
            "iterations": self.iterations,
            **(self.facts or {}),
        }
