"""The numbers of sync that an operator may change."""

from app.core.i18n import Words
from app.core.parameters import Parameter

CLOSED_DAYS = Parameter(
    "sync.closed_days",
    default=2.0,
    unit="d",
    words=Words(
        zh="已完工的工单在手机上保留的天数", en="Days a completed order stays on its phone"
    ),
    least=0.25,
    most=14.0,
)
SALES_DAYS = Parameter(
    "sync.sales_days",
    default=35.0,
    unit="d",
    words=Words(
        zh="装维人员的销售单在手机上保留的天数", en="Days a technician's sales stay on their phone"
    ),
    least=1.0,
    most=100.0,
)
OFFLINE_HOURS = Parameter(
    "sync.offline_hours",
    default=72.0,
    unit="h",
    words=Words(
        zh="手机未联网时本地数据可用的最长时间",
        en="How long a phone may show what it keeps without having reached the server",
    ),
    least=1.0,
    most=72.0,
)
# How long it is known what left a phone; older cursors begin anew. Ninety days at least.
KEPT_DAYS = Parameter(
    "sync.kept_days",
    default=95.0,
    unit="d",
    words=Words(
        zh="同步变更记录的保留天数；更早的手机需重新同步",
        en="Days for which changes are remembered; phones that were away longer begin anew",
    ),
    least=90.0,
    most=400.0,
)
SKEW_MINUTES = Parameter(
    "sync.skew_minutes",
    default=5.0,
    unit="min",
    words=Words(
        zh="手机时钟偏差超过多少分钟时提醒",
        en="By how many minutes a phone's clock may be wrong before its owner is told",
    ),
    least=1.0,
    most=240.0,
)
