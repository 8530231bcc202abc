"""What is said to who owes: how to pay, and what they can do by themselves. It is service, no sale.

Nothing is sold to them on credit; what may be offered beside it is what is paid for beforehand.
"""

from collections.abc import Mapping

from app.core.errors import Conflict
from app.core.i18n import Words
from app.suggestions.rules import HeldBack
from app.suggestions.rules.talk import yuan

# The subject of the contact in the ledger.
SUBJECT = "arrears_reminder"

SAYS: Mapping[HeldBack, Words] = {
    HeldBack.ARREARS: Words(
        "您的账户欠费 {yuan} 元，缴清后即可办理其他业务。",
        "{yuan} yuan are owed on your account; once they are paid, you can order as before.",
    ),
    HeldBack.BLACKLISTED: Words(
        "您目前可办理预付费业务，先付后用。",
        "For now you can have whatever is paid for beforehand.",
    ),
}
HOW_TO_PAY = Words(
    "缴费可在掌上营业厅、营业厅或银行代扣办理，装维人员不收现金。",
    "You can pay in the app, in a shop or through your bank; technicians take no money.",
)
SELF_SERVICE = Words(
    "账单和缴费记录可在掌上营业厅自助查询。",
    "Bills and what was paid can be looked up in the app at any time.",
)


class NothingOwed(Conflict):
    slug = "nothing-owed"
    title = Words(zh="客户没有欠费", en="This customer owes nothing")
    advice = Words(
        zh="客户无欠费且不在信用黑名单中，无需提醒。",
        en="They owe nothing and are on no list of bad debts, so there is nothing to remind of.",
    )


def reminded_of(arrears_fen: int | None, *, blacklisted: bool | None) -> HeldBack | None:
    """Say of what a customer is to be reminded; None is of nothing, as where it is not known."""
    if arrears_fen:
        return HeldBack.ARREARS
    return HeldBack.BLACKLISTED if blacklisted else None


def said(code: HeldBack, arrears_fen: int | None) -> Words:
    """Say it with the sum that is owed, in fen."""
    return Words(*(each.format(yuan=yuan(arrears_fen or 0)) for each in SAYS[code]))
