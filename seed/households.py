"""The demo city's customers: where they live, what they hold, and what was said to them before."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import NamedTuple

from app.customers.rules import Channel, InteractionKind, Segment
from app.terminals.rules import TerminalKind
from seed import terrain, words
from seed.dice import Dice
from seed.people import ZONE
from seed.terrain import Compound, Place

CITY = "澄湖市南浦区"

# What a household's line can do at most in Mbit/s, by how many in a hundred buildings.
LINES = {2000: 38, 1000: 42, 500: 12, 300: 8}
# What runs on it, as far as the line allows, in Mbit/s.
SPEEDS = {100: 12, 200: 18, 300: 34, 500: 24, 1000: 12}
PRICES_FEN = {8: 4900, 100: 5900, 200: 6900, 300: 8900, 500: 10900, 1000: 13900}

MODELS = {
    TerminalKind.ONT_GATEWAY: ("HN8145V5", "F7610M", "GM620"),
    TerminalKind.SET_TOP_BOX: ("EC6110-T", "B860AV3", "DV9135"),
    TerminalKind.WIFI_REPEATER: ("K562e", "E1630", "AX3000-R"),
    TerminalKind.CAMERA: ("C6C-4K", "TP7C-05"),
}
CHANNELS = {Channel.PHONE: 45, Channel.SMS: 20, Channel.APP: 15, Channel.SHOP: 12, Channel.VISIT: 8}
SAID = {
    InteractionKind.SALES: ("宽带提速外呼", "融合套餐推荐", "全屋WiFi体验活动", "合约续签提醒"),
    InteractionKind.SERVICE: ("查询账单", "改密码", "移机咨询", "发票开具"),
    InteractionKind.FAULT: ("无法上网", "网速慢", "电视卡顿", "光猫闪红灯"),
    InteractionKind.COMPLAINT: ("资费争议", "上门超时", "多次报障未解决"),
}
ANSWERS = {"declined": 60, "later": 22, "accepted": 18}


@dataclass(frozen=True)
class Service:
    """A subscription; money in fen, speed in Mbit/s."""

    number: str
    offering: str
    category: str
    price_fen: int
    started_on: date
    speed_mbps: int | None = None
    contract_ends_on: date | None = None


@dataclass(frozen=True)
class Contact:
    """A contact of the past year, under the CRM's number."""

    number: str
    at: datetime
    channel: Channel
    kind: InteractionKind
    subject: str
    outcome: str | None
    closed_at: datetime | None


class Month(NamedTuple):
    """What a household paid and used in a calendar month, by its first day; None is not known."""

    first: date
    income_fen: int | None
    new_service_income_fen: int | None
    usage_gb: int | None


@dataclass(frozen=True)
class Device:
    """A terminal in the home."""

    serial_number: str
    kind: TerminalKind
    model: str


@dataclass(frozen=True)
class Household:
    """A customer at an address; the point is the building's, in GCJ-02 degrees.

    None is "not known", as a CRM leaves it.
    """

    number: int
    name: str
    phone: str
    segment: Segment
    compound: Compound
    building: str
    room: str
    place: Place
    line_max_mbps: int | None
    port_free: bool | None
    olt_port: str
    activated_on: date | None
    do_not_disturb: bool
    elderly: bool
    preferred_channel: Channel | None
    arrears_fen: int | None
    monthly_usage_gb: int | None
    services: list[Service] = field(default_factory=list)
    contacts: list[Contact] = field(default_factory=list)
    devices: list[Device] = field(default_factory=list)
    months: list[Month] = field(default_factory=list)

    @property
    def code(self) -> str:
        """The customer's code."""
        return f"C{self.number:06d}"

    @property
    def line(self) -> Service:
        """The service that is the household's line, fibre or copper."""
        return next(one for one in self.services if one.category in ("broadband", "copper"))

    @property
    def address(self) -> str:
        """The standard address, from the city down to the room."""
        home = self.compound
        return f"{CITY}{home.street}{home.number}号{home.name}{self.building}{self.room}"


