"""The field: households, what happens to them day by day, and the visits at which one may offer.

Everything is drawn by one seed before any policy plays, with the dice of each visit: whatever is
offered, the same technician is in the same mood before the same customer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from benchmarks.suggestions import people
from benchmarks.suggestions.offers import Offering, offerings
from benchmarks.suggestions.offline import leaving_foretold
from benchmarks.suggestions.people import Household, Row
from benchmarks.suggestions.truth import Truth, truth_of, unhappy

ZONE = ZoneInfo("Asia/Shanghai")
FIRST_DAY = date(2026, 8, 31)
VISITS_A_YEAR = 5.0
# Five million visits of a million customers a year, as one province has them.
WORK_TYPES = {"repair": 0.55, "install": 0.2, "care": 0.15, "relocate": 0.1}
COMES_BACK = 0.12
ASKED_TOO_EARLY = 0.04

SALES_A_YEAR, SERVICE_A_YEAR, FAULTS_A_YEAR, COMPLAINTS_A_YEAR = 3.0, 1.5, 0.4, 0.15
# In a field full of trouble: so many times the faults and complaints, the share of repairs that
# come back, and the share of those waiting for a repair who call again meanwhile.
TROUBLE, COMES_BACK_OFTEN, CALLS_AGAIN = 4, 0.4, 0.5
TECHNICIANS = 60


@dataclass(frozen=True)
class Event:
    """A contact outside visits: `sales`, `service`, `fault`, `complaint`, or `do_not_disturb`."""

    at: datetime
    home: int
    kind: str
    closed_at: datetime | None = None


@dataclass(frozen=True)
class Dice:
    """What fate has in store for one visit, each in 0..1 but the mood, which is a logit."""

    mood: float
    pitches: float
    chooses: float
    accepts: float
    keeps: float
    annoys: float
    reasons: float


@dataclass(frozen=True)
class Visit:
    """One visit: when suggestions are asked for, in which state of the work, and its dice."""

    number: int
    at: datetime
    home: int
    technician: int
    work_type: str
    reported_at: datetime
    restored: bool
    order_pending: bool
    dice: Dice


@dataclass(frozen=True)
class Field:
    """A field to play in; `said` tells what it was made from."""

    said: str
    homes: Sequence[Household]
    offers: Sequence[Offering]
    truth: Truth
    events: Sequence[Event]
    visits: Sequence[Visit]
    calls: Sequence[Row]

    @cached_property
    def place(self) -> Mapping[str, int]:
        """The place of each offer among all, by its code."""
        return {offer.code: at for at, offer in enumerate(self.offers)}

    @property
    def published(self) -> bool:
        """Tell whether the households come from published rows."""
        return not self.said.startswith("made")


def local(day: date, hours: float) -> datetime:
    """Return a moment of a local day, so many hours after midnight."""
    return datetime.combine(day, time(), ZONE).astimezone(UTC) + timedelta(hours=hours)


def local_day(at: datetime) -> date:
    """Return the local day of a moment."""
    return at.astimezone(ZONE).date()


def field_of(
    folder: Path, decisions: int, *, copies: int = 4, seed: int = 1, troubled: bool = False
) -> Field:
    """Make a field with so many visits; without the published rows, from made ones.

    In a troubled field faults come back and people call again and complain far more often, so that
    few visits show whether a rule of those is ever broken.
    """
    rows = people.rows_of(folder, people.TELCO)
    calls = people.rows_of(folder, people.BANK)
    said = f"{len(rows):,} published customers, each {copies} times"
    if not rows:
        rows, said = people.made_rows(600, seed), "made rows, for want of the published ones"
    _, leaves = leaving_foretold(rows, seed)
    homes = people.households(rows, leaves, copies, FIRST_DAY, seed)
    offers = offerings(FIRST_DAY)
    visits = _visits(homes, decisions, seed, COMES_BACK_OFTEN if troubled else COMES_BACK)
    last = local_day(visits[-1].at)
    open_share = _still_open(people.rows_of(folder, people.COMPLAINTS))
    events = _events(homes, last, open_share, visits, seed, troubled)
    return Field(
        said, homes, offers, truth_of(homes, offers, calls, FIRST_DAY, seed), events, visits, calls
    )


def _still_open(complaints: Sequence[Row]) -> float:
    """Tell which share of complaints is never closed within the time of the field."""
    if not complaints:
        return 0.2
    return sum(row["Status"] in ("Open", "Pending") for row in complaints) / len(complaints)


def _visits(homes: Sequence[Household], count: int, seed: int, comes_back: float) -> list[Visit]:
    dice = np.random.default_rng((seed, 4))
    days = max(1, round(count / (len(homes) * VISITS_A_YEAR / 365)))
    drawn: list[tuple[datetime, int, str]] = []
    while len(drawn) < count:
        at = local(FIRST_DAY + timedelta(days=int(dice.integers(days))), dice.uniform(8.5, 19.5))
        home = int(dice.integers(len(homes)))
        work = str(dice.choice(list(WORK_TYPES), p=list(WORK_TYPES.values())))
        drawn.append((at, home, work))
        if work == "repair" and dice.random() < comes_back:
            back = at + timedelta(days=int(dice.integers(1, 25)))
            if local_day(back) < FIRST_DAY + timedelta(days=days):
                drawn.append((back, home, "repair"))
    drawn = sorted(drawn)[:count]
    return [
        Visit(
            number=n,
            at=at,
            home=home,
            technician=int(dice.integers(TECHNICIANS)),
            work_type=work,
            reported_at=at - timedelta(hours=float(dice.uniform(2, 40))),
            restored=work != "repair" or dice.random() > ASKED_TOO_EARLY,
            order_pending=dice.random() < 0.02,
            dice=Dice(float(dice.normal(0, 0.5)), *dice.random(6).tolist()),
        )
        for n, (at, home, work) in enumerate(drawn)
    ]


def _events(
    homes: Sequence[Household],
    last: date,
    open_share: float,
    visits: Sequence[Visit],
    seed: int,
    troubled: bool,
) -> list[Event]:
    dice = np.random.default_rng((seed, 5))
    first = FIRST_DAY - timedelta(days=365)
    years = ((last - first).days + 1) / 365
    often = TROUBLE if troubled else 1
    events: list[Event] = []

    def moments(a_year: float) -> list[datetime]:
        count = int(dice.poisson(a_year * years))
        days = (last - first).days + 1
        return [
            # Before the first visit of a day, so that it is in the books when somebody asks.
            local(first + timedelta(days=int(dice.integers(days))), dice.uniform(6, 8))
            for _ in range(count)
        ]

    for home in homes:
        n = home.number
        # Some are called far more often than others.
        events += [Event(at, n, "sales") for at in moments(SALES_A_YEAR * float(dice.gamma(1.0)))]
        events += [Event(at, n, "service") for at in moments(SERVICE_A_YEAR)]
        events += [Event(at, n, "fault") for at in moments(often * FAULTS_A_YEAR)]
        for at in moments(often * COMPLAINTS_A_YEAR * (4 if unhappy(home) else 1)):
            closed = at + timedelta(days=float(dice.uniform(0.5, 20)))
            # What was never closed a year ago is closed by now.
            stays = dice.random() < open_share and local_day(at) > FIRST_DAY - timedelta(days=60)
            events.append(Event(at, n, "complaint", None if stays else closed))
        if dice.random() < 0.01:
            day = FIRST_DAY + timedelta(days=int(dice.integers((last - FIRST_DAY).days + 1)))
            events.append(Event(local(day, 3), n, "do_not_disturb"))
    # Who has a fault often calls before the order is made: a call about the very same fault.
    events += [
        Event(visit.reported_at - timedelta(minutes=10), visit.home, "fault")
        for visit in visits
        if visit.work_type == "repair" and visit.dice.reasons < 0.3
    ]
    if troubled:
        events += [
            Event(visit.reported_at + visit.dice.annoys * waited, visit.home, "fault")
            for visit in visits
            if visit.work_type == "repair" and visit.dice.keeps < CALLS_AGAIN
            for waited in [visit.at - visit.reported_at]
        ]
    return sorted(events, key=lambda event: (event.at, event.home))
