"""The demo city: the same for the same seed, its ground without gaps, its people believable."""

from collections import Counter
from datetime import date

import numpy as np
import pytest
import shapely

from app.core.geo import CoordSys, to_wgs84
from app.grids.layers import coverage, read_layer
from app.grids.rules import MembershipKind
from seed import words
from seed.city import DAY, SEED, build
from seed.dice import Dice, id_of
from seed.terrain import BRANCHES

# If this fails, the city is another one. When that is meant, write the new value down here: every
# machine and every Python from 3.11 on must come to it.
DIGEST = "6d98e186efbfc2bd04bbb841ae679f98398dc5106ccf2b4f4f12de6679b70812"


@pytest.fixture(scope="module")
def city():
    return build()


@pytest.fixture(scope="module")
def boundaries(city):
    """The grids' shapes in WGS-84, as the import makes them of the layers, by code."""
    shapes: dict[str, shapely.MultiPolygon] = {}
    for branch in BRANCHES:
        layer = read_layer(
            city.files[f"layers/{branch}.geojson"],
            coordsys=CoordSys.GCJ02,
            name_field="name",
            code_field="code",
        )
        assert all(not line.findings for line in layer.report)
        shapes |= layer.boundaries()
    return shapes


# --- the same seed, the same city -----------------------------------------------------------------


def test_the_city_of_the_default_seed(city):
    assert city.digest == DIGEST


def test_another_seed_is_another_city_and_another_day_another_past(city):
    other = build(seed=SEED + 1)
    assert other.digest != city.digest
    assert [grid.ring for grid in other.grids] != [grid.ring for grid in city.grids]
    later = build(today=date(2026, 3, 3))
    assert later.digest != city.digest
    assert later.grids == city.grids


def test_dice_fall_the_same_in_every_python():
    dice = Dice(1, "test")
    assert [dice.whole(1, 6) for _ in range(8)] == [5, 4, 1, 5, 2, 4, 1, 3]
    assert dice.shuffled("abcdef") == list("bfadce")
    assert str(id_of(1, "a")) == "bf1d9877-0190-8d7b-be5e-755f79d999a5"


def test_dice_are_fair():
    dice = Dice(2, "fair")
    thrown = Counter(dice.whole(1, 6) for _ in range(6000))
    assert all(850 < thrown[side] < 1150 for side in range(1, 7))
    drawn = Counter(dice.weighted({"a": 3, "b": 1}) for _ in range(4000))
    assert 2800 < drawn["a"] < 3200
    first = Counter(dice.shuffled("abc")[0] for _ in range(3000))
    assert all(850 < first[letter] < 1150 for letter in "abc")


# --- the ground -----------------------------------------------------------------------------------


def test_sixty_grids_of_four_branches(city, boundaries):
    assert len(boundaries) == len({grid.name for grid in city.grids}) == 60
    assert Counter(grid.branch for grid in city.grids) == dict.fromkeys(BRANCHES, 15)


def test_grids_leave_no_gap_and_do_not_overlap(boundaries):
    found = coverage(boundaries)
    assert (found.overlaps, found.holes) == ((), ())
    whole = shapely.union_all(list(boundaries.values()))
    assert isinstance(whole, shapely.Polygon)
    assert len(whole.interiors) == 0


def test_neighbours_share_the_very_same_points(city):
    """So no conversion can open a gap between them: each inner edge is there twice, reversed."""
    edges = Counter(
        frozenset(pair)
        for grid in city.grids
        for pair in zip(grid.ring, grid.ring[1:], strict=False)
    )
    assert set(edges.values()) == {1, 2}
    rim = [edge for edge, number in edges.items() if number == 1]
    # The lattice has 32 outer cell sides, each bent at three points.
    assert len(rim) == 32 * 4
    assert len(edges) == (8 * 9 * 2 - 8) * 4


def test_grids_are_of_the_size_of_a_neighbourhood(city):
    areas = [feature.area for feature in (grid.shape for grid in city.grids)]
    assert max(areas) < 3 * min(areas)


# --- the people -----------------------------------------------------------------------------------


