"""States of a compensation, what may be done with one, and when an order is about to be overdue."""

from collections.abc import Mapping
from enum import StrEnum

from app.core.errors import Conflict
from app.core.i18n import Words
from app.core.parameters import Parameter

ALERT_MISSED = Parameter(
    "promises.alert_missed",
    default=5,
    unit="",
    words=Words(
        "超时且无人跟进的工单达到多少张即告警",
        "How many late orders of a unit nobody may have taken up before it is alerted",
    ),
    least=1,
)
AT_RISK_MINUTES = Parameter(
    "promises.at_risk_minutes",
    default=120.0,
    unit="min",
    words=Words(
        "距承诺时限不足此时长即列入将超时", "With how little left an order is about to be overdue"
    ),
    most=10_080.0,
)


class CompensationState(StrEnum):
    """Where a compensation stands.

    What is `proposed` or `exempt` follows the order and its clock; what a person has decided never
    changes again. A confirmed one can only be reversed, by a `reversal` of the same amount.
    """

    PROPOSED = "proposed"
    EXEMPT = "exempt"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    REVERSAL = "reversal"


class Decision(StrEnum):
    """What a supervisor does with a compensation."""

    CONFIRM = "confirm"
    REFUSE = "refuse"
    REVERSE = "reverse"


# From which state a decision leads where. Whoever wants to pay what is exempt first withdraws the
# stop that exempts it, so that the order itself tells why.
DECISIONS: Mapping[tuple[CompensationState, Decision], CompensationState] = {
    (CompensationState.PROPOSED, Decision.CONFIRM): CompensationState.CONFIRMED,
    (CompensationState.PROPOSED, Decision.REFUSE): CompensationState.REFUSED,
    (CompensationState.CONFIRMED, Decision.REVERSE): CompensationState.REVERSAL,
}


class CompensationDecided(Conflict):
    slug = "compensation-decided"
    title = Words(zh="该赔付不能这样处理", en="This compensation cannot be decided like that")
    advice = Words(
        zh="该赔付现为 {state}，不能执行 {decision}；可执行：{allowed}。",
        en="It is {state}, so {decision} is refused; possible now: {allowed}.",
    )


class StillLate(Conflict):
    slug = "order-still-late"
    title = Words(zh="工单尚未竣工，赔付金额仍在变化", en="The order is not done: it still grows")
    advice = Words(
        zh="请在工单竣工后再确认赔付。", en="Confirm it once the order is completed or cancelled."
    )


def decided(state: CompensationState, decision: Decision, *, order_over: bool) -> CompensationState:
    """Say where a decision leads. Raises CompensationDecided, or StillLate for what still grows."""
    then = DECISIONS.get((state, decision))
    if then is None:
        allowed = [one.value for (at, one) in DECISIONS if at is state]
        raise CompensationDecided(state=state, decision=decision, allowed=allowed)
    if decision is Decision.CONFIRM and not order_over:
        raise StillLate()
    return then
