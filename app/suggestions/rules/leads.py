"""Leads: an offer that one channel hands over to another, and what becomes of it there."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from app.core.errors import Conflict
from app.core.i18n import Words


class LeadTo(StrEnum):
    """To whom an offer is handed over."""

    ACCOUNT_MANAGER = "account_manager"
    SHOP = "shop"
    PHONE = "phone"
    APP = "app"


class LeadState(StrEnum):
    """Where a lead stands."""

    OPEN = "open"
    TAKEN = "taken"
    WON = "won"
    LOST = "lost"


@dataclass(frozen=True)
class HandingOver:
    """To whom an offer is handed over, with what words; the phone makes the id."""

    id: UUID
    handed_to: LeadTo
    note: str | None
    device_at: datetime


MOVES: dict[LeadState, frozenset[LeadState]] = {
    LeadState.OPEN: frozenset({LeadState.TAKEN, LeadState.WON, LeadState.LOST}),
    LeadState.TAKEN: frozenset({LeadState.WON, LeadState.LOST}),
    LeadState.WON: frozenset(),
    LeadState.LOST: frozenset(),
}


class LeadStepRefused(Conflict):
    slug = "lead-step-refused"
    title = Words(zh="该商机当前状态不能执行此操作", en="This lead is not ready for that")
    advice = Words(
        zh="商机现为 {state}，不能变为 {wanted}。", en="It is {state} and cannot become {wanted}."
    )


class LeadOpen(Conflict):
    slug = "lead-open"
    title = Words(zh="该业务已有在途商机", en="This offer has a lead already")
    advice = Words(
        zh="{offering} 已于 {at} 转出，请等待对方处理。",
        en="{offering} was handed over at {at}; leave it to them.",
    )


def moved(state: LeadState, wanted: LeadState) -> LeadState:
    """Say that a lead may go from one state to another. Raises LeadStepRefused otherwise."""
    if wanted not in MOVES[state]:
        raise LeadStepRefused(state=state, wanted=wanted)
    return wanted
