"""The commands that redraw grids, as values: shapes valid and in WGS-84 degrees."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from shapely import LineString, MultiPolygon, Point

from app.grids.rules import ChangeKind


@dataclass(frozen=True, slots=True)
class Seen:
    """A grid and the version of it that the caller has looked at."""

    id: UUID
    version: int


@dataclass(frozen=True, slots=True)
class NewPart:
    """A grid that a split makes: the piece at a point, or what a drawn shape takes."""

    id: UUID
    code: str
    name: str
    at: Point | None = None
    boundary: MultiPolygon | None = None


@dataclass(frozen=True, slots=True)
class Reshape:
    """Give a grid a new boundary."""

    grid: Seen
    boundary: MultiPolygon


@dataclass(frozen=True, slots=True)
class Split:
    """Cut a grid by a line, or along the shapes of its parts; it goes on as one of them."""

    grid: Seen
    parts: tuple[NewPart, ...]
    line: LineString | None = None
    keep: Point | None = None


@dataclass(frozen=True, slots=True)
class Merge:
    """Let a grid take others over; they retire."""

    grid: Seen
    others: tuple[Seen, ...]


@dataclass(frozen=True, slots=True)
class MoveBorder:
    """Give ground of a grid to its neighbour, or both a new common border."""

    grid: Seen
    neighbour: Seen
    area: MultiPolygon | None = None
    line: LineString | None = None


@dataclass(frozen=True, slots=True)
class Retire:
    """End a grid; an heir takes its ground over, or nobody."""

    grid: Seen
    heir: Seen | None = None


Command = Reshape | Split | Merge | MoveBorder | Retire

KINDS: Mapping[type[Command], ChangeKind] = {
    Reshape: ChangeKind.RESHAPE,
    Split: ChangeKind.SPLIT,
    Merge: ChangeKind.MERGE,
    MoveBorder: ChangeKind.MOVE_BORDER,
    Retire: ChangeKind.RETIRE,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A command as it was given; `notes` tell what was repaired in what was drawn.

    `content` is the command in JSON's own types and `content_hash` stands for it.
    """

    id: UUID
    command: Command
    reason: str
    accept_overlap: bool
    content: Mapping[str, Any]
    content_hash: str
    notes: tuple[Mapping[str, Any], ...] = ()

    @property
    def kind(self) -> ChangeKind:
        """What is done to grids."""
        return KINDS[type(self.command)]

    def seen(self) -> list[Seen]:
        """List the grids it concerns that are there already, the one it is about first."""
        match self.command:
            case Merge(grid=grid, others=others):
                return [grid, *others]
            case MoveBorder(grid=grid, neighbour=neighbour):
                return [grid, neighbour]
            case Retire(grid=grid, heir=heir):
                return [grid, heir] if heir else [grid]
            case _:
                return [self.command.grid]
