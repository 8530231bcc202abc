"""Tables of sales: what was sold, how the customer agreed, the ledger of what happened, and
sums by the day."""

from app.sales.models.consent import (
    AGREED_BY_REPLY,
    AWAITS_REPLY,
    PICTURE_AWAITED,
    SECOND_DUE,
    ConsentRequest,
    ConsentSignature,
    SecondConfirmation,
)
from app.sales.models.funnel import SaleFunnelDay
from app.sales.models.ledger import (
    SaleEvent,
)
from app.sales.models.selling import (
    Sale,
    SaleItem,
)

__all__ = [
    "AGREED_BY_REPLY",
    "AWAITS_REPLY",
    "PICTURE_AWAITED",
    "SECOND_DUE",
    "ConsentRequest",
    "ConsentSignature",
    "Sale",
    "SaleEvent",
    "SaleFunnelDay",
    "SaleItem",
    "SecondConfirmation",
]
