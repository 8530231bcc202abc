"""Toolkits: what may be offered to whom in order to keep them, by whose word, and what is said."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple
from uuid import UUID

from app.auth.rules import Role
from app.core.errors import Conflict
from app.core.i18n import Words
from app.lifecycle.rules import ChurnClass, Stage, Tier
from app.retention.rules.leavers import LeaveReason


class ToolkitKind(StrEnum):
    """What a toolkit is for."""

    RETENTION = "retention"
    WIN_BACK = "win_back"
    RENEWAL = "renewal"
    BUNDLE = "bundle"
    CARE_BY_VALUE = "care_by_value"


KIND_WORDS: dict[ToolkitKind, Words] = {
    ToolkitKind.RETENTION: Words("挽留", "retention"),
    ToolkitKind.WIN_BACK: Words("赢回", "win-back"),
    ToolkitKind.RENEWAL: Words("续约", "renewal"),
    ToolkitKind.BUNDLE: Words("融合捆绑", "bundle"),
    ToolkitKind.CARE_BY_VALUE: Words("分层关怀", "care by value"),
}


class Hand(StrEnum):
    """By whose word special terms are given, the least powerful first."""

    TECHNICIAN = "technician"
    SUPERVISOR = "supervisor"
    MANAGER = "manager"


RANK: dict[Hand, int] = {hand: rank for rank, hand in enumerate(Hand)}

HAND_WORDS: dict[Hand, Words] = {
    Hand.TECHNICIAN: Words("装维人员", "technician"),
    Hand.SUPERVISOR: Words("班组长或支局长", "supervisor"),
    Hand.MANAGER: Words("区县及以上经理", "manager"),
}

# A supervisor of so many levels or more from the top (province, city, district, branch) looks after
# a branch or a crew; one of a unit above the branches is a manager.
_BRANCH_DEPTH = 4


def hand_of(role: Role, org_path: str) -> Hand:
    """Say whose word a caller's is, by their role and the path of their org unit.

    A supervisor above the branches is a manager, and so is an administrator.
    """
    if role is Role.TECHNICIAN:
        return Hand.TECHNICIAN
    if role is Role.SUPERVISOR and org_path.count(".") >= _BRANCH_DEPTH:
        return Hand.SUPERVISOR
    return Hand.MANAGER


class Terms(NamedTuple):
    """What is given for staying: so many percent off the monthly price for so many months.

    Nought of both is the standard offer of the catalogue.
    """

    discount_percent: float
    months: int


STANDARD = Terms(0.0, 0)


@dataclass(frozen=True)
class Mandate:
    """How much one hand may give by its own word."""

    hand: Hand
    discount_percent: float
    months: int

    def covers(self, terms: Terms) -> bool:
        """Tell whether terms lie within the mandate."""
        return terms.discount_percent <= self.discount_percent and terms.months <= self.months


@dataclass(frozen=True)
class Toolkit:
    """One toolkit: for whom it is meant, its offers, mandates, talk track and approval path.

    An empty list of tiers, classes, stages or reasons leaves nobody out, and `hidden` leaves in
    only customers who are worth more than they bring: what is said to them may be other words, but
    special terms go by the tier they count as, so such a toolkit has none. `approval` are the hands
    that are asked in turn for what the asker may not give. `steps` are the only terms that can be
    asked for; where none are listed they are the limits of the mandates. A toolkit that is not
    `active` is kept for the cases that began with it, and chosen for none.
    """

    kind: ToolkitKind
    name: Words
    offers: tuple[str, ...]
    talk_track: Words
    mandates: tuple[Mandate, ...] = ()
    approval: tuple[Hand, ...] = ()
    tiers: tuple[Tier, ...] = ()
    churn_classes: tuple[ChurnClass, ...] = ()
    stages: tuple[Stage, ...] = ()
    reasons: tuple[LeaveReason, ...] = ()
    hidden: bool = False
    steps: tuple[Terms, ...] = ()
    active: bool = True

    def mandate(self, hand: Hand) -> Mandate:
        """Give what a hand may give; one that is not named may give nothing special."""
        return next((one for one in self.mandates if one.hand is hand), Mandate(hand, 0.0, 0))

    def gives(self, hand: Hand, terms: Terms) -> bool:
        """Tell whether a hand may give terms by its own word.

        The standard offer takes nothing off, but with a code for it what is the account manager's
        alone is sold; so it is the manager's to give, and that of whoever has a mandate.
        """
        named = hand is Hand.MANAGER or any(one.hand is hand for one in self.mandates)
        return named and self.mandate(hand).covers(terms)

    def ladder(self) -> list[Terms]:
        """List the special terms there are, the smallest first."""
        limits = (Terms(one.discount_percent, one.months) for one in self.mandates)
        return sorted({one for one in self.steps or limits if one.discount_percent and one.months})


class DatedToolkit(NamedTuple):
    """A toolkit as it is stored: for an org unit's subtree (empty for all), from a local day on."""

    id: UUID
    code: str
    version: int
    org_path: str
    valid_from: date
    toolkit: Toolkit


