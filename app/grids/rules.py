"""Grids' words, and the fixed rule that decides between grids that cover the same point."""

from enum import StrEnum


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
