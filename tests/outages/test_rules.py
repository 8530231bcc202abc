"""Usual rates, surprise, bursts and what they come to; and known outages of a made stream."""

import math
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.parameters import Parameters
from app.outages import rules
from app.outages.queries.rates import Counted
from app.outages.rules import (
    Burst,
    Known,
    Limits,
    OutageCause,
    OutageOver,
    OutageState,
    Place,
    PlaceKind,
    Rate,
    Report,
    Usual,
)
from app.outages.service.learning import rates_of, rhythms_of
from benchmarks import outages as stream
from tests.conftest import MONDAY_NINE, SHANGHAI

NOW = MONDAY_NINE.astimezone(SHANGHAI)
LIMITS = Limits(least=4, minutes=120, false_alarms=0.2)
DISTRICT = "gd.sz.ns."
GRID = UUID(int=77)


def report(number: int, *, port: str | None = None, minutes: float = 5, who: int = 0) -> Report:
    """A report so many minutes ago from behind a port of a compound in a grid."""
    places = rules.places_of(port=port, grid_id=GRID, locality="碧波园", district_path=DISTRICT)
    return Report(
        UUID(int=number), NOW - timedelta(minutes=minutes), UUID(int=who or 1000 + number), places
    )


# A grid in which forty reports come a day; its compound has fewer, and a port nearly none.
USUAL = Usual(
    rates={
        Place(PlaceKind.GRID, str(GRID)): Rate(1200, 4),
        Place(PlaceKind.COMPOUND, f"{DISTRICT}|碧波园"): Rate(400, 4),
        Place(PlaceKind.OLT, "OLT1"): Rate(40, 4),
        **{Place(PlaceKind.PORT, f"OLT1/0/{number}"): Rate(0.4, 4) for number in range(16)},
    },
    places=300,
    total=500.0,
)


# --- surprise -------------------------------------------------------------------------------------


def plainly(reports: int, shape: float, share: float) -> float:
    """The tail added up term by term, as one would write it down."""
    below = math.fsum(
        math.exp(
            math.lgamma(count + shape)
            - math.lgamma(shape)
            - math.lgamma(count + 1)
            + shape * math.log(1 - share)
            + count * math.log(share)
        )
        for count in range(reports)
    )
    return -math.log10(1 - below)


@pytest.mark.parametrize(
    ("reports", "rate", "weeks"),
    [(1, Rate(8, 4), 0.5), (3, Rate(2, 4), 1.0), (10, Rate(40, 4), 0.7), (2, Rate(0.5, 1), 0.3)],
)
def test_surprise_is_the_tail_of_a_negative_binomial(reports, rate, weeks):
    share = weeks / (rate.weeks + weeks)
    assert rules.surprise(reports, rate, weeks) == pytest.approx(
        plainly(reports, rate.reports, share), abs=1e-9
    )


def test_a_rate_that_is_well_known_is_as_good_as_poissons():
    mean = 2.0
    poisson = -math.log10(
        1 - math.fsum(math.exp(-mean) * mean**n / math.factorial(n) for n in range(9))
    )
    assert rules.surprise(9, Rate(2e6, 1e6), 1.0) == pytest.approx(poisson, abs=1e-3)


def test_a_rate_of_which_little_is_known_surprises_less():
    assert rules.surprise(6, Rate(1, 1), 0.01) < rules.surprise(6, Rate(100, 100), 0.01)


@given(
    st.integers(1, 200),
    st.floats(0.01, 1000),
    st.floats(0.1, 100),
    st.floats(1e-5, 2),
)
def test_more_reports_surprise_more_and_a_longer_time_less(reports, shape, weeks, window):
    rate = Rate(shape, weeks)
    here = rules.surprise(reports, rate, window)
    assert here >= 0
    assert rules.surprise(reports + 1, rate, window) >= here - 1e-9
    assert rules.surprise(reports, rate, window * 2) <= here + 1e-9


# --- rhythm ---------------------------------------------------------------------------------------


def test_an_even_rhythm_gives_every_minute_its_share():
    even = rules.rhythm({}, None, 168.0)
    assert rules.exposure(even, NOW, 90) == pytest.approx(1.5 / 168)


def test_a_window_takes_each_hour_by_its_part_and_crosses_the_week():
    monday = datetime(2026, 3, 2, 0, 30, tzinfo=SHANGHAI)
    hours = [0.0] * 168
    hours[0], hours[167] = 2.0, 4.0
    # Half of Monday's first hour, and Sunday's last one.
    assert rules.exposure(hours, monday, 90) == pytest.approx((0.5 * 2 + 1 * 4) / 168)


@given(st.dictionaries(st.integers(0, 167), st.integers(0, 500)))
def test_a_rhythm_has_the_mean_one(counts):
    learned = rules.rhythm(counts, None, 168.0)
    assert sum(learned) == pytest.approx(168)
    assert min(learned) > 0