COUNTED_WORDS = Words(
    "潜在高价值客户，按高一级的层级给优惠",
    "is worth more than they bring, so the terms of the next tier up hold",
)


class Subject(NamedTuple):
    """What of a customer decides which toolkit is theirs; null is not known."""

    tier: Tier | None = None
    churn_class: ChurnClass | None = None
    stage: Stage | None = None
    reason: LeaveReason | None = None
    hidden: bool = False

    @property
    def counted_tier(self) -> Tier | None:
        """The tier that they count as: who is worth more than they bring counts one tier up."""
        if self.tier is None or not self.hidden:
            return self.tier
        tiers = list(Tier)
        return tiers[max(tiers.index(self.tier) - 1, 0)]

    @property
    def stepped_up(self) -> Tier | None:
        """The tier that they count as, where that is not their own."""
        return self.counted_tier if self.counted_tier != self.tier else None


class NoToolkit(Conflict):
    slug = "no-toolkit"
    title = Words(zh="没有适用的工具包", en="No toolkit is meant for this customer")
    advice = Words(
        zh="该客户没有类型为 {kind} 的工具包；请按标准资费办理，或请管理员配置。",
        en="No toolkit of the kind {kind} is in force for this customer: offer what the catalogue "
        "says, or ask an administrator to set one.",
    )


class OfferNotInToolkit(Conflict):
    slug = "offer-not-in-toolkit"
    title = Words(zh="工具包中没有该销售品", en="This offering is not in the toolkit")
    advice = Words(
        zh="{toolkit} 中可用的销售品：{offers}。", en="{toolkit} has these offerings: {offers}."
    )


class TermsBeyondMandate(Conflict):
    slug = "terms-beyond-mandate"
    title = Words(zh="优惠超出所有审批权限", en="Nobody's mandate goes that far")
    advice = Words(
        zh="最多可申请优惠 {discount_percent}%、{months} 个月，请调低后重新申请。",
        en="At most {discount_percent} % for {months} months can be asked for; ask for less.",
    )


class TermsOffTheSteps(Conflict):
    slug = "terms-off-the-steps"
    title = Words(zh="优惠不在规定的档位上", en="These terms are not one of the steps")
    advice = Words(
        zh="同一层级同一优惠同一价格，{toolkit}可申请的档位：{steps}。",
        en="The same price for the same tier: {toolkit} has these steps: {steps}.",
    )


class ToolkitCodeTaken(Conflict):
    slug = "toolkit-code-taken"
    title = Words(
        zh="该工具包编码已用于其他类型或组织",
        en="This toolkit code stands for another kind or org unit",
    )
    advice = Words(
        zh="编码 {code} 的各版本须为同一类型、同一组织；请换一个编码。",
        en="All versions of {code} are of one kind and one org unit; choose another code.",
    )


def in_force(toolkits: Iterable[DatedToolkit], org_path: str, day: date) -> list[DatedToolkit]:
    """List the toolkits an org unit has on a local day: of each code the newest version begun."""
    newest: dict[str, DatedToolkit] = {}
    for one in toolkits:
        if org_path.startswith(one.org_path) and one.valid_from <= day:
            known = newest.get(one.code)
            if known is None or (one.valid_from, one.version) > (known.valid_from, known.version):
                newest[one.code] = one
    return [one for one in newest.values() if one.toolkit.active]


def toolkit_for(
    toolkits: Iterable[DatedToolkit],
    kind: ToolkitKind,
    subject: Subject,
    org_path: str,
    day: date,
) -> DatedToolkit | None:
    """Choose a customer's toolkit of a kind on a local day; None where none is meant for them.

    Of those that fit the closest org unit's wins, then the one that says most of whom it is for,
    then the newest. Where special terms can be had, one for hidden high value steps back: two
    customers who count as one tier have the same limits.
    """
    fitting = [
        one
        for one in in_force(toolkits, org_path, day)
        if one.toolkit.kind is kind and fits(one.toolkit, subject)
    ]
    if any(one.toolkit.ladder() for one in fitting):
        fitting = [one for one in fitting if not one.toolkit.hidden]
    return max(
        fitting,
        key=lambda one: (len(one.org_path), _conditions(one.toolkit), one.valid_from, one.code),
        default=None,
    )


