"""What becomes of a warning: dated rules say who is visited, who is called, and who is left alone.

Rules are asked in their order; within a grid the most valuable customers come first, and what a
grid cannot take this week waits.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from app.core.errors import Conflict
from app.core.i18n import Words
from app.lifecycle.rules import ChurnClass, Stage, Tier
from app.retention.rules.cases import WARNED, Arm, Cause, Handling, held_out


class CarePlaceTaken(Conflict):
    slug = "care-place-taken"
    title = Words(
        zh="该次序在这段时间已有另一条关怀规则", en="Another care rule has this place for some days"
    )
    advice = Words(
        zh="{org_path} 的次序 {place} 自 {valid_from} 起由 {code} 占用；请先结束它，或换一个次序。",
        en="{code} has the place {place} for {org_path} from {valid_from} on: end it before, or "
        "choose another place.",
    )


class CareRule(NamedTuple):
    """Which warned customers get what, for an org unit's subtree, from a local day on.

    Empty lists leave nobody out, and `hidden` leaves in only those who are worth more than they
    bring, whatever their tier. Of the closest org unit's rules the first by `place` counts.
    """

    id: UUID
    code: str
    org_path: str
    valid_from: date
    valid_to: date | None
    place: int
    causes: tuple[Cause, ...]
    tiers: tuple[Tier, ...]
    churn_classes: tuple[ChurnClass, ...]
    handling: Handling
    priority: int
    hidden: bool = False


class Warned(NamedTuple):
    """A customer with a warning as it stands now; value in fen over twelve months, null not known.

    `change_id` is the newest change of their lifecycle that warns.
    """

    customer_id: UUID
    change_id: UUID
    causes: frozenset[Cause]
    stage: Stage | None
    tier: Tier | None
    churn_class: ChurnClass | None
    hidden_high_value: bool
    value_12m_fen: int | None
    grid_id: UUID | None
    has_address: bool


class Decided(NamedTuple):
    """What is done about a warned customer, and by which rule."""

    warned: Warned
    cause: Cause
    rule: CareRule
    handling: Handling
    arm: Arm


def rules_for(rules: Iterable[CareRule], org_path: str, day: date) -> list[CareRule]:
    """List the rules an org unit has on a local day: those of the closest unit that has any."""
    valid = [
        rule
        for rule in rules
        if org_path.startswith(rule.org_path)
        and rule.valid_from <= day
        and (rule.valid_to is None or day < rule.valid_to)
    ]
    closest = max((len(rule.org_path) for rule in valid), default=0)
    return sorted(
        (rule for rule in valid if len(rule.org_path) == closest),
        key=lambda rule: (rule.place, rule.code),
    )


def rule_of(rules: Sequence[CareRule], warned: Warned) -> tuple[CareRule, Cause] | None:
    """Find the rule that speaks of a warned customer, and for which of their causes it does."""
    for rule in rules:
        causes = warned.causes & set(rule.causes or WARNED)
        if (
            causes
            and (not rule.tiers or warned.tier in rule.tiers)
            and (not rule.churn_classes or warned.churn_class in rule.churn_classes)
            and (warned.hidden_high_value or not rule.hidden)
        ):
            return rule, next(cause for cause in WARNED if cause in causes)
    return None


def decide(
    warned: Iterable[Warned],
    rules: Sequence[CareRule],
    taken: Mapping[UUID | None, int],
    *,
    a_week: int,
    holdout_percent: float,
    now: datetime,
) -> list[Decided]:
    """Decide about warned customers of one org unit, the most valuable first.

    `taken` counts what each grid has been given this week. Whoever is left alone for comparison is
    drawn from those whose turn has come, so that both groups are alike; they take nothing of a
    grid's week. Customers beyond it, and those of whom no rule speaks, are not in the answer.
    """
    used = Counter(taken)
    decided = []
    for one in sorted(warned, key=_worth_first):
        found = rule_of(rules, one)
        if found is None or found[0].handling is Handling.NOTHING:
            continue
        if used[one.grid_id] >= a_week:
            continue
        rule, cause = found
        handling = rule.handling
        if handling is Handling.VISIT and not one.has_address:
            handling = Handling.CALL
        arm = Arm.HELD_OUT if held_out(one.customer_id, now, holdout_percent) else Arm.TREATED
        if arm is Arm.TREATED:
            used[one.grid_id] += 1
        decided.append(Decided(one, cause, rule, handling, arm))
    return decided


def _worth_first(one: Warned) -> tuple[bool, int, str]:
    return not one.hidden_high_value, -(one.value_12m_fen or 0), str(one.customer_id)
