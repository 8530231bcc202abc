"""A working day of the demo city: the orders that upstream systems send, and how people behave.

Pure data from a seed. The demo sends the orders through the public API; what the customers will
say is for the demo's simulated technicians alone, and never reaches the product but as answers.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from enum import StrEnum
from functools import cache
from typing import Any

import yaml

from app.core.geo import CoordSys, from_wgs84, to_wgs84
from app.suggestions.rules import DeclineReason
from app.worktypes.rules import WorkType
from seed import terrain, words
from seed.city import HERE, City
from seed.dice import Dice
from seed.households import Household
from seed.people import ZONE

ORDERS = 400
MIX = {
    WorkType.REPAIR: 260,
    WorkType.INSTALL: 100,
    WorkType.RELOCATE: 14,
    WorkType.REMOVE: 12,
    WorkType.CARE: 14,
}
OPENS, CLOSES = time(7, 30), time(17, 0)
# Of a hundred orders so many arrive in each half hour: a rush in the morning, another after lunch.
RUSH = (3, 6, 8, 9, 9, 8, 7, 6, 4, 3, 3, 4, 6, 6, 5, 4, 4, 3, 2)

FAULT_SOURCE, ORDER_SOURCE = "fault-desk", "crm"


class Snag(StrEnum):
    """What is wrong with an order on purpose, as it is in real feeds."""

    NO_POINT = "no_point"
    STAND_IN = "stand_in"  # the geocoder knew no better than the middle of the district
    OUTSIDE = "outside"  # beyond every grid
    SENT_TWICE = "sent_twice"  # the very same order again, since the answer was lost
    OTHER_CONTENT = "other_content"  # the same number for something else


# How many orders of each snag a day has. The stand-in needs more localities than the product
# tolerates at one point.
SNAGS = {Snag.NO_POINT: 8, Snag.STAND_IN: 12, Snag.OUTSIDE: 6}
REPEATED = {Snag.SENT_TWICE: 10, Snag.OTHER_CONTENT: 2}
BD09_ORDERS = 24

# What is reported, the skill it takes, and the minutes it is planned with.
REPAIRS = {
    ("无法上网,光猫LOS灯闪红光", "fibre", 55): 34,
    ("网速慢,晚高峰看视频卡顿", "fibre", 45): 20,
    ("频繁掉线,每天数次", "fibre", 50): 16,
    ("WiFi信号弱,卧室连不上", "wifi", 45): 12,
    ("IPTV黑屏或卡顿", "iptv", 40): 15,
    ("摄像头离线", "camera", 30): 3,
}
COPPER_REPAIR = ("铜缆断线,雨后无法上网", "copper", 70)
INSTALLS = {
    ("新装宽带500M", "fibre", 85): 55,
    ("新装IPTV", "iptv", 40): 20,
    ("新装全屋WiFi", "wifi", 90): 12,
    ("新装摄像头", "camera", 45): 8,
    ("新装商务专线", "enterprise", 120): 5,
}
OTHERS = {
    WorkType.RELOCATE: ("移机到新址", "fibre", 85),
    WorkType.REMOVE: ("拆机并回收终端", "fibre", 35),
    WorkType.CARE: ("上门关怀,检查线路与WiFi", "fibre", 40),
}


@dataclass(frozen=True)
class Behaviour:
    """What happens at the door, unknown to the product: who is there, and what they say.

    `minutes` is what the work really takes; `accepts` the probability of a yes by offering code,
    for whoever is asked politely and after the work.
    """

    at_home: bool
    minutes: int
    accepts: Mapping[str, float]


@dataclass(frozen=True)
class Incoming:
    """One message of an upstream system: when it comes, what it says, what is wrong with it.

    `body` is the body of `POST /v1/work-orders`; `customer` is None for people not yet customers.
    """

    at: datetime
    body: Mapping[str, Any]
    customer: str | None
    snag: Snag | None
    behaviour: Behaviour

    @property
    def key(self) -> tuple[str, str]:
        """What names the order: source and external id."""
        return self.body["source"], self.body["external_id"]

    @property
    def contradicts(self) -> bool:
        """Whether the product must refuse it: its number stands for something else already."""
        return self.snag is Snag.OTHER_CONTENT


def working_day(city: City, *, orders: int = ORDERS) -> list[Incoming]:
    """Make the day's messages in the order they come; the same for the same city and number.

    There are `orders` different orders, and a few of them come twice.
    """
    dice = Dice(city.seed, f"day {city.today}")
    types = [work_type for work_type, share in MIX.items() for _ in range(share)]
    # A short day has its share of each type, too.
    types = dice.shuffled([types[n * len(types) // orders] for n in range(orders)])
    snags: list[Snag | None] = [snag for snag, number in SNAGS.items() for _ in range(number)]
    snags += [None] * (orders - len(snags))
    snags = dice.shuffled(snags[:orders])
    homes = iter(_homes(dice, city, snags))
    systems = [CoordSys.BD09] * BD09_ORDERS + [CoordSys.GCJ02] * (orders - BD09_ORDERS)
    systems = dice.shuffled(systems[:orders])
    made = []
    for number, at in enumerate(_times(dice, city, orders)):
        order = _order(dice, city, number + 1, at, types[number], next(homes), snags[number])
        made.append(_in_system(order, systems[number]))
    return sorted([*made, *_again(dice, made)], key=lambda order: (order.at, order.key))


def _times(dice: Dice, city: City, orders: int) -> list[datetime]:
    opens = datetime.combine(city.today, OPENS, ZONE)
    halves = dict(enumerate(RUSH))
    return sorted(
        opens + timedelta(seconds=1800 * dice.weighted(halves) + dice.whole(0, 1799))
        for _ in range(orders)
    )


def _homes(dice: Dice, city: City, snags: Sequence[Snag | None]) -> Iterator[Household]:
    """Choose who has an order today; those at the stand-in live in different compounds."""
    plain = iter(dice.shuffled(city.households))
    compounds = iter(dice.shuffled(city.compounds))
    by_compound = {home.compound.code: home for home in dice.shuffled(city.households)}
    taken: set[str] = set()
    for snag in snags:
        home = None
        while home is None or home.code in taken:
            home = by_compound[next(compounds).code] if snag is Snag.STAND_IN else next(plain)
        taken.add(home.code)
        yield home


def _order(
    dice: Dice,
    city: City,
    number: int,
    at: datetime,
    work_type: WorkType,
    home: Household,
    snag: Snag | None,
) -> Incoming:
    what, skill, minutes = _work(dice, work_type, home)
    # Half of the installs are for people who are not customers yet.
    stranger = work_type is WorkType.INSTALL and skill == "fibre" and dice.chance(0.6)
    body: dict[str, Any] = {
        "source": FAULT_SOURCE if work_type is WorkType.REPAIR else ORDER_SOURCE,
        "external_id": f"{city.today:%Y%m%d}-{number:05d}",
        "work_type": work_type.value,
        "priority": dice.weighted({1: 4, 2: 18, 3: 66, 4: 12}),
        "customer_code": None if stranger else home.code,
        "service_number": None if stranger else home.line.number,
        "contact_name": words.person(dice) if stranger else home.name,
        "contact_phone": words.phone(40_000_000 + number) if stranger else home.phone,
        "address": home.address,
        "locality": home.compound.name,
        "point": _point(dice, home, snag),
        "skills": [skill],
        "estimated_minutes": minutes,
        "reported_at": at.isoformat(),
        "summary": what,
    }
    booked = {WorkType.INSTALL: 0.45, WorkType.CARE: 0.8, WorkType.REPAIR: 0.08}
    if dice.chance(booked.get(work_type, 0.3)):
        window = _window(dice, at)
        body["appointment_from"] = window.isoformat()
        body["appointment_until"] = (window + timedelta(hours=2)).isoformat()
    return Incoming(
        at=at,
        body={name: value for name, value in body.items() if value is not None},
        customer=None if stranger else home.code,
        snag=snag,
        behaviour=_behaviour(dice, home, minutes),
    )


def _work(dice: Dice, work_type: WorkType, home: Household) -> tuple[str, str, int]:
    if work_type is WorkType.REPAIR:
        return COPPER_REPAIR if home.line.category == "copper" else dice.weighted(REPAIRS)
    if work_type is WorkType.INSTALL:
        return dice.weighted(INSTALLS)
    return OTHERS[work_type]


def _point(dice: Dice, home: Household, snag: Snag | None) -> dict[str, Any] | None:
    """Say where it is, in GCJ-02: at the building, unless something is wrong."""
    if snag is Snag.NO_POINT:
        return None
    place = home.place
    if snag is Snag.STAND_IN:
        place = (terrain.LON, terrain.LAT)
    elif snag is Snag.OUTSIDE:
        # Beyond the outermost corner of the lattice, whichever way its corners stray.
        place = terrain.offset(
            (terrain.LON, terrain.LAT), dice.pick((-1, 1)) * dice.between(4800, 6000), 0
        )
    return {"lon": place[0], "lat": place[1], "coordsys": CoordSys.GCJ02.value}


def _in_system(order: Incoming, coordsys: CoordSys) -> Incoming:
    """Give the same place in another coordinate system; a few upstream systems use Baidu's."""
    point = order.body.get("point")
    if point is None or order.snag is not None or coordsys is CoordSys.GCJ02:
        return order
    lon, lat = to_wgs84(float(point["lon"]), float(point["lat"]), CoordSys.GCJ02)
    lon, lat = from_wgs84(lon, lat, coordsys)
    moved = {"lon": round(lon, 7), "lat": round(lat, 7), "coordsys": coordsys.value}
    return replace(order, body={**order.body, "point": moved})


