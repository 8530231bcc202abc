"""The operator's numbers for reconciliation."""

from app.core.i18n import Words
from app.core.parameters import Parameter

NIGHT_HOUR = Parameter(
    "reconciliation.night_hour",
    default=3,
    unit="h",
    words=Words(
        zh="每天几点起对前一天的账", en="From which hour of the night on the day before is compared"
    ),
    most=23,
)
MARGIN_MINUTES = Parameter(
    "reconciliation.margin_minutes",
    default=60,
    unit="min",
    words=Words(
        zh="读取对方订单时前后各放宽多少分钟",
        en="How much before and after the day the other side's orders are read",
    ),
    most=1440,
)
KEEP_AT = Parameter(
    "reconciliation.keep_at_days",
    default=30,
    unit="d",
    words=Words(
        zh="有未结差异的日期最多复对多少天",
        en="For how many days a day with open differences is compared again each night",
    ),
    most=366,
)
AGAIN_EVERY = Parameter(
    "reconciliation.again_every_days",
    default=7,
    unit="d",
    words=Words(
        zh="已对过的日期每隔多少天复对一次",
        en="After how many days, and again after as many, a day is compared anew",
    ),
    least=1,
    most=366,
)
AGAIN_UNTIL = Parameter(
    "reconciliation.again_until_days",
    default=31,
    unit="d",
    words=Words(
        zh="已对过的日期复对到多少天为止（0 为不复对）",
        en="Until how many days later it is; 0 is not at all",
    ),
    most=366,
)
ALERT_HOUR = Parameter(
    "reconciliation.alert_hour",
    default=8,
    unit="h",
    words=Words(
        zh="夜间对账到几点仍未完成即告警",
        en="By which hour of the day the night's comparison has to be done, or those at the top"
        " are alerted",
    ),
    most=23,
)
ALERT_OPEN = Parameter(
    "reconciliation.alert_open",
    default=1,
    unit="",
    words=Words(
        zh="待处理的对账差异达到多少条即告警",
        en="How many differences of a unit may wait for a person before it is alerted",
    ),
    least=1,
)
