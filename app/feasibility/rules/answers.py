"""What there is to say of offerings at a door. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core.i18n import Words
from app.dispatch.rules import Need, Offer
from app.feasibility.rules.codes import No
from app.feasibility.rules.judging import sellable
from app.serviceability.rules import LineAt


@dataclass(frozen=True)
class Feasible:
    """What there is to say of one offering. `serials` are what the van has for it."""

    code: str
    name: Words
    speed_mbps: int | None
    need: Need | None
    noes: Sequence[No]
    serials: Sequence[str]
    next_best: Offer | None

    @property
    def can_sell(self) -> bool:
        """Whether it may be sold."""
        return sellable(self.noes)

    @property
    def can_install_now(self) -> bool:
        """Whether the customer can have it with this visit."""
        return not self.noes


@dataclass(frozen=True)
class Answers:
    """What there is to say of each offering at a door, and of its line."""

    visit_id: UUID
    at: datetime
    line: LineAt | None
    free_minutes: float | None
    offerings: Sequence[Feasible]