def test_few_weeks_lean_to_the_places_around():
    assert rules.shrunk(0, 8, 1.0, 4).mean == pytest.approx(1 / 3)
    assert rules.shrunk(80, 8, 1.0, 4).mean == pytest.approx(7)


def test_a_quiet_port_is_believed_to_be_like_the_others_of_its_olt():
    def place(kind: PlaceKind, key: str, reports: int) -> Counted:
        return Counted(Place(kind, key), DISTRICT, reports)

    there = [place(PlaceKind.PORT, f"{olt}/0/{n}", 0) for olt in ("A", "B") for n in range(4)]
    there += [place(PlaceKind.OLT, olt, 0) for olt in ("A", "B")]
    counted = [place(PlaceKind.OLT, "A", 40), place(PlaceKind.PORT, "A/0/0", 40)]
    learned = rates_of(counted, there, 8.0, Parameters(NOW), NOW)
    busy, quiet, far = (learned[Place(PlaceKind.PORT, key)] for key in ("A/0/0", "A/0/1", "B/0/1"))
    assert busy.mean > quiet.mean > far.mean > 0


def test_a_district_without_reports_has_the_rhythm_of_all():
    learned = rhythms_of({"a.b.c.": {9: 100}}, [Counted(Place(PlaceKind.OLT, "A"), "d.e.f.", 0)], 2)
    assert learned["d.e.f."][0] == pytest.approx(learned["d.e.f."][0])
    assert learned["d.e.f."][0][9] > learned["d.e.f."][0][10]
    assert (learned["a.b.c."][1], learned["d.e.f."][1:]) == (50, (0, 1))


# --- bursts ---------------------------------------------------------------------------------------


def places(reports: list[Report], usual: Usual = USUAL, **more: object) -> list[tuple[str, int]]:
    """What is found: the places and how many reports each explains."""
    return [
        (one.place.key, len(one.reports))
        for one in rules.find(reports, usual, LIMITS, NOW, **more)  # type: ignore[arg-type]
    ]


@pytest.mark.parametrize(
    ("reports", "found"),
    [
        # Four homes of one port are an outage of the port, whatever else its grid has.
        ([report(n, port="OLT1/0/3") for n in range(4)], [("OLT1/0/3", 4)]),
        (
            [report(n, port="OLT1/0/3") for n in range(5)] + [report(9, port="OLT1/0/1")],
            [("OLT1/0/3", 5)],
        ),
        # Two of each of many ports are one of the OLT.
        ([report(n, port=f"OLT1/0/{n % 8}") for n in range(16)], [("OLT1", 16)]),
        # Three are too few, and four of a busy grid are its ordinary work.
        ([report(n, port="OLT1/0/3") for n in range(3)], []),
        ([report(n) for n in range(4)], []),
        # One who calls again and again is one home.
        ([report(n, port="OLT1/0/3", who=5) for n in range(6)], []),
        # What lies longer back does not count.
        ([report(n, port="OLT1/0/3", minutes=121) for n in range(9)], []),
    ],
)
def test_the_narrowest_place_that_explains_a_burst_is_found(reports, found):
    assert places(reports) == found


def test_a_compound_fails_where_no_port_is_known():
    [(key, number)] = places([report(n) for n in range(12)])
    assert (key, number) == (f"{DISTRICT}|碧波园", 12)


def test_an_outage_in_a_busy_hour_needs_more_reports():
    busy = Usual(
        tuple(40.0 if hour in (7, 8) else 128 / 166 for hour in range(168)),
        USUAL.rates,
        300,
        500.0,
    )
    reports = [report(n, port=f"OLT1/0/{n % 8}") for n in range(6)]
    assert places(reports) and not places(reports, busy)


def test_a_thunderstorm_over_the_district_is_no_outage_of_one_grid():
    elsewhere = [
        Report(UUID(int=500 + n), NOW - timedelta(minutes=30), UUID(int=5000 + n), ())
        for n in range(400)
    ]
    mine = [report(n, minutes=20) for n in range(9)]
    assert places(mine)
    assert not places(mine + elsewhere)


def test_a_place_that_was_dismissed_is_not_looked_at():
    reports = [report(n, port="OLT1/0/3") for n in range(5)]
    quiet = {Place(PlaceKind.PORT, "OLT1/0/3")}
    assert not places(reports, quiet=quiet)
    # A whole grid that was nothing hides no port of it.
    assert places(reports, quiet={Place(PlaceKind.GRID, str(GRID))}) == [("OLT1/0/3", 5)]


def test_fewer_false_alarms_ask_for_more_surprise():
    strict = Limits(4, 120, 0.002).surprise(300)
    assert strict == pytest.approx(LIMITS.surprise(300) + 2)


