"""Grids' words, and the fixed rule that decides between grids that cover the same point."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar


class GridKind(StrEnum):
    """What a grid mostly consists of."""

    COMPOUND = "compound"
    VILLAGE = "village"
    BUSINESS_BUILDING = "business_building"
    STREET = "street"


class GridStage(StrEnum):
    """How far a grid has grown, from empty to contracted."""

    NONE = "none"
    PILOT = "pilot"
    COVERED = "covered"
    CONTRACTED = "contracted"


class MembershipKind(StrEnum):
    """How a technician belongs to a grid."""

    PRIMARY = "primary"
    BACKUP = "backup"
    LOAN = "loan"


@dataclass(frozen=True, slots=True)
class Cover:
    """A grid that covers a point: how it claims it and how far inside its border the point lies.

    `listed` is true when the grid's own list of buildings names the address; `border_m` is the
    distance in metres to the nearest border of the grid's polygon, 0 on the border itself.
    """

    code: str
    listed: bool
    border_m: float


C = TypeVar("C", bound=Cover)


def settle(covers: Iterable[C]) -> C | None:
    """Choose the grid of a point that several cover; the same covers always give the same grid.

    A list of buildings was written on purpose, so it comes before a drawn polygon; then the grid
    the point lies deepest in; then the lower code by code point. Depths are compared in whole
    centimetres, so that a rounding error on a shared border cannot decide.
    """
    return min(
        covers,
        key=lambda cover: (not cover.listed, -round(cover.border_m * 100), cover.code),
        default=None,
    )
