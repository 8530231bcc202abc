"""The numbers of appointments that an operator may change."""

from app.core.i18n import Words
from app.core.parameters import Parameter

HOLD_MINUTES = Parameter(
    name="appointments.hold_minutes",
    default=10,
    unit="min",
    words=Words(zh="预留的时段保留多久", en="How long a slot is held until it is confirmed"),
    least=1,
    most=1440,
)
CLOSE_MINUTES = Parameter(
    name="appointments.close_minutes",
    default=60,
    unit="min",
    words=Words(
        zh="时段开始前多久停止受理", en="How long before it begins a slot is no longer offered"
    ),
    most=10_080,
)
URGENT_RESERVE = Parameter(
    name="appointments.urgent_reserve_percent",
    default=20,
    unit="%",
    words=Words(
        zh="每个时段为紧急工单和修障保留的工时比例",
        en="Share of the minutes kept for priorities 1 and 2 and for repairs",
    ),
    most=100,
)
GREEN_SHARE = Parameter(
    name="appointments.green_percent",
    default=50,
    unit="%",
    words=Words(zh="剩余工时达到多少为绿色时段", en="Free share from which a slot is green"),
    most=100,
)
YELLOW_SHARE = Parameter(
    name="appointments.yellow_percent",
    default=20,
    unit="%",
    words=Words(zh="剩余工时达到多少为黄色时段", en="Free share from which a slot is yellow"),
    most=100,
)
ACTIVATION_MINUTES = Parameter(
    name="appointments.activation_minutes",
    default=120,
    unit="min",
    words=Words(
        zh="即办即装须在受理后多久内开通", en="Time from a sale on site until the service is live"
    ),
    least=5,
    most=960,
)
OPERATOR_CHANGES = Parameter(
    name="appointments.operator_changes",
    default=1,
    unit="times",
    words=Words(
        zh="因我方原因最多改约几次",
        en="How often an appointment may be moved for the operator's own reasons",
    ),
    most=10,
)
