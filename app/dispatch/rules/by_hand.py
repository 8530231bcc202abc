"""What may be refused of a day's order that a supervisor sets by hand. Pure."""

import hashlib
from collections.abc import Sequence
from uuid import UUID

from app.core.errors import Conflict
from app.core.i18n import Words
from app.dispatch.rules.routes import Broken, Rule, Stop

RULE_WORDS: dict[Rule, Words] = {
    Rule.WINDOW: Words(zh="预约无法按时到达", en="an appointment would not be kept"),
    Rule.SHIFT: Words(zh="下班前无法结束", en="the day would not end by the end of the shift"),
    Rule.BREAK: Words(zh="午休或请假时段被占用", en="no time would be left for a break"),
}


class RouteChanged(Conflict):
    slug = "route-changed-meanwhile"
    title = Words(zh="该日工单已有变动", en="This day has changed meanwhile")
    advice = Words(
        zh="请按 facts.order_ids 刷新后重新排序，并提交 facts 中新的 seen。",
        en="Look at facts.order_ids, order them anew and send the `seen` of the facts.",
    )


class RouteBreaks(Conflict):
    slug = "route-breaks-a-rule"
    title = Words(zh="这样排序会违反约束", en="In this order the day breaks a rule")
    advice = Words(
        zh="{count} 处违反约束，见 facts.rules；确需如此请设 override 为 true。",
        en="{count} things do not hold, facts.rules names them; set override to true if you "
        "insist.",
    )


def seen_of(stops: Sequence[Stop]) -> str:
    """Name a day's visits in their order, and which of them are under way: what somebody saw."""
    said = ",".join(f"{stop.order_id}{'!' if stop.under_way else ''}" for stop in stops)
    return hashlib.blake2b(said.encode(), digest_size=9).hexdigest()


def reordered(stops: Sequence[Stop], order_ids: Sequence[UUID], seen: str) -> list[Stop]:
    """Put a day's visits into an order: those under way stay first, and need not be named.

    Raises RouteChanged unless the day is as it was seen, with exactly these visits.
    """
    by_id = {stop.order_id: stop for stop in stops}
    begun = [stop for stop in stops if stop.under_way]
    known = {stop.order_id for stop in begun}
    wanted = [order_id for order_id in order_ids if order_id not in known]
    if (
        seen != seen_of(stops)
        or len(set(wanted)) != len(wanted)
        or set(wanted) != by_id.keys() - known
    ):
        raise RouteChanged(seen=seen_of(stops), order_ids=[str(stop.order_id) for stop in stops])
    return [*begun, *(by_id[order_id] for order_id in wanted)]


def check_holds(broken: Sequence[Broken], before: Sequence[Broken], *, override: bool) -> None:
    """Check that an order breaks no rule that the day did not break before. Raises RouteBreaks."""
    fresh = [one for one in broken if one not in set(before)]
    if fresh and not override:
        raise RouteBreaks(
            count=len(fresh),
            rules=[
                {
                    "rule": one.rule,
                    "order_id": one.order_id,
                    "zh": RULE_WORDS[one.rule].zh,
                    "en": RULE_WORDS[one.rule].en,
                }
                for one in fresh
            ],
        )
