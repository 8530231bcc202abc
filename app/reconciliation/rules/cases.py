"""A difference that waits for a person: where it stands, and what may be done about it."""

from collections.abc import Mapping
from enum import StrEnum

from app.core.errors import Conflict
from app.core.i18n import Words
from app.reconciliation.rules.comparing import DifferenceKind


class DifferenceState(StrEnum):
    """Where a difference stands.

    open: a person has to look. resolving: what was chosen is being done. resolved: it is done, and
    the next comparison shows whether that helped. explained: a person has said why it is right.
    It is explained as well once they have said that it is settled with the other side.
    healed: it was put right by itself. gone: the two sides are the same again.
    """

    OPEN = "open"
    RESOLVING = "resolving"
    RESOLVED = "resolved"
    EXPLAINED = "explained"
    HEALED = "healed"
    GONE = "gone"


class Resolution(StrEnum):
    """What a person can do about a difference."""

    SEND_AGAIN = "send_again"
    GIVE_UP = "give_up"
    TAKE_OVER_THEIRS = "take_over_theirs"
    CANCEL_THEIRS = "cancel_theirs"
    LINK = "link"
    SETTLED = "settled"
    EXPLAIN = "explain"


RESOLUTION_WORDS = {
    Resolution.SEND_AGAIN: Words(zh="重新发送", en="Send it again"),
    Resolution.GIVE_UP: Words(zh="放弃并取消我方销售", en="Give it up and cancel our sale"),
    Resolution.TAKE_OVER_THEIRS: Words(zh="以对方状态为准", en="Take over their state"),
    Resolution.CANCEL_THEIRS: Words(zh="取消对方订单", en="Cancel their order"),
    Resolution.LINK: Words(zh="关联到我方销售", en="Link it to a sale of ours"),
    Resolution.SETTLED: Words(zh="已告知对方并办妥", en="They were told; it is settled"),
    Resolution.EXPLAIN: Words(zh="说明原因", en="Explain it"),
}


class Explanation(StrEnum):
    """Why a difference is as it should be."""

    ENTERED_BY_HAND = "entered_by_hand"
    AGREED_WITH_CUSTOMER = "agreed_with_customer"
    OTHER_CHANNEL = "other_channel"
    TEST_ORDER = "test_order"
    KNOWN_FAULT = "known_fault"
    OTHER = "other"


LEGAL: Mapping[DifferenceKind, tuple[Resolution, ...]] = {
    DifferenceKind.NOT_THERE: (Resolution.SEND_AGAIN, Resolution.GIVE_UP, Resolution.EXPLAIN),
    DifferenceKind.FORGOTTEN: (Resolution.SEND_AGAIN, Resolution.GIVE_UP, Resolution.EXPLAIN),
    DifferenceKind.NOBODYS: (Resolution.CANCEL_THEIRS, Resolution.LINK, Resolution.EXPLAIN),
    DifferenceKind.NOT_CONFIRMED: (
        Resolution.CANCEL_THEIRS,
        Resolution.LINK,
        Resolution.EXPLAIN,
    ),
    DifferenceKind.STATE_DIFFERS: (
        Resolution.TAKE_OVER_THEIRS,
        Resolution.CANCEL_THEIRS,
        Resolution.EXPLAIN,
    ),
    DifferenceKind.PRICE_DIFFERS: (Resolution.CANCEL_THEIRS, Resolution.EXPLAIN),
    DifferenceKind.ITEMS_DIFFER: (Resolution.CANCEL_THEIRS, Resolution.EXPLAIN),
    DifferenceKind.PLACE_DIFFERS: (Resolution.CANCEL_THEIRS, Resolution.EXPLAIN),
    DifferenceKind.DOUBLED: (Resolution.CANCEL_THEIRS, Resolution.EXPLAIN),
    DifferenceKind.RETURNED: (
        Resolution.CANCEL_THEIRS,
        Resolution.SETTLED,
        Resolution.EXPLAIN,
    ),
    # An order that was completed is not cancelled, least of all for one thing that came back.
    DifferenceKind.RETURNED_AFTERWARDS: (Resolution.SETTLED, Resolution.EXPLAIN),
    DifferenceKind.STANDS_ON_NOTHING: (
        Resolution.CANCEL_THEIRS,
        Resolution.SETTLED,
        Resolution.EXPLAIN,
    ),
}


class NotForThisCase(Conflict):
    slug = "not-for-this-case"
    title = Words(zh="该差异不能这样处理", en="This difference cannot be resolved like that")
    advice = Words(
        zh="差异类型为 {kind}，可选：{allowed}。", en="It is {kind}; possible: {allowed}."
    )


class NotConfirmed(Conflict):
    slug = "sale-not-confirmed"
    title = Words(zh="该销售单从未确认", en="This sale was never confirmed")
    advice = Words(
        zh="销售单现为 {state}：请关联到客户已确认的销售单，或取消对方订单。",
        en="It is {state}. Link a sale that its customer has confirmed, or cancel their order.",
    )


class CaseClosed(Conflict):
    slug = "reconciliation-case-closed"
    title = Words(zh="该差异已处理", en="This difference is dealt with already")
    advice = Words(
        zh="当前状态为 {state}，处理方式为 {resolution}。",
        en="It is {state}, by {resolution}.",
    )


class CaseOutdated(Conflict):
    slug = "reconciliation-case-outdated"
    title = Words(zh="该差异已有变化", en="This difference is not what it was")
    advice = Words(
        zh="对账之后对方订单已有变化（现为 {order_id}，状态 {state}）：请重新对账当日再处理。",
        en="Since the day was compared the sale's order has become {order_id}, {state}: compare the"
        " day again.",
    )


def checked(kind: DifferenceKind | None, resolution: Resolution) -> None:
    """Check that a kind of difference may be resolved like that. Raises NotForThisCase."""
    allowed = LEGAL[kind] if kind is not None else ()
    if resolution not in allowed:
        raise NotForThisCase(kind=kind, allowed=[each.value for each in allowed])
