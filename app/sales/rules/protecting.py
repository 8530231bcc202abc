"""Who confirms a second time before a sale counts: minors, the elderly, and those who are flagged.

Nothing else asks how old anybody is: neither price nor eligibility may.
"""

from dataclasses import dataclass
from enum import StrEnum

from app.core.errors import Conflict, Invalid
from app.core.i18n import Words
from app.core.parameters import Parameter
from app.real_name.rules import AgeGroup


class Protection(StrEnum):
    """Why a customer is protected."""

    MINOR = "minor"
    FLAGGED = "flagged"
    ELDERLY = "elderly"


class SecondChannel(StrEnum):
    """How the second confirmation is asked for: a message to somebody close, or a call back."""

    MESSAGE = "message"
    CALL = "call"


class SecondState(StrEnum):
    """What came of the second confirmation."""

    DUE = "due"
    GIVEN = "given"
    REFUSED = "refused"
    LAPSED = "lapsed"


class Relation(StrEnum):
    """Who a second contact is to the customer."""

    SPOUSE = "spouse"
    CHILD = "child"
    PARENT = "parent"
    GUARDIAN = "guardian"
    OTHER = "other"


@dataclass(frozen=True)
class SecondContact:
    """Somebody close to the customer, as the customer names them."""

    phone: str
    relation: Relation


SECOND_HOURS = Parameter(
    "sales.second_confirmation_hours",
    default=168,
    unit="h",
    words=Words(
        zh="二次确认的等待时间，超时自动取消",
        en="How long a second confirmation is waited for before the sale is cancelled",
    ),
    least=1,
    most=720,
)
CANCEL_DAYS = Parameter(
    "sales.cancel_days",
    default=7,
    unit="d",
    words=Words(
        zh="受保护客户可无条件取消的天数",
        en="For how many days a protected customer may cancel without a reason",
    ),
    least=1,
    most=60,
)

# What becomes of a sale that nobody confirmed a second time, as it is kept with it.
NOT_CONFIRMED = Words(
    zh="二次确认超时未答复，已自动取消", en="cancelled: nobody confirmed it a second time"
)
REFUSED = Words(zh="第二联系人不同意，已取消", en="cancelled: the second contact did not agree")
WITHDRAWN = Words(
    zh="客户在二次确认前撤回，已取消", en="cancelled: withdrawn before it was confirmed"
)


class SecondContactNotFit(Invalid):
    slug = "second-contact-not-fit"
    title = Words(zh="第二联系人不合适", en="This second contact will not do")
    advice = Words(
        zh="{words}。请换一位联系人，或不填写，由后台电话回访确认。",
        en="{words}. Name somebody else, or nobody, and the customer is called back.",
    )


class NoSecondConfirmation(Conflict):
    slug = "no-second-confirmation"
    title = Words(zh="该单没有待二次确认", en="This sale waits for no second confirmation")
    advice = Words(
        zh="销售单现为 {state}，无需或已完成二次确认。",
        en="The sale is {state}: it needs none, or has had its answer.",
    )


def protection_of(*, elderly: bool, flagged: bool, age_group: AgeGroup | None) -> Protection | None:
    """Say why a customer is protected; None where they are not."""
    if age_group is AgeGroup.MINOR:
        return Protection.MINOR
    if flagged:
        return Protection.FLAGGED
    return Protection.ELDERLY if elderly or age_group is AgeGroup.ELDERLY else None


_ITSELF = Words(
    zh="号码与客户本人或装维人员相同", en="It is the customer's own number, or the technician's"
)
_NO_MESSAGES = Words(zh="该号码不能接收短信", en="The number takes no messages")
_FOR_MINORS = Words(
    zh="未成年人须由父母或监护人确认", en="For a minor it has to be a parent or a guardian"
)


def check_contact(
    number: str | None,
    relation: Relation,
    *,
    protection: Protection,
    others: frozenset[str | None],
) -> None:
    """Check a second contact; `number` None is one that takes no messages, `others` are numbers
    of the customer and the technician. Raises SecondContactNotFit."""
    problem = None
    if number is None:
        problem = _NO_MESSAGES
    elif number in others:
        problem = _ITSELF
    elif protection is Protection.MINOR and relation not in (Relation.PARENT, Relation.GUARDIAN):
        problem = _FOR_MINORS
    if problem is not None:
        raise SecondContactNotFit(
            words=problem, errors=[{"field": "second_contact", "message": problem}]
        )
