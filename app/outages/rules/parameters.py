"""The numbers of outages that an operator may change."""

from datetime import datetime

from app.core.i18n import Words
from app.core.parameters import Parameter, Parameters
from app.outages.rules.bursts import Limits

LEAST = Parameter(
    name="outages.least_reports",
    default=4,
    unit="homes",
    words=Words(
        zh="至少多少户同时申告才可能判为群障",
        en="From how many homes that report at once an outage may be proposed",
    ),
    least=2,
    most=1_000,
)
WINDOW = Parameter(
    name="outages.window_minutes",
    default=120,
    unit="min",
    words=Words(
        zh="在多长时间内的申告合并判断群障",
        en="Within which time reports are looked at together",
    ),
    least=10,
    most=1_440,
)
FALSE_ALARMS = Parameter(
    name="outages.false_alarms_a_week",
    default=0.2,
    unit="proposals",
    words=Words(
        zh="一个区县每周最多容许多少次仅由偶然造成的群障提示",
        en="How many proposals a week chance alone may make in a district",
    ),
    least=0.0001,
    most=1_000,
)
QUIET = Parameter(
    name="outages.quiet_hours",
    default=4,
    unit="h",
    words=Words(
        zh="群障提示被否定后，多久内不再对同一处提示",
        en="How long a place is not proposed again after a proposal was dismissed",
    ),
    most=168,
)
LAPSE = Parameter(
    name="outages.lapse_hours",
    default=12,
    unit="h",
    words=Words(
        zh="群障提示无人处理且无新申告时，多久后自动失效",
        en="After how long without a report a proposal lapses that nobody has decided on",
    ),
    least=1,
    most=168,
)
LEARN_HOUR = Parameter(
    name="outages.learn_hour",
    default=3,
    unit="h",
    words=Words(
        zh="每天几点重新学习各处的平常申告量",
        en="At which hour of the night the usual rates are learned anew",
    ),
    most=23,
)
LEARN_WEEKS = Parameter(
    name="outages.learn_weeks",
    default=8,
    unit="weeks",
    words=Words(
        zh="平常申告量按最近多少周统计",
        en="From how many weeks of reports the usual rates are learned",
    ),
    least=1,
    most=52,
)
STRENGTH = Parameter(
    name="outages.shrinkage_weeks",
    default=4,
    unit="weeks",
    words=Words(
        zh="一处的平常申告量向上级均值靠拢的力度（相当于多少周的数据）",
        en="How strongly a place's rate leans to that of the places around it, as weeks of data",
    ),
    least=0.1,
    most=520,
)


def limits_of(numbers: Parameters, at: datetime, org_path: str) -> Limits:
    """Read from when on reports are an outage in a district, given by its path."""
    return Limits(
        least=numbers.whole(LEAST, at, org_path),
        minutes=numbers.number(WINDOW, at, org_path),
        false_alarms=numbers.number(FALSE_ALARMS, at, org_path),
    )
