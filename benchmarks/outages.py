"""Outages found in a made stream of reports whose outages are known.

Districts of a province have OLTs with ports, compounds and grids of very different sizes, a rhythm
of the day and the week, and afternoons of thunderstorms on which everybody reports more. Outages of
ports, OLTs and compounds are added, from a handful of reports to dozens. Eight weeks are learned
from as the product learns, the outages in them included; the weeks after them are watched report by
report by the product's own rules. Beside them stands what one would write first: a fixed number of
reports of one place within an hour, tuned to as many false alarms.
"""

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import NamedTuple
from uuid import UUID

from app.outages.rules import (
    NARROWEST_FIRST,
    Burst,
    Known,
    Limits,
    Place,
    PlaceKind,
    Rate,
    Report,
    Usual,
    find,
    fold,
    hour_of_week,
    olt_of,
    places_of,
    rhythm,
    shrunk,
)
from benchmarks.report import Figure, table
from benchmarks.stand import Stand

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Plan:
    """How large a world, how long it is learned from and watched, and how many outages it has."""

    districts: int = 8
    olts: int = 12
    weeks_learned: int = 8
    weeks_watched: int = 6
    outages_a_week: float = 2.5
    seed: int = 7


FULL = Plan()
QUICK = Plan(districts=2, olts=6, weeks_learned=4, weeks_watched=2)

# How reports spread over the day, by the hour: few at night, most after work.
_DAY = [0.2] * 6 + [0.4, 0.7, 1.1, 1.4, 1.4, 1.2, 1.0, 1.1, 1.2, 1.2, 1.2, 1.3, 1.6, 2.0, 2.1, 1.7]
_DAY += [1.0, 0.5]
_WEEKEND = 1.2
# Reports of one home, in a week without outages; places differ by a gamma distribution around it.
_HOME_A_WEEK = 0.04
HOMES = 28  # behind a port


class Home(NamedTuple):
    """A customer: their port, compound and grid, and reports a week."""

    who: UUID
    places: tuple[Place, ...]
    a_week: float


class Outage(NamedTuple):
    """A known outage: where, and the orders that it brought."""

    district: int
    place: Place
    began: datetime
    orders: frozenset[UUID]


@dataclass
class World:
    """A made stream: homes by district, reports by district in the order of time, known outages."""

    homes: list[list[Home]]
    reports: list[list[Report]] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)


def world(plan: Plan) -> World:
    """Make a world; the same plan makes the same."""
    dice = Random(plan.seed)
    made = World([_homes(plan, number, dice) for number in range(plan.districts)])
    hours = (plan.weeks_learned + plan.weeks_watched) * 168
    for number, homes in enumerate(made.homes):
        reports = _usual_reports(homes, hours, dice)
        for outage, brought in _outages(plan, number, homes, hours, dice):
            made.outages.append(outage)
            reports += brought
        made.reports.append(sorted(reports, key=lambda one: (one.at, one.order_id)))
    return made


def _id(dice: Random) -> UUID:
    return UUID(int=dice.getrandbits(128))


def _homes(plan: Plan, district: int, dice: Random) -> list[Home]:
    """Make a district's homes: an OLT serves five compounds or three times as many, a grid has two
    of its compounds or all of them."""
    homes, path = [], f"p.c.d{district}."
    for olt in range(plan.olts):
        ports = dice.choice((16, 32, 32, 64, 96))
        grids = [_id(dice) for _ in range(dice.choice((1, 2, 3)))]
        pace = dice.gammavariate(4, 1 / 4)
        for number in range(ports):
            compound = number // 6
            where = places_of(
                port=f"d{district}-OLT{olt}/{number // 16}/{number % 16}",
                grid_id=grids[compound % len(grids)],
                locality=f"小区{olt}-{compound}",
                district_path=path,
            )
            own = pace * dice.gammavariate(2, 1 / 2)
            homes += [Home(_id(dice), where, _HOME_A_WEEK * own) for _ in range(HOMES)]
    return homes


