"""What somebody's van holds, and what of it the orders they have need. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID


@dataclass(slots=True)
class Van:
    """Terminals by kind in somebody's van: `left` once each of their open orders has its own.

    `needed` is what these orders need, by their ids, and `taken` what was given to others since
    the van was read. Who has been given more by hand than they hold has less than nothing left.
    """

    left: Counter[str] = field(default_factory=Counter)
    needed: dict[UUID, Sequence[str]] = field(default_factory=dict)
    taken: Counter[str] = field(default_factory=Counter)

    def holds(self, terminals: Sequence[str], without: UUID | None = None) -> bool:
        """Tell whether one is left for each of these kinds, as if one order were not theirs."""
        freed = Counter(self.needed.get(without, ())) if without else Counter[str]()
        return all(
            self.left[kind] + freed[kind] >= pieces for kind, pieces in Counter(terminals).items()
        )

    def take(self, terminals: Sequence[str]) -> None:
        """Take one of each kind for an order that becomes theirs."""
        self.left.subtract(terminals)
        self.taken.update(terminals)

    def give_back(self, order_id: UUID) -> None:
        """Give free what one of their orders needs, since it leaves them."""
        self.left.update(self.needed.pop(order_id, ()))

    def overdrawn(self, now: "Van") -> bool:
        """Tell whether what was taken is not there any more, given the van as it is now without
        it: somebody else has taken from it meanwhile, or has booked something out."""
        return any(now.left[kind] < pieces for kind, pieces in self.taken.items())