def test_eighty_technicians_and_no_branch_without_a_skill(city):
    assert len(city.technicians) == 80
    for branch in BRANCHES:
        skills = {
            part.split(":")[0]
            for person in city.technicians
            if person.branch == branch
            for part in person.skills.split("; ")
        }
        assert skills == {"fibre", "iptv", "wifi", "camera", "copper", "enterprise"}


def test_each_grid_has_one_primary_and_one_or_two_backups_of_its_branch(city):
    branch_of = {person.code: person.branch for person in city.technicians}
    for grid in city.grids:
        members = [one for one in city.memberships if one.grid == grid.code]
        kinds = Counter(one.kind for one in members)
        assert kinds[MembershipKind.PRIMARY] == 1
        assert kinds[MembershipKind.BACKUP] in (1, 2)
        people = [one.technician for one in members]
        assert len(set(people)) == len(people)
        assert {branch_of[code] for code in people} == {grid.branch}


def test_some_are_primaries_of_no_grid_some_of_one_some_of_two(city):
    primaries = Counter(
        one.technician for one in city.memberships if one.kind is MembershipKind.PRIMARY
    )
    held = Counter(primaries.get(person.code, 0) for person in city.technicians)
    assert held == {0: 36, 1: 28, 2: 16}


def test_no_telephone_number_can_belong_to_anybody(city):
    numbers = [person.phone for person in city.technicians]
    numbers += [home.phone for home in city.households]
    assert all(number.startswith("154") and len(number) == 11 for number in numbers)
    assert len(set(numbers)) == len(numbers)
    mobile = [
        one.number for home in city.households for one in home.services if one.category == "mobile"
    ]
    assert mobile
    assert not set(mobile) & set(numbers)
    assert all(number.startswith("154") for number in mobile)


def test_names_and_addresses_are_chinese(city):
    for home in city.households[:200]:
        assert home.address.startswith("澄湖市南浦区")
        assert home.compound.name in home.address
    assert {words.person(Dice(1, "x")) for _ in range(3)} == {words.person(Dice(1, "x"))}


def test_five_thousand_customers_each_in_exactly_one_grid(city, boundaries):
    assert len(city.households) == 5000
    lon, lat = to_wgs84(
        np.array([home.place[0] for home in city.households]),
        np.array([home.place[1] for home in city.households]),
        CoordSys.GCJ02,
    )
    points = shapely.points(lon, lat)
    inside = np.array([shapely.contains(shape, points) for shape in boundaries.values()])
    assert (inside.sum(axis=0) == 1).all()
    codes = list(boundaries)
    meant = [home.compound.grid for home in city.households]
    assert [codes[place] for place in inside.argmax(axis=0)] == meant


def test_compounds_have_20_to_200_households_at_different_addresses(city):
    sizes = Counter(home.compound.code for home in city.households)
    assert len(sizes) == 120
    assert min(sizes.values()) >= 20
    assert max(sizes.values()) <= 200
    assert len({home.address for home in city.households}) == 5000


@pytest.mark.parametrize(
    ("what", "least", "most"),
    [
        (lambda home: home.do_not_disturb, 0.03, 0.08),
        (lambda home: home.elderly, 0.08, 0.18),
        (lambda home: home.arrears_fen is None, 0.04, 0.1),
        (lambda home: (home.arrears_fen or 0) > 0, 0.03, 0.08),
        (lambda home: home.monthly_usage_gb is None, 0.07, 0.13),
        (lambda home: home.activated_on is None, 0.01, 0.04),
        (lambda home: home.line.category == "copper", 0.01, 0.05),
        (lambda home: any(one.category == "tv" for one in home.services), 0.35, 0.55),
        (lambda home: home.contacts, 0.5, 0.65),
        (
            lambda home: (
                home.line.contract_ends_on is not None
                and 0 <= (home.line.contract_ends_on - DAY).days <= 90
            ),
            0.05,
            0.2,
        ),
    ],
)
def test_shares(city, what, least, most):
    share = sum(bool(what(home)) for home in city.households) / len(city.households)
    assert least < share < most


def test_nothing_happened_after_the_day_began(city):
    for home in city.households:
        assert home.activated_on is None or home.activated_on <= city.today
        for contact in home.contacts:
            assert contact.at < city.as_of
            assert contact.closed_at is None or contact.closed_at < city.as_of
