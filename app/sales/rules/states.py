"""A sale's states, the moves between them, and the steps that its ledger tells."""

from enum import StrEnum
from typing import NamedTuple

from app.core.errors import Conflict
from app.core.i18n import Words
from app.sales.rules.reversing import ReversalReason


class SaleState(StrEnum):
    """Where a sale stands on its way into the ordering system."""

    DRAFT = "draft"
    # The customer has agreed; somebody else has to as well before anything is ordered.
    SECOND_CONFIRMATION = "second_confirmation"
    CONFIRMED = "confirmed"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    # Somebody asked for the order to be cancelled; the ordering system has not decided yet.
    CANCELLING = "cancelling"
    REJECTED = "rejected"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class SaleStep(StrEnum):
    """What can happen to a sale, each dated in its ledger, from the visit to the commission.

    The first three come before there is a sale: they are read from the visit, the suggestions and
    the answers, and are never entered.
    """

    VISITED = "visited"
    SUGGESTED = "suggested"
    ANSWERED = "answered"
    PUT_TOGETHER = "put_together"
    CONSENT_ASKED = "consent_asked"
    # They agreed by message, no phone has brought that in, and it could not be confirmed without.
    LEFT_UNCONFIRMED = "left_unconfirmed"
    CONSENTED = "consented"
    CONFIRMED = "confirmed"
    SECOND_CONFIRMATION_DUE = "second_confirmation_due"
    SECOND_CONFIRMED = "second_confirmed"
    INSTALL_ORDERED = "install_ordered"
    # A slot of another day is kept for its install.
    INSTALL_BOOKED = "install_booked"
    # Something has to be installed, and it could not be in this visit.
    INSTALL_NOT_NOW = "install_not_now"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    COMPLETED = "completed"
    REJECTED = "rejected"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    # The order was not cancelled after all.
    WENT_ON = "went_on"
    ACTIVATED = "activated"
    COMMISSION_EARNED = "commission_earned"
    COMMISSION_KEPT = "commission_kept"
    # One thing of it came back; the rest stands.
    ITEM_REVERSED = "item_reversed"
    # The ordering system has taken that one thing out of the order.
    ITEM_REMOVED = "item_removed"
    REVERSED = "reversed"
    COMMISSION_REVERSED = "commission_reversed"
    # The order that took it back has not ended after all.
    REVERSAL_UNDONE = "reversal_undone"
    COMMISSION_GIVEN_BACK = "commission_given_back"
    RECONCILED = "reconciled"


# Every legal move. The ordering system may answer late, so later states can be reached from any
# earlier one, and never the other way round.
MOVES: dict[SaleState, frozenset[SaleState]] = {
    SaleState.DRAFT: frozenset(
        {SaleState.CONFIRMED, SaleState.SECOND_CONFIRMATION, SaleState.CANCELLED}
    ),
    SaleState.SECOND_CONFIRMATION: frozenset({SaleState.CONFIRMED, SaleState.CANCELLED}),
    SaleState.CONFIRMED: frozenset(
        {
            SaleState.SENT,
            SaleState.ACKNOWLEDGED,
            SaleState.CANCELLING,
            SaleState.REJECTED,
            SaleState.COMPLETED,
            SaleState.CANCELLED,
        }
    ),
    SaleState.SENT: frozenset(
        {
            SaleState.ACKNOWLEDGED,
            SaleState.CANCELLING,
            SaleState.REJECTED,
            SaleState.COMPLETED,
            SaleState.CANCELLED,
        }
    ),
    SaleState.ACKNOWLEDGED: frozenset(
        {SaleState.CANCELLING, SaleState.REJECTED, SaleState.COMPLETED, SaleState.CANCELLED}
    ),
    # That the order goes on meanwhile is no news; only a refusal lets the sale go on (`go_on`).
    SaleState.CANCELLING: frozenset({SaleState.REJECTED, SaleState.COMPLETED, SaleState.CANCELLED}),
    SaleState.REJECTED: frozenset(),
    SaleState.COMPLETED: frozenset(),
    SaleState.CANCELLED: frozenset(),
}


# An order that ends this way after it was acknowledged takes back what was earned by it.
REVERSED_BY: dict[SaleState, ReversalReason] = {
    SaleState.REJECTED: ReversalReason.ORDER_REJECTED,
    SaleState.CANCELLED: ReversalReason.ORDER_CANCELLED,
}


class SaleRefused(Conflict):
    slug = "sale-step-refused"
    title = Words(zh="该销售单当前状态不能执行此操作", en="This sale is not ready for that")
    advice = Words(
        zh="销售单现为 {state}，不能变为 {wanted}。",
        en="The sale is {state} and cannot become {wanted}.",
    )


def move(state: SaleState, wanted: SaleState) -> SaleState:
    """Say that a sale may go from one state to another. Raises SaleRefused otherwise."""
    if wanted not in MOVES[state]:
        raise SaleRefused(state=state, wanted=wanted)
    return wanted


def reached(state: SaleState, wanted: SaleState) -> bool:
    """Tell whether news that a sale is `wanted` still changes anything for one in `state`."""
    return wanted in MOVES[state]


class Standing(NamedTuple):
    """A sale as far as news of it is judged: its state, whether the ordering system had ever
    acknowledged it, and whether it was reversed already."""

    state: SaleState
    acknowledged: bool
    reversed: bool


def steps_told(known: Standing, told: SaleState) -> tuple[tuple[SaleStep, dict[str, str]], ...]:
    """List what a ledger has to say of news that moves a sale to `told`.

    What is completed was acknowledged, and what ends after it was acknowledged is reversed: once,
    for whichever of the two sides took it back first.
    """
    step = SaleStep(told.value)
    if told is SaleState.COMPLETED and not known.acknowledged:
        return (SaleStep.ACKNOWLEDGED, {}), (step, {})
    if told in REVERSED_BY and known.acknowledged and not known.reversed:
        return (step, {}), (SaleStep.REVERSED, {"reason": REVERSED_BY[told].value})
    return ((step, {}),)
