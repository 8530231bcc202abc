"""The words of the lifecycle: stages, value tiers, classes of risk, signals and changes."""

from enum import StrEnum


class Stage(StrEnum):
    """Where a customer stands, from the first lead (A) to having left (E)."""

    ACQUISITION = "acquisition"
    BUILD_UP = "build_up"
    CLIMAX = "climax"
    DECLINE = "decline"
    EXIT = "exit"


class Tier(StrEnum):
    """How much a customer is worth to their org unit, the best first."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"


class ChurnClass(StrEnum):
    """How likely a customer is to leave."""

    LOW = "low"
    MID = "mid"
    HIGH = "high"


class Signal(StrEnum):
    """What speaks for a customer's decline."""

    CHURN_HIGH = "churn_high"
    USAGE_DOWN = "usage_down"
    TIER_FELL = "tier_fell"
    CONTRACT_ENDING = "contract_ending"
    COMPLAINTS = "complaints"
    ASKED_TO_LEAVE = "asked_to_leave"


class ChangeKind(StrEnum):
    """What about a customer has changed."""

    STAGE = "stage"
    TIER = "tier"
    TIER_FORECAST = "tier_forecast"
    CHURN_CLASS = "churn_class"


class CardSource(StrEnum):
    """How a churn card came to be: written by hand, or fitted to what customers did."""

    HAND = "hand"
    FITTED = "fitted"
