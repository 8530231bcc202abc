"""Lists of addresses: how a line is written, and why a list may be refused."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple
from uuid import UUID

from app.core.errors import Conflict
from app.core.i18n import Words
from app.grids.rules import ListKind, unspaced


class Line(NamedTuple):
    """A line of a grid's list as it is kept: without blanks; `building` is empty but for one."""

    kind: ListKind
    name: str
    building: str = ""


def lines(given: Iterable[tuple[ListKind, str, str | None]]) -> list[Line]:
    """Write lines as they are kept, each once, in their order."""
    kept = (Line(kind, unspaced(name), unspaced(building)) for kind, name, building in given)
    return list(dict.fromkeys(kept))


@dataclass(frozen=True, kw_only=True)
class ListWanted:
    """A grid's list as it shall be; `version` is the grid's as whoever wrote the list saw it."""

    change_id: UUID
    grid_id: UUID
    version: int
    lines: Sequence[Line]
    reason: str
    content_hash: str


class ListedElsewhere(Conflict):
    """Two grids cannot list the same address at one time."""

    slug = "listed-elsewhere"
    title: ClassVar[Words] = Words(
        zh="清单中有条目已属于别的网格", en="Other grids already list some of these"
    )
    advice: ClassVar[Words] = Words(
        zh="{claims}；请先从对方清单中删除，或改写条目。清单未作任何改动。",
        en="{claims}; take them off that list first, or write them otherwise. Nothing was changed.",
    )
