"""Whose offers are chosen how: the groups of a month, and how much of the choosing is trying."""

from datetime import date, datetime
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from app.core.i18n import Words
from app.core.parameters import Parameter, Parameters
from app.suggestions.rules import Group
from app.suggestions.rules.model import Trying

RULES_ONLY = Parameter(
    "suggestions.rules_only",
    default=0,
    unit="1 or 0",
    words=Words(
        "用规则排序代替模型（1），当月分组不变",
        "1: rules rank in the model's place; the groups of the month stay",
    ),
    most=1,
)
HOLDOUT = Parameter(
    "suggestions.holdout_share",
    default=0.05,
    unit="share",
    words=Words(
        "每月不作推荐的对照客户比例", "Share of customers who are offered nothing in a month"
    ),
    most=0.5,
)
UNIFORM = Parameter(
    "suggestions.uniform_share",
    default=0.10,
    unit="share",
    words=Words(
        "每月随机推荐的客户比例", "Share of customers for whom any allowed offer is drawn alike"
    ),
    most=0.5,
)
CHALLENGER = Parameter(
    "suggestions.challenger_share",
    default=0.5,
    unit="share",
    words=Words(
        "由挑战模型决定的客户比例", "Share of the policy's customers for whom a challenger decides"
    ),
    most=1,
)
FLOOR_PILOT = Parameter(
    "suggestions.floor_pilot",
    default=0.10,
    unit="share",
    words=Words("试点期的最低探索比例", "The least share of trying at the beginning"),
    most=1,
)
FLOOR_EARLY = Parameter(
    "suggestions.floor_early",
    default=0.05,
    unit="share",
    words=Words("推广期的最低探索比例", "The least share of trying after the pilot"),
    most=1,
)
FLOOR_LATE = Parameter(
    "suggestions.floor_late",
    default=0.02,
    unit="share",
    words=Words("成熟期的最低探索比例", "The least share of trying in the long run"),
    most=1,
)
EARLY_FROM = Parameter(
    "suggestions.floor_early_from",
    default=20_000,
    unit="decisions",
    words=Words("试点期到此决策数为止", "The pilot ends with so many decisions"),
)
LATE_FROM = Parameter(
    "suggestions.floor_late_from",
    default=200_000,
    unit="decisions",
    words=Words("推广期到此决策数为止", "The long run begins with so many decisions"),
)

# Measured in the simulated field (decisions 0100 and 0120): a floor shared by all alike costs three
# times as much as one of which three quarters go to whoever could yet be best, and draws that heed
# more of the doubt cost more than they teach while a tenth of the customers get any allowed offer.
FLOOR_ALIKE = Parameter(
    "suggestions.floor_alike",
    default=0.25,
    unit="share",
    words=Words(
        "最低探索中由全部可推荐销售品平分的比例",
        "Share of the least trying that all allowed offers get alike",
    ),
    least=0.05,
    most=1,
)
SPREAD = Parameter(
    "suggestions.draw_spread",
    default=0.25,
    unit="times",
    words=Words(
        "抽样时计入多少倍的不确定性", "How many times the doubt about a chance the draws heed"
    ),
    most=2,
)


class Shares(NamedTuple):
    """How customers are divided in a month: offered nothing, anything, what a challenger says."""

    holdout: float
    uniform: float
    challenger: float


def shares_in_force(parameters: Parameters, at: datetime, org_path: str) -> Shares:
    """Read the shares for an org unit. Given the month's first moment, they hold for the month."""
    return Shares(*(parameters.number(one, at, org_path) for one in (HOLDOUT, UNIFORM, CHALLENGER)))


def floor_in_force(parameters: Parameters, at: datetime, org_path: str, decisions: int) -> float:
    """Say how much of the choosing is trying, after so many logged decisions."""
    if decisions < parameters.number(EARLY_FROM, at, org_path):
        floor = FLOOR_PILOT
    elif decisions < parameters.number(LATE_FROM, at, org_path):
        floor = FLOOR_EARLY
    else:
        floor = FLOOR_LATE
    return parameters.number(floor, at, org_path)


def trying_in_force(parameters: Parameters, at: datetime, org_path: str, decisions: int) -> Trying:
    """Say how a decision tries beyond its best guess, after so many logged decisions."""
    return Trying(
        floor=floor_in_force(parameters, at, org_path, decisions),
        alike=parameters.number(FLOOR_ALIKE, at, org_path),
        spread=parameters.number(SPREAD, at, org_path),
    )


def group_of(customer_id: UUID, day: date, shares: Shares) -> Group:
    """Say in which group a customer is in the month of a local day; the same all month long."""
    place = _place(customer_id, day, "group")
    if place < shares.holdout:
        return Group.HOLDOUT
    return Group.UNIFORM if place < shares.holdout + shares.uniform else Group.POLICY


def challenged(customer_id: UUID, day: date, shares: Shares) -> bool:
    """Say whether a challenger decides for a customer in the month of a local day."""
    return _place(customer_id, day, "challenger") < shares.challenger


def _place(customer_id: UUID, day: date, what: str) -> float:
    """Hash a customer and a month to a place from 0 to 1, as good as drawn."""
    digest = sha256(f"{what}:{customer_id}:{day:%Y-%m}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