def _window(dice: Dice, at: datetime) -> datetime:
    """Book a window of two hours: today when there is time, else tomorrow or the day after."""
    today = at.replace(minute=0, second=0, microsecond=0)
    first = today.hour + 2
    if first <= 15 and dice.chance(0.6):
        return today.replace(hour=dice.whole(max(first, 9), 15))
    return today.replace(hour=dice.pick((9, 10, 13, 14, 15))) + timedelta(days=dice.whole(1, 2))


def _again(dice: Dice, made: Sequence[Incoming]) -> Iterator[Incoming]:
    """Send some of the orders again a few minutes later: the very same, or with other content."""
    twice = iter(dice.shuffled([order for order in made if order.snag is None]))
    for snag, number in REPEATED.items():
        for _ in range(number):
            order = next(twice)
            later = order.at + timedelta(minutes=dice.whole(1, 20))
            body = order.body
            if snag is Snag.OTHER_CONTENT:
                body = {**body, "summary": f"{body['summary']}(更正)"}
            yield replace(order, at=later, body=body, snag=snag)


# --- what people will say -------------------------------------------------------------------------


# Why people say no, by how many in a hundred.
_NO = {
    DeclineReason.NO_NEED: 40,
    DeclineReason.PRICE: 28,
    DeclineReason.NOT_NOW: 14,
    DeclineReason.DECISION_MAKER_ABSENT: 10,
    DeclineReason.HAS_IT_ELSEWHERE: 5,
    DeclineReason.DISSATISFIED: 3,
}


