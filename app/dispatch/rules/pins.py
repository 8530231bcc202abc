"""Pins: what may be pinned to its holder."""

from app.core.errors import Conflict
from app.core.i18n import Words
from app.workorders.rules import HELD, State


class NothingToPin(Conflict):
    slug = "nothing-to-pin"
    title = Words(zh="工单没有持单人，无法锁定", en="Nobody holds this order to pin it to")
    advice = Words(
        zh="工单现为 {state}；请先指派给人员，指派时默认即锁定。",
        en="It is {state}; give it to somebody, which pins it unless you say otherwise.",
    )


def check_may_pin(state: State) -> None:
    """Check that somebody holds an order in this state. Raises NothingToPin."""
    if state not in HELD:
        raise NothingToPin(state=state)
