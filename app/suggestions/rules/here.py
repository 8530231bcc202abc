"""What was sold here already, and what that makes of all else that may be sold in a visit. Pure."""

from collections.abc import Iterable, Set
from typing import NamedTuple


class OrderedHere(NamedTuple):
    """One thing that was sold in this visit and stands, or in another and does not show yet, as the
    catalogue had it.

    `brought` says that the customer has it within this visit: whoever sold it installs it, or
    nothing has to be installed.
    """

    code: str
    category: str
    terminal_kind: str | None
    excludes: frozenset[str]
    brought: bool

    @property
    def words(self) -> frozenset[str]:
        """What others may require or exclude of it: its code, its category, its kind of device."""
        return frozenset(
            word for word in (self.code, self.category, self.terminal_kind) if word is not None
        )


class Here(NamedTuple):
    """The same of all that was sold, as the facts of a decision have it."""

    ordered_here: frozenset[str] = frozenset()
    brought_here: frozenset[str] = frozenset()
    shut_out_here: frozenset[str] = frozenset()


def seen_here(ordered: Iterable[OrderedHere], held: Set[str]) -> Here:
    """See what was sold; what has arrived counts as what the customer holds."""
    coming = [one for one in ordered if one.code not in held]
    return Here(
        frozenset().union(*(one.words for one in coming)),
        frozenset().union(*(one.words for one in coming if one.brought)),
        frozenset().union(*(one.excludes for one in coming)),
    )