def households(seed: int, compounds: list[Compound], today: date) -> list[Household]:
    """Fill the compounds. Days and moments are told back from `today`, a local day."""
    made: list[Household] = []
    for compound in compounds:
        dice = Dice(seed, f"households of {compound.code}")
        for building, room, place, line in _homes(dice, compound):
            household = _household(
                dice, len(made) + 1, compound, building, room, place, line, today
            )
            _subscribe(dice, household, line, today)
            _equip(dice, household)
            _contact(dice, household, today)
            made.append(household)
        past = Dice(seed, f"months of {compound.code}")
        for household in made[-compound.households :]:
            _pay(past, household, today)
    return made


def _homes(dice: Dice, compound: Compound) -> Iterator[tuple[str, str, Place, int]]:
    """Choose homes in the buildings of a compound, which stand within 60 m of its point."""
    buildings = 2 + compound.households // 12
    floors = dice.pick((6, 6, 11, 18, 24))
    places = {
        number: terrain.offset(compound.place, dice.between(-42, 42), dice.between(-42, 42))
        for number in range(1, buildings + 1)
    }
    lines = {number: dice.weighted(LINES) for number in places}
    homes = [
        (number, unit, floor, flat)
        for number in places
        for unit in (1, 2, 3)
        for floor in range(1, floors + 1)
        for flat in (1, 2)
    ]
    for number, unit, floor, flat in dice.shuffled(homes)[: compound.households]:
        yield f"{number}栋", f"{unit}单元{floor}{flat:02d}室", places[number], lines[number]


def _household(
    dice: Dice,
    number: int,
    compound: Compound,
    building: str,
    room: str,
    place: Place,
    line: int,
    today: date,
) -> Household:
    business = dice.chance(0.04)
    months = dice.weighted({1: 4, 3: 4, 8: 12, 24: 30, 60: 32, 120: 18})
    return Household(
        number=number,
        name=words.firm(dice) if business else words.person(dice),
        phone=words.phone(number),
        segment=Segment.BUSINESS if business else Segment.HOUSEHOLD,
        compound=compound,
        building=building,
        room=room,
        place=place,
        line_max_mbps=None if dice.chance(0.06) else line,
        port_free=None if dice.chance(0.08) else dice.chance(0.93),
        olt_port=f"{compound.branch}-OLT{dice.whole(1, 4)}/{dice.whole(1, 16)}/{dice.whole(1, 16)}",
        activated_on=(
            None
            if dice.chance(0.02)
            else today - timedelta(days=int(months * dice.between(20, 40)))
        ),
        do_not_disturb=dice.chance(0.05),
        elderly=not business and dice.chance(0.13),
        preferred_channel=dice.weighted(CHANNELS) if dice.chance(0.35) else None,
        arrears_fen=(
            None if dice.chance(0.07) else dice.whole(20, 300) * 100 if dice.chance(0.05) else 0
        ),
        monthly_usage_gb=None if dice.chance(0.1) else int(8 * 10 ** dice.between(0.2, 2.1)),
    )


