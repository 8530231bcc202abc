"""One technician gives a terminal to another: what can go wrong with it."""

from app.core.errors import Conflict
from app.core.i18n import Words


class NotInYourVan(Conflict):
    slug = "not-in-your-van"
    title = Words(zh="该终端不在您车上", en="This terminal is not in your van")
    advice = Words(
        zh="{serial_number} 未登记在您车上，请核对串号。",
        en="{serial_number} is not booked in your van: look at the number again.",
    )


class HandoverOver(Conflict):
    slug = "handover-over"
    title = Words(zh="该移交已结束", en="This hand-over is over")
    advice = Words(
        zh="移交状态为 {state}；如仍需移交，请对方重新发起。",
        en="It is {state}; ask the giver to offer it again if it is still wanted.",
    )
