"""Whether somebody can take an order over from a colleague. Pure."""

from datetime import date
from typing import NamedTuple
from uuid import UUID

from app.core.errors import Conflict, Invalid
from app.core.i18n import Words
from app.dispatch.rules.diaries import Diary, PassedOver
from app.dispatch.rules.placing import Ask, why_not_at_all
from app.dispatch.rules.windows import reachable


class Colleague(NamedTuple):
    """Somebody of the same branch: the minutes that nothing takes of their day, and why they cannot
    take an order over; None when they can."""

    technician_id: UUID
    code: str
    name: str
    free_minutes: int
    skilled: bool
    at_work: bool
    why: PassedOver | None


class UnknownColleague(Invalid):
    slug = "unknown-colleague"
    title = Words(zh="没有该同事", en="No such colleague")
    advice = Words(
        zh="{colleague} 不是本支局的其他在职装维人员。",
        en="{colleague} is no other active technician of your branch.",
    )


class ColleagueCannot(Conflict):
    slug = "colleague-cannot-take"
    title = Words(zh="该同事无法接手此工单", en="This colleague cannot take the order over")
    advice = Words(
        zh="{code}（{day}）：{why_zh}；请换一位同事或退单。",
        en="{code} on {day}: {why_en}. Choose somebody else, or hand it back.",
    )


def why_not_over(ask: Ask, diary: Diary, day: date, *, lent: bool) -> PassedOver | None:
    """Say what keeps somebody from taking an order over on a local day; None when nothing does.

    A full day does not: two people who agree may know better. Work that is begun asks for no
    terminals of their van.
    """
    why = why_not_at_all(ask, diary)
    if why is not None:
        return why
    if lent:
        return PassedOver.LENT_OUT
    plan = diary.day(day)
    if plan.away is not None:
        return plan.away
    if ask.terminals and not diary.van.holds(ask.terminals):
        return PassedOver.NO_STOCK
    if ask.window is not None and not reachable(ask.window, ask.minutes, plan.at_work):
        return PassedOver.WINDOW_UNREACHABLE
    return None