# --- proposals that are there ---------------------------------------------------------------------


def burst(place: Place, numbers: range, surprise: float = 10.0) -> Burst:
    """A burst of a place that explains some reports."""
    return Burst(place, NOW, tuple(report(n, port="OLT1/0/3") for n in numbers), surprise)


PORT, OLT = Place(PlaceKind.PORT, "OLT1/0/3"), Place(PlaceKind.OLT, "OLT1")
OTHER = Place(PlaceKind.PORT, "OLT1/0/4")


def known(number: int, place: Place, numbers: range, surprise: float = 8.0) -> Known:
    """A proposal of a place with some orders; lower numbers are older."""
    since = NOW - timedelta(hours=1) + timedelta(minutes=number)
    return Known(UUID(int=number), place, since, surprise, frozenset(UUID(int=n) for n in numbers))


def test_a_burst_of_a_place_that_is_proposed_goes_on_there():
    [folded] = rules.fold([burst(PORT, range(8))], [known(1, PORT, range(4))])
    assert (folded.into, folded.merged, folded.place) == (UUID(int=1), (), PORT)


def test_ports_that_fail_one_after_the_other_become_their_olt_and_one_proposal():
    there = [known(1, PORT, range(4)), known(2, OTHER, range(4, 8))]
    [folded] = rules.fold([burst(OLT, range(20))], there)
    assert (folded.into, folded.merged) == (UUID(int=1), (UUID(int=2),))
    assert (folded.place, folded.since) == (OLT, there[0].since)


def test_a_proposal_does_not_change_its_place_for_a_lesser_one():
    there = [known(1, OLT, range(4), surprise=30.0)]
    [folded] = rules.fold([burst(PORT, range(4), surprise=9.0)], there)
    assert (folded.into, folded.place, folded.surprise) == (UUID(int=1), OLT, 30.0)


def test_a_burst_elsewhere_is_another_proposal():
    [folded] = rules.fold([burst(PORT, range(10, 20))], [known(1, OTHER, range(4))])
    assert folded.into is None


def test_a_report_belongs_to_the_narrowest_outage_it_was_not_set_apart_from():
    one = report(1, port="OLT1/0/3")
    open_ = {PORT: UUID(int=1), OLT: UUID(int=2)}
    assert rules.belong(one, open_, ()) == UUID(int=1)
    assert rules.belong(one, open_, [UUID(int=1)]) == UUID(int=2)
    assert rules.belong(report(2), open_, ()) is None


# --- words and states -----------------------------------------------------------------------------


def test_an_outage_belongs_to_the_unit_of_most_of_its_reports():
    assert rules.unit_of([UUID(int=2), UUID(int=1), UUID(int=2)]) == UUID(int=2)


def test_its_middle_is_one_of_its_doors():
    points = [(112.0, 28.0), (112.01, 28.0), (112.004, 28.001)]
    assert rules.middle(points) == (112.004, 28.001)
    assert rules.middle([]) is None


@pytest.mark.parametrize("kind", list(PlaceKind))
def test_a_customer_hears_of_no_port(kind):
    ends = datetime(2026, 3, 2, 11, 30, tzinfo=SHANGHAI)
    words = rules.customer_words(kind, "碧波园", ends)
    assert ("碧波园" in words.zh) is (kind is PlaceKind.COMPOUND)
    assert "11:30" in words.zh
    assert "11:30" in words.en


@pytest.mark.parametrize("cause", list(OutageCause))
def test_the_one_order_says_where_what_and_how_many(cause):
    words = rules.parent_words(PlaceKind.OLT, "YL-OLT2", 17, cause)
    assert all(part in words.zh for part in ("YL-OLT2", "17", rules.CAUSE_WORDS[cause].zh))
    assert "17" in words.en


def test_what_is_over_cannot_be_decided_on():
    rules.check_open(OutageState.PROPOSED, *rules.OPEN)
    with pytest.raises(OutageOver) as refused:
        rules.check_open(OutageState.CLOSED, *rules.OPEN)
    assert refused.value.facts["needs"] == ["proposed", "confirmed"]


# --- a stream whose outages are known -------------------------------------------------------------


def test_known_outages_of_a_made_stream_are_found():
    ours, fixed, least = stream.play(stream.QUICK, LIMITS)
    assert ours.precision >= 0.9
    assert ours.recall(1, 2) >= 0.9
    assert ours.recall(0, 1, 2) >= fixed.recall(0, 1, 2)
    assert least > LIMITS.least


def test_the_same_plan_makes_the_same_stream():
    small = stream.Plan(districts=1, olts=2, weeks_learned=2, weeks_watched=2)
    one, other = (stream.world(small) for _ in range(2))
    assert one.outages == other.outages
    assert stream.MONDAY.tzinfo is UTC