def _subscribe(dice: Dice, household: Household, line: int, today: date) -> None:
    """Give the household its services: a line, and more or less around it."""
    since = household.activated_on or today - timedelta(days=900)
    ends = today + timedelta(days=dice.whole(-60, 720)) if dice.chance(0.75) else None
    n = household.number
    if household.segment is Segment.BUSINESS:
        household.services.append(Service(f"SW{n:08d}", "BIZ-VOICE", "business", 3900, since))
    if line == 300 and dice.chance(0.3):
        # Old copper in old houses: what "migrate to fibre" is for.
        speed, offering, category = 8, "PLAN-ADSL-8", "copper"
    else:
        speed = min(dice.weighted(SPEEDS), line)
        offering, category = f"PLAN-{speed}", "broadband"
    services = household.services
    services.append(
        Service(f"KD{n:08d}", offering, category, PRICES_FEN[speed], since, speed, ends)
    )
    if category == "copper":
        return
    if dice.chance(0.46):
        services.append(Service(f"TV{n:08d}", "IPTV-4K", "tv", 1000, since))
    if dice.chance(0.6):
        services.append(Service(words.phone(20_000_000 + n), "PLAN-5G-79", "mobile", 7900, since))
        if dice.chance(0.25):
            services.append(
                Service(words.phone(30_000_000 + n), "MOBILE-SUB", "mobile", 1000, since)
            )
    if dice.chance(0.14):
        services.append(Service(f"WF{n:08d}", "WIFI-MESH", "wifi", 1500, since))
    if dice.chance(0.06):
        services.append(Service(f"CM{n:08d}", "CAM-HOME", "camera", 1500, since))


_DEVICE_OF = {
    "broadband": TerminalKind.ONT_GATEWAY,
    "tv": TerminalKind.SET_TOP_BOX,
    "wifi": TerminalKind.WIFI_REPEATER,
    "camera": TerminalKind.CAMERA,
}


def _equip(dice: Dice, household: Household) -> None:
    for service in household.services:
        kind = _DEVICE_OF.get(service.category)
        if kind is not None:
            serial_number = f"{kind.value[:2].upper()}{service.number[2:]}"
            household.devices.append(Device(serial_number, kind, dice.pick(MODELS[kind])))


def _contact(dice: Dice, household: Household, today: date) -> None:
    """Write the contacts of the past year: most households have few, some have many."""
    for nth in range(dice.weighted({0: 42, 1: 27, 2: 15, 3: 9, 4: 5, 6: 2})):
        kind = dice.weighted(
            {
                InteractionKind.SALES: 36,
                InteractionKind.SERVICE: 34,
                InteractionKind.FAULT: 23,
                InteractionKind.COMPLAINT: 7,
            }
        )
        on = today - timedelta(days=dice.whole(2, 360))
        at = datetime(on.year, on.month, on.day, dice.whole(9, 20), dice.whole(0, 59), tzinfo=ZONE)
        closed = kind is not InteractionKind.COMPLAINT or dice.chance(0.8)
        household.contacts.append(
            Contact(
                number=f"CT{household.number:06d}-{nth}",
                at=at,
                channel=dice.weighted(CHANNELS),
                kind=kind,
                subject=dice.pick(SAID[kind]),
                outcome=dice.weighted(ANSWERS) if kind is InteractionKind.SALES else None,
                closed_at=at + timedelta(hours=dice.whole(1, 20)) if closed else None,
            )
        )


# What brings income as a new service.
_NEW = ("CAM-HOME", "FTTR-2", "FTTR-4", "SPEED-2000")


def _pay(dice: Dice, household: Household, today: date) -> None:
    """Write the last twelve months that are over: most go on alike, some use and pay ever less."""
    begun = household.activated_on or today - timedelta(days=900)
    price = sum(service.price_fen for service in household.services)
    new = sum(one.price_fen for one in household.services if one.offering in _NEW)
    usual = household.monthly_usage_gb
    fading = dice.chance(0.08)
    first = today.replace(day=1)
    for back in range(1, 13):
        first = (first - timedelta(days=1)).replace(day=1)
        told, extra, use = dice.chance(0.98), dice.between(0, 0.15), dice.between(0.85, 1.15)
        if first < begun:
            break
        left = max(0.2, 1 - 0.25 * (4 - back)) if fading and back < 4 else 1.0
        household.months.append(
            Month(
                first=first,
                income_fen=int(price * (1 + extra) * (1 + left) / 2) if told else None,
                new_service_income_fen=new if told else None,
                usage_gb=None if usual is None or not told else int(usual * use * left),
            )
        )
