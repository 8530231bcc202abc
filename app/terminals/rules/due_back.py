"""What a customer has to give back: why, and how it can end."""

from enum import StrEnum


class DueCause(StrEnum):
    """Why a terminal has to be given back."""

    REMOVAL = "removal"
    SPEED_CHANGE = "speed_change"
    DOWNGRADE = "downgrade"
    SWAP = "swap"


class DueState(StrEnum):
    """Whether it is back. What is written off counts as not recovered; cancelled was never due."""

    OPEN = "open"
    RECOVERED = "recovered"
    WRITTEN_OFF = "written_off"
    CANCELLED = "cancelled"


class WriteOffCause(StrEnum):
    """Why a terminal will not come back."""

    CUSTOMER_LOST_IT = "customer_lost_it"
    DESTROYED = "destroyed"
    MOVED_AWAY = "moved_away"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    NOT_WORTH_IT = "not_worth_it"


class KeptCause(StrEnum):
    """Why a terminal need not be given back after all."""

    SERVICE_GOES_ON = "service_goes_on"
    SOLD = "sold"
    RECORDED_WRONGLY = "recorded_wrongly"
