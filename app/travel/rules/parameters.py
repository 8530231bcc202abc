"""Numbers of travel that an operator may want to change."""

from app.core.i18n import Words
from app.core.parameters import Parameter
from app.grids.rules import GridKind

DETOUR = Parameter(
    name="travel.detour",
    default=1.35,
    unit="times",
    words=Words(zh="路程与直线距离之比", en="How much longer a way is than the straight line"),
    least=1.0,
    most=5.0,
)
GETTING_THERE = Parameter(
    name="travel.least_seconds",
    default=120,
    unit="s",
    words=Words(
        zh="每段路途的固定时间（取车、停车、上楼）",
        en="What every way takes besides: to the car, parking, up the stairs",
    ),
    most=3_600,
)
UNKNOWN = Parameter(
    name="travel.unknown_seconds",
    default=900,
    unit="s",
    words=Words(
        zh="无坐标时按多长路途计", en="How long a way counts as when an end of it has no point"
    ),
    most=14_400,
)
SPEED: dict[GridKind, Parameter] = {
    kind: Parameter(
        name=f"travel.speed_kmh.{kind.value}",
        default=speed,
        unit="km/h",
        words=Words(
            zh=f"{zh}网格内外的行驶速度（未学到之前）",
            en=f"Speed of travel from or to {en}, until it is learned",
        ),
        least=1,
        most=120,
    )
    for kind, speed, zh, en in (
        (GridKind.COMPOUND, 18, "小区", "a compound"),
        (GridKind.VILLAGE, 32, "村庄", "a village"),
        (GridKind.BUSINESS_BUILDING, 15, "商务楼宇", "a business building"),
        (GridKind.STREET, 20, "街道", "a street"),
    )
}

# --- learning, once a night; those with no org unit in their words are read for everybody --------

LEARN_HOUR = Parameter(
    name="travel.learn_hour",
    default=2,
    unit="h",
    words=Words(
        zh="每天几点之后学习前一天的路途时间（省级时区）",
        en="The hour of the night from which the day before is learned from (the top unit's zone)",
    ),
    most=23,
)
WINDOW_DAYS = Parameter(
    name="travel.window_days",
    default=42,
    unit="days",
    words=Words(
        zh="按最近多少天的实际路途学习", en="Ways of so many days are what is learned from"
    ),
    least=1,
    most=180,
)
KEPT_DAYS = Parameter(
    name="travel.kept_days",
    default=200,
    unit="days",
    words=Words(zh="实际路途记录保留多少天", en="How long ways that were driven are kept"),
    least=31,
    most=3_650,
)
ROADS_KEPT_DAYS = Parameter(
    name="travel.roads_kept_days",
    default=30,
    unit="days",
    words=Words(
        zh="路径引擎给出的路途时间多少天后重新询问",
        en="After how many days a routing engine is asked about the same roads again",
    ),
    least=1,
    most=3_650,
)
ROADS_REACH = Parameter(
    name="travel.roads_reach_m",
    default=10_000,
    unit="m",
    words=Words(
        zh="向路径引擎询问多远以内的网格之间的路途",
        en="Between grids how far apart a routing engine is asked about the roads",
    ),
    least=500,
    most=100_000,
)
ROADS_MOST = Parameter(
    name="travel.roads_most",
    default=24,
    unit="grids",
    words=Words(
        zh="每个网格最多向路径引擎询问多少个邻近网格",
        en="About the roads to how many grids near it a routing engine is asked for each",
    ),
    least=1,
    most=99,
)
LEAST_TRIPS = Parameter(
    name="travel.least_trips",
    default=5,
    unit="trips",
    words=Words(
        zh="两个网格之间至少多少次路途才采用其中位数",
        en="How many ways between two grids are needed for a median of theirs",
    ),
    least=1,
    most=1_000,
)
LEAST_UNIT_TRIPS = Parameter(
    name="travel.least_unit_trips",
    default=30,
    unit="trips",
    words=Words(
        zh="一个组织在某小时至少多少次路途才采用其比值",
        en="How many ways of an org unit at an hour are needed for a ratio of its own",
    ),
    least=1,
    most=100_000,
)
TRIP_LEAST = Parameter(
    name="travel.trip_least_seconds",
    default=30,
    unit="s",
    words=Words(
        zh="短于此的路途不参与学习",
        en="A shorter way is not learned from: both were tapped at once",
    ),
    most=3_600,
)
TRIP_MOST = Parameter(
    name="travel.trip_most_seconds",
    default=7_200,
    unit="s",
    words=Words(zh="长于此的路途不参与学习", en="A longer way is not learned from"),
    least=60,
    most=86_400,
)
TRIP_LEAST_METRES = Parameter(
    name="travel.trip_least_metres",
    default=150,
    unit="m",
    words=Words(
        zh="直线距离短于此的路途不参与学习",
        en="A way of less in a straight line is not learned from: the stairs decide it",
    ),
    most=10_000,
)
TRIP_FASTEST = Parameter(
    name="travel.trip_fastest_kmh",
    default=90,
    unit="km/h",
    words=Words(
        zh="直线速度高于此的路途不参与学习",
        en="A way that was faster in a straight line is not learned from",
    ),
    least=1,
    most=300,
)
TRIP_SLOWEST = Parameter(
    name="travel.trip_slowest_kmh",
    default=1.5,
    unit="km/h",
    words=Words(
        zh="直线速度低于此的路途不参与学习",
        en="A way that was slower in a straight line is not learned from",
    ),
    most=50,
)