def _usual_reports(homes: Sequence[Home], hours: int, dice: Random) -> list[Report]:
    a_week = sum(home.a_week for home in homes)
    weights = [home.a_week for home in homes]
    mean = statistics.mean(_DAY) * (5 + 2 * _WEEKEND) / 7
    reports, storm = [], 0
    for hour in range(hours):
        # A thunderstorm every other week, for some hours.
        if dice.random() < 1 / 336:
            storm = dice.randint(2, 5)
        storm -= storm > 0
        level = _DAY[hour % 24] * (_WEEKEND if hour // 24 % 7 > 4 else 1) / mean
        expected = a_week / 168 * level * (4 if storm else 1) * dice.gammavariate(20, 1 / 20)
        for home in dice.choices(homes, weights, k=_poisson(expected, dice)):
            at = MONDAY + timedelta(hours=hour, seconds=dice.random() * 3600)
            reports.append(Report(_id(dice), at, home.who, home.places))
    return reports


def _poisson(mean: float, dice: Random) -> int:
    """Draw a number by Knuth's way; the means here are a dozen at most."""
    limit, product, count = math.exp(-mean), dice.random(), 0
    while product > limit:
        product *= dice.random()
        count += 1
    return count


def _outages(
    plan: Plan, district: int, homes: Sequence[Home], hours: int, dice: Random
) -> Iterable[tuple[Outage, list[Report]]]:
    by_place: dict[Place, list[Home]] = defaultdict(list)
    for home in homes:
        for place in home.places:
            by_place[place].append(home)
    kinds = (PlaceKind.PORT, PlaceKind.OLT, PlaceKind.COMPOUND)
    places = {kind: sorted(place for place in by_place if place.kind is kind) for kind in PlaceKind}
    for _ in range(_poisson(plan.outages_a_week * hours / 168, dice)):
        place = dice.choice(places[dice.choice(kinds)])
        # People report an outage of the night in the morning, if at all.
        day, hour = dice.randrange(hours // 24), dice.choices(range(24), _DAY)[0]
        began = MONDAY + timedelta(days=day, hours=hour, minutes=dice.random() * 60)
        most = 22 if place.kind is PlaceKind.PORT else 60
        size = min(most, len(by_place[place]), 3 + int(dice.expovariate(1 / 10)))
        brought = [
            Report(
                _id(dice),
                began + timedelta(minutes=dice.expovariate(1 / 20)),
                home.who,
                home.places,
            )
            for home in dice.sample(by_place[place], size)
        ]
        orders = frozenset(one.order_id for one in brought)
        yield Outage(district, place, began, orders), brought


# --- watching -------------------------------------------------------------------------------------


def learn(homes: Sequence[Home], reports: Iterable[Report], weeks: int) -> Usual:
    """Learn a district's usual rates as the product does, from all that was reported."""
    reports = list(reports)
    counts = Counter(place for one in reports for place in one.places)
    places = {place for home in homes for place in home.places}
    kinds = Counter(place.kind for place in places)
    totals = Counter(place.kind for one in reports for place in one.places)
    ports = Counter(olt_of(place.key) for place in places if place.kind is PlaceKind.PORT)
    around = {kind: totals[kind] / weeks / kinds[kind] for kind in kinds}
    rates: dict[Place, Rate] = {}
    for place in sorted(places, key=lambda one: -NARROWEST_FIRST[one.kind]):
        mean = around[place.kind]
        if place.kind is PlaceKind.PORT:
            olt = olt_of(place.key)
            mean = rates[Place(PlaceKind.OLT, olt)].mean / ports[olt]
        rates[place] = shrunk(counts[place], weeks, mean, 4.0)
    hours = Counter(hour_of_week(one.at) for one in reports)
    return Usual(rhythm(hours, None, 168.0), rates, len(places), len(reports) / weeks)


@dataclass
class Proposed:
    """A proposal as it went on: when it was first made, where, and all that belongs to it."""

    at: datetime
    place: Place
    surprise: float
    orders: set[UUID]
    last: datetime


Finding = Callable[[Sequence[Report], datetime], list[Burst]]


def watch(reports: Sequence[Report], begins: datetime, finding: Finding) -> list[Proposed]:
    """Look at the stream each time a report comes, and fold what is found into proposals."""
    made: dict[UUID, Proposed] = {}
    over: list[Proposed] = []
    window: list[Report] = []
    for number, one in enumerate(reports):
        window = [each for each in window if one.at - each.at < timedelta(hours=2)] + [one]
        if one.at < begins:
            continue
        old = [key for key, each in made.items() if one.at - each.last > timedelta(hours=3)]
        over += [made.pop(key) for key in old]
        bursts = finding(window, one.at)
        known = [
            Known(key, each.place, each.at, each.surprise, frozenset(each.orders))
            for key, each in made.items()
        ]
        for folded in fold(bursts, known):
            orders = {each.order_id for each in folded.burst.reports}
            if folded.into is None:
                made[UUID(int=number * 100 + len(made))] = Proposed(
                    one.at, folded.place, folded.surprise, orders, one.at
                )
                continue
            into = made[folded.into]
            into.place, into.surprise, into.last = folded.place, folded.surprise, one.at
            into.orders |= orders
            for other in folded.merged:
                into.orders |= made.pop(other).orders
    return over + list(made.values())


def by_surprise(usual: Usual, limits: Limits) -> Finding:
    """The product's own rules."""
    return lambda window, now: find(window, usual, limits, now)


def by_number(least: int) -> Finding:
    """What one would write first: so many reports of one place within an hour."""

    def finding(window: Sequence[Report], now: datetime) -> list[Burst]:
        left = [one for one in window if now - one.at < timedelta(hours=1)]
        found: list[Burst] = []
        while True:
            groups: dict[Place, list[Report]] = defaultdict(list)
            for one in left:
                for place in one.places:
                    groups[place].append(one)
            full = [
                (len({one.who for one in members}), -NARROWEST_FIRST[place.kind], place)
                for place, members in groups.items()
            ]
            most = max(full, default=(0, 0, None))
            if most[0] < least or most[2] is None:
                return found
            members = groups[most[2]]
            found.append(Burst(most[2], members[0].at, tuple(members), float(most[0])))
            gone = {one.order_id for one in members}
            left = [one for one in left if one.order_id not in gone]

    return finding


# --- judging --------------------------------------------------------------------------------------

CLASSES = (("4 to 7 in an hour", 4, 8), ("8 to 15", 8, 16), ("16 and more", 16, 10_000))


@dataclass
class Score:
    """How well a way of finding did: proposals that were right and wrong, outages found by size,
    minutes from the first report to the proposal, and how many were named by the right place."""

    right: int = 0
    wrong: int = 0
    found: Counter[int] = field(default_factory=Counter)
    there: Counter[int] = field(default_factory=Counter)
    minutes: list[float] = field(default_factory=list)
    named: int = 0

    @property
    def precision(self) -> float:
        """The share of proposals that were an outage."""
        return self.right / max(1, self.right + self.wrong)

    def recall(self, *classes: int) -> float:
        """The share of the outages of some classes of size that were proposed."""
        there = sum(self.there[each] for each in classes)
        return sum(self.found[each] for each in classes) / max(1, there)


def judge(
    made: World, begins: datetime, proposals: Sequence[Sequence[Proposed]], score: Score
) -> Score:
    """Hold proposals, by district, against the known outages.

    A proposal is right when most of its orders are of one outage; an outage is found when a right
    proposal has at least half of the orders of its first hour.
    """
    owner = {order: one for one in made.outages for order in one.orders}
    times = {one.order_id: one.at for reports in made.reports for one in reports}
    hits: dict[Outage, Proposed] = {}
    for theirs in proposals:
        for proposed in theirs:
            of = Counter(owner[order] for order in proposed.orders if order in owner)
            outage, number = of.most_common(1)[0] if of else (None, 0)
            if outage is None or 2 * number <= len(proposed.orders):
                score.wrong += 1
                continue
            score.right += 1
            known = hits.get(outage)
            if known is None or proposed.at < known.at:
                hits[outage] = proposed
    for outage in made.outages:
        at = sorted(times[order] for order in outage.orders)
        if at[0] < begins:
            continue
        hour = {order for order in outage.orders if times[order] < at[0] + timedelta(hours=1)}
        size = next((n for n, (_, low, up) in enumerate(CLASSES) if low <= len(hour) < up), None)
        if size is None:
            continue
        score.there[size] += 1
        hit = hits.get(outage)
        if hit is not None and 2 * len(hit.orders & hour) >= len(hour):
            score.found[size] += 1
            if size > 0:
                score.minutes.append((hit.at - at[0]).total_seconds() / 60)
                score.named += hit.place == outage.place
    return score


def play(plan: Plan, limits: Limits) -> tuple[Score, Score, int]:
    """Play a plan: the score of the rules, that of a fixed number with as many false alarms, and
    that number."""
    made = world(plan)
    begins = MONDAY + timedelta(weeks=plan.weeks_learned)
    watched, usual = [], []
    for homes, reports in zip(made.homes, made.reports, strict=True):
        usual.append(learn(homes, (one for one in reports if one.at < begins), plan.weeks_learned))
        watched.append([one for one in reports if one.at >= begins - timedelta(hours=2)])
    ours = judge(
        made,
        begins,
        [
            watch(reports, begins, by_surprise(each, limits))
            for reports, each in zip(watched, usual, strict=True)
        ],
        Score(),
    )
    least = 2
    while True:
        least += 1
        fixed = [watch(reports, begins, by_number(least)) for reports in watched]
        theirs = judge(made, begins, fixed, Score())
        if theirs.wrong <= ours.wrong or least > 30:
            return ours, theirs, least


async def measure(stand: Stand, plan: Plan) -> list[Figure]:
    """Play, print and return the figures with marks."""
    limits = Limits(least=4, minutes=120, false_alarms=0.2)
    with stand.console.status("watching reports"):
        ours, fixed, least = play(plan, limits)
    rows = []
    for name, score in (
        ("against its own usual rate", ours),
        (f"a fixed number ({least} in an hour)", fixed),
    ):
        rows.append(
            [
                name,
                f"{score.precision:.3f}",
                *(f"{score.recall(each):.3f}" for each in range(len(CLASSES))),
                f"{statistics.median(score.minutes or [math.nan]):.1f}",
                f"{score.named / max(1, len(score.minutes)):.2f}",
                str(score.wrong),
            ]
        )
    days = plan.weeks_watched * 7 * plan.districts
    table(
        stand.console,
        f"Outages: {sum(ours.there.values())} known ones in {days:,} days of districts",
        [
            "",
            "precision",
            *(f"recall, {name}" for name, _, _ in CLASSES),
            "minutes to it",
            "right place",
            "false",
        ],
        rows,
    )
    return [
        Figure("outages proposed that are some", ours.precision, "", at_least=0.9),
        Figure("outages of 8 and more an hour found", ours.recall(1, 2), "", at_least=0.9),
    ]