def fits(toolkit: Toolkit, subject: Subject) -> bool:
    """Tell whether a toolkit is meant for a customer; what is not known fits no condition."""
    return (subject.hidden or not toolkit.hidden) and all(
        not wanted or is_so in wanted
        for wanted, is_so in (
            (toolkit.tiers, subject.counted_tier),
            (toolkit.churn_classes, subject.churn_class),
            (toolkit.stages, subject.stage),
            (toolkit.reasons, subject.reason),
        )
    )


def _conditions(toolkit: Toolkit) -> int:
    lists: tuple[Collection[object], ...] = (
        toolkit.tiers,
        toolkit.churn_classes,
        toolkit.stages,
        toolkit.reasons,
    )
    return sum(bool(one) for one in lists) + toolkit.hidden


def path_of(toolkit: Toolkit, asker: Hand, terms: Terms) -> tuple[Hand, ...]:
    """Say who is asked in turn for terms; nobody, where the asker may give them.

    The path goes up from the asker as far as somebody's mandate covers the terms; the standard
    offer can always be had of the manager. Raises TermsOffTheSteps for terms that the toolkit does
    not list, whoever asks, and TermsBeyondMandate when nobody's mandate covers them.
    """
    if terms != STANDARD and terms not in toolkit.ladder():
        raise TermsOffTheSteps(
            toolkit=toolkit.name.zh,
            steps=[f"{step.discount_percent:g}% × {step.months}" for step in toolkit.ladder()],
        )
    if toolkit.gives(asker, terms):
        return ()
    asked: list[Hand] = []
    for hand in toolkit.approval:
        if RANK[hand] <= RANK[asker]:
            continue
        asked.append(hand)
        if toolkit.gives(hand, terms):
            return tuple(asked)
    if terms == STANDARD:
        return (*asked, Hand.MANAGER)
    reachable = [toolkit.mandate(hand) for hand in (asker, *asked)]
    raise TermsBeyondMandate(
        discount_percent=max(one.discount_percent for one in reachable),
        months=max(one.months for one in reachable),
    )


class Fault(NamedTuple):
    """What is wrong with a toolkit, and in which field of it."""

    field: str
    words: Words


def faults_of(toolkit: Toolkit) -> list[Fault]:
    """List all that is wrong with a toolkit; an empty list says that it can be set."""
    faults = []
    if len(set(toolkit.offers)) != len(toolkit.offers):
        faults.append(Fault("offers", Words("销售品重复", "an offering is there twice")))
    hands = [one.hand for one in toolkit.mandates]
    if len(set(hands)) != len(hands):
        faults.append(Fault("mandates", Words("同一角色有两项权限", "a hand is there twice")))
    if any(RANK[one] >= RANK[two] for one, two in pairwise(toolkit.approval)):
        words = Words("审批路径须由低到高且不重复", "the path goes up, and asks each hand once")
        faults.append(Fault("approval", words))
    if set(toolkit.approval) - set(hands):
        words = Words("审批路径上的角色都须有权限", "each hand on the path needs a mandate")
        faults.append(Fault("approval", words))
    rising = sorted(toolkit.mandates, key=lambda one: RANK[one.hand])
    for low, high in pairwise(rising):
        if not high.covers(Terms(low.discount_percent, low.months)):
            words = Words(
                "上级权限不得小于下级权限", "a higher hand may give no less than a lower one"
            )
            faults.append(Fault("mandates", words))
    if len(set(toolkit.steps)) != len(toolkit.steps):
        faults.append(Fault("steps", Words("档位重复", "a step is there twice")))
    if not all(one.discount_percent and one.months for one in toolkit.steps):
        words = Words("档位须有折扣和月数", "a step takes off something for some months")
        faults.append(Fault("steps", words))
    if not all(any(hand.covers(one) for hand in toolkit.mandates) for one in toolkit.steps):
        words = Words("档位超出所有角色的权限", "a step lies beyond every mandate")
        faults.append(Fault("steps", words))
    if toolkit.hidden and toolkit.ladder():
        words = Words(
            "潜在高价值客户按高一级的层级给优惠，此工具包不能另设优惠",
            "who is worth more than they bring has the terms of the next tier up, and no others",
        )
        faults.append(Fault("hidden", words))
    if toolkit.kind is not ToolkitKind.CARE_BY_VALUE and not toolkit.offers:
        faults.append(Fault("offers", Words("至少要有一个销售品", "at least one is needed")))
    return faults
