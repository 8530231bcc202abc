"""The numbers of dispatch that an operator may change."""

from app.core.i18n import Words
from app.core.parameters import Parameter

TRAVEL_ALLOWANCE = Parameter(
    name="dispatch.travel_allowance_minutes",
    default=15,
    unit="min",
    words=Words(zh="每单预留的路途时间", en="Travel time set aside for each order"),
    most=240,
)
HORIZON = Parameter(
    name="dispatch.horizon_days",
    default=7,
    unit="days",
    words=Words(
        zh="自动派单最多向后看几天（今天之外）",
        en="How many days after today automatic placement looks ahead",
    ),
    most=60,
)
STAND_IN_LOCALITIES = Parameter(
    name="dispatch.stand_in_localities",
    default=8,
    unit="localities",
    words=Words(
        zh="同一坐标被多少个不同街道/小区共用即视为地址库的默认点",
        en="How many localities at one point make it a geocoder's stand-in",
    ),
    least=2,
)
HAND_BACK_REST = Parameter(
    name="dispatch.hand_back_rest_hours",
    default=12,
    unit="h",
    words=Words(
        zh="退单后多久内不再派给同一人", en="How long an order handed back stays away from them"
    ),
    most=720,
)
RETRY = Parameter(
    name="dispatch.retry_minutes",
    default=30,
    unit="min",
    words=Words(
        zh="未派出的工单每隔多久自动再试", en="How often an order without a holder is tried again"
    ),
    least=1,
)


LONGEST_LINE = Parameter(
    name="intake.longest_line_bytes",
    default=65_536,
    unit="bytes",
    words=Words(zh="批量接单每行最大字节数", en="Longest line of a bulk intake"),
    least=1024,
    most=1_048_576,
)
MOST_LINES = Parameter(
    name="intake.most_lines",
    default=100_000,
    unit="lines",
    words=Words(zh="批量接单每次最多行数", en="Most lines of one bulk intake"),
    least=1,
    most=1_000_000,
)
