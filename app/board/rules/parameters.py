"""The numbers of the board that an operator may change."""

from datetime import datetime
from typing import NamedTuple

from app.core.i18n import Words
from app.core.parameters import Parameter, Parameters
from app.dispatch.rules.costs import LUNCH_SLACK

AT_RISK = Parameter(
    name="board.at_risk_minutes",
    default=15,
    unit="min",
    words=Words(
        zh="预计到达预约截止或完成时限不足多少分钟即预警",
        en="With how little left before an appointment or a promise is missed a visit is at risk",
    ),
    most=480,
)
RUNS_LONG = Parameter(
    name="board.runs_long_minutes",
    default=20,
    unit="min",
    words=Words(
        zh="现场时间超出预计多少分钟即预警",
        en="How much longer than thought somebody may be at a door before it is at risk",
    ),
    most=960,
)
UNACKNOWLEDGED = Parameter(
    name="board.unacknowledged_minutes",
    default=30,
    unit="min",
    words=Words(
        zh="当班期间派单后多少分钟未接单即预警",
        en="How long, of their shift, somebody may leave an order unacknowledged",
    ),
    most=1_440,
)
MOST_PEOPLE = Parameter(
    name="board.most_people",
    default=600,
    unit="people",
    words=Words(zh="一个看板最多多少人", en="How many people one board holds"),
    least=1,
    most=5_000,
)
MOST_UNPLACED = Parameter(
    name="board.most_unplaced",
    default=300,
    unit="orders",
    words=Words(
        zh="看板最多列出多少张未派出的工单",
        en="How many of the orders without anybody a board lists, the most pressing first",
    ),
    most=5_000,
)


class Thresholds(NamedTuple):
    """From when on the board warns, and how a day may be bent; all in seconds."""

    at_risk: int
    runs_long: int
    unacknowledged: int
    lunch_slack: int


def thresholds_of(numbers: Parameters, now: datetime, org_path: str) -> Thresholds:
    """Read the thresholds in force at a moment for an org unit, given by its path."""
    asked = (AT_RISK, RUNS_LONG, UNACKNOWLEDGED, LUNCH_SLACK)
    return Thresholds(*(round(numbers.number(one, now, org_path) * 60) for one in asked))