class Residents:
    """The people behind the doors of a day, whom one knows by their telephones' numbers: asked the
    same thing again, they say the same."""

    def __init__(self, city: City, messages: Iterable[Incoming]) -> None:
        self._city = city
        self._accepts = {one.customer: one.behaviour.accepts for one in messages if one.customer}
        self._codes = {home.phone: home.code for home in city.households}

    def accepts(self, phone: str, offering_code: str) -> bool:
        """Tell whether a customer takes an offer; who has no order today takes none."""
        customer_code = self._codes.get(phone, "")
        likely = self._accepts.get(customer_code, {}).get(offering_code, 0.0)
        return self._dice(customer_code, offering_code).chance(likely)

    def declines_because(self, phone: str, offering_code: str) -> str:
        """Give the coded reason of a customer who does not."""
        return self._dice(self._codes.get(phone, ""), offering_code, "why").weighted(_NO).value

    def _dice(self, *about: str) -> Dice:
        return Dice(self._city.seed, f"answer {self._city.today} {' '.join(about)}")


@cache
def _offerings() -> Mapping[str, Mapping[str, Any]]:
    """The catalogue's newest entries by code."""
    document = yaml.safe_load((HERE / "catalog.yaml").read_text(encoding="utf-8"))
    return {offering["code"]: offering for offering in document["offerings"]}


def _behaviour(dice: Dice, home: Household, minutes: int) -> Behaviour:
    return Behaviour(
        at_home=dice.chance(0.96),
        minutes=max(10, int(minutes * dice.between(0.55, 1.25))),
        accepts={
            code: round(min(0.95, offering["expert_rate"] * _inclination(dice, home, code)), 4)
            for code, offering in _offerings().items()
        },
    )


def _inclination(dice: Dice, home: Household, code: str) -> float:
    """Say how much likelier than the expert's guess this household is to want an offering.

    Here lies what a learning product can find out: usage drives speed, large bills drive bundles,
    the elderly like television and copper's end and dislike gadgets, and some like nothing.
    """
    usage = home.monthly_usage_gb or 120
    factor = dice.between(0.3, 1.7)
    if code.startswith(("SPEED", "FTTR", "WIFI")):
        factor *= 0.4 if usage < 60 else 1.0 if usage < 300 else 2.0
    if code.startswith("FUSION"):
        factor *= 0.5 + sum(service.price_fen for service in home.services) / 14_000
    if home.elderly:
        factor *= 1.5 if code in ("IPTV-4K", "COPPER-FIBRE", "RENEW-24") else 0.5
    if home.do_not_disturb or (home.arrears_fen or 0) > 0:
        factor *= 0.3
    return factor
