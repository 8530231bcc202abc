"""Why the install of a sale is called off, and until when that can be."""

from enum import StrEnum

from app.workorders.rules import WAITING, State


class CallOff(StrEnum):
    """What became of a sale that is not installed any more."""

    SALE_CANCELLED = "sale_cancelled"
    SALE_REJECTED = "sale_rejected"
    SALE_REVERSED = "sale_reversed"
    # What stands of the sale does not have to be installed.
    ITEMS_REVERSED = "sale_items_reversed"


# From travelling on it is the technician's to end.
NOT_BEGUN = WAITING | {State.ASSIGNED, State.ACKNOWLEDGED}
