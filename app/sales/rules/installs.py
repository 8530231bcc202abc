"""What an install takes, and what becomes of one whose sale has ended."""

from app.core.errors import Conflict
from app.core.i18n import Words
from app.core.parameters import Parameter
from app.feasibility.rules import CallOff
from app.sales.rules.states import SaleState

ALERT_LEFT = Parameter(
    "sales.alert_installs_left",
    default=1,
    unit="",
    words=Words(
        zh="销售单已终止而即办即装已在途或在施工的，达到多少张即告警",
        en="How many installs may go on whose sales have ended before supervisors are alerted",
    ),
    least=1,
)


class ReservationOfAnotherSale(Conflict):
    slug = "reservation-of-another-sale"
    title = Words(zh="该预留已用于另一张销售单", en="This reservation is kept for another sale")
    advice = Words(
        zh="销售单 {sale_id}（状态 {state}）已使用该预留：请先取消该单，或另行预留。",
        en="Sale {sale_id}, which is {state}, has it: cancel that one first, or reserve anew.",
    )


class SlotOfAnotherSale(Conflict):
    slug = "slot-of-another-sale"
    title = Words(zh="该安装时段已用于另一张销售单", en="This slot is kept for another sale")
    advice = Words(
        zh="销售单 {sale_id}（状态 {state}）已使用该时段：请先取消该单，或另约时段。",
        en="Sale {sale_id}, which is {state}, has it: cancel that one first, or book another slot.",
    )


_ENDED = {
    SaleState.CANCELLED: CallOff.SALE_CANCELLED,
    SaleState.REJECTED: CallOff.SALE_REJECTED,
}


def why_called_off(state: SaleState, *, reversed_: bool, left: bool) -> CallOff | None:
    """Say why a sale is not to be installed any more; None while it is. `left` says whether
    anything of it that has not come back has to be installed.

    One that the customer brought back is not, whatever the ordering system makes of its order.
    """
    if state in _ENDED:
        return _ENDED[state]
    if reversed_:
        return CallOff.SALE_REVERSED
    return None if left else CallOff.ITEMS_REVERSED
