"""The road map: targets as data, what was reached of them, and the way so far."""

import asyncio
from datetime import date

import pytest
from sqlalchemy import select

from app.auth.models import OrgUnit
from app.auth.rules import Role
from app.core.errors import Invalid
from app.grids.models import GridExpansion
from app.grids.rules import ExpansionFigure, GridStage
from app.territory.rules import roadmap
from app.territory.rules.growth import Share
from app.territory.rules.roadmap import Measured, Target, quarter_ends
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.counting import counted
from tests.make.grids import make_contract, make_grid, make_neighbours
from tests.make.races import until_waiting
from tests.make.territory import settle

FIGURE = ExpansionFigure


# --- rules ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "today, since, first, number",
    [
        ("2026-03-02", "2026-01-01", None, 0),
        ("2026-03-31", "2025-12-31", "2025-12-31", 1),
        ("2026-04-01", "2025-12-31", "2025-12-31", 2),
        ("2026-01-01", "2025-06-15", "2025-06-30", 3),
        ("2026-03-02", "2000-01-01", "2023-03-31", 12),
        ("2026-03-02", None, None, 0),
    ],
)
def test_quarters(today, since, first, number):
    found = quarter_ends(date.fromisoformat(today), since and date.fromisoformat(since))
    assert len(found) == number
    assert found == sorted(found)
    if first is not None:
        assert found[0] == date.fromisoformat(first)


@pytest.mark.parametrize(
    "figure, target, value, reached, missing",
    [
        (FIGURE.COVERED_GRIDS, 10, 9, False, 1),
        (FIGURE.COVERED_GRIDS, 10, 10, True, 0),
        (FIGURE.COVERED_SHARE, 0.5, 0.75, True, 0),
        (FIGURE.BLOCKS, 2, 3, False, 1),
        (FIGURE.BLOCKS, 2, 1, True, 0),
        (FIGURE.BLOCKS, 2, 0, False, 0),  # nothing covered is no land grown together
    ],
)
def test_a_target_is_reached(figure, target, value, reached, missing):
    day = date(2026, 3, 2)
    measured = Measured(value, Share(0, 0))
    told = roadmap.compare(Target(figure, day, target), measured, day)
    assert (told.reached, told.missing) == (reached, missing)


@pytest.mark.parametrize(
    "figure, target, fits",
    [
        (FIGURE.COVERED_SHARE, 0.7, True),
        (FIGURE.COVERED_SHARE, 1.01, False),
        (FIGURE.COVERED_GRIDS, 7, True),
        (FIGURE.COVERED_GRIDS, 7.5, False),
        (FIGURE.BLOCKS, -1, False),
        (FIGURE.CONTRACTED_GRIDS, 1_000_001, False),
        (FIGURE.COVERED_CUSTOMERS, 1_000_001, True),
    ],
)
def test_bounds(figure, target, fits):
    given = [Target(figure, date(2026, 12, 31), target)]
    if fits:
        roadmap.check(given)
    else:
        with pytest.raises(Invalid, match="Correct") as refused:
            roadmap.check(given)
        assert refused.value.facts["errors"][0]["field"] == "figures.0.target"


# --- through the API ------------------------------------------------------------------------------


@pytest.fixture
def put(http, supervisor):
    async def send(*figures, **query):
        body = {
            "figures": [
                {"figure": figure, "due_on": due_on, "target": target}
                for figure, due_on, target in figures
            ]
        }
        return await http.put("/v1/territory/road-map", json=body, params=query, headers=supervisor)

    return send


@pytest.fixture
async def road(tx, branch):
    """Three grids in a row that were covered from both ends, the middle one at last."""
    grids = [await make_grid(tx, org_unit=branch, code=f"A{n}") for n in range(3)]
    await make_neighbours(tx, (grids[0], grids[1]), (grids[1], grids[2]))
    await make_contract(tx, grids[0], valid_from=date(2025, 5, 1), valid_to=date(2025, 11, 1))
    await make_contract(tx, grids[0], GridStage.CONTRACTED, valid_from=date(2025, 11, 1))
    await make_contract(tx, grids[2], valid_from=date(2025, 9, 30))
    await make_contract(
        tx, grids[1], GridStage.PILOT, valid_from=date(2025, 5, 1), valid_to=date(2026, 2, 1)
    )
    await make_contract(tx, grids[1], valid_from=date(2026, 2, 1))
    for grid, customers in zip(grids, (2, 3, 4), strict=True):
        await settle(tx, branch, grid, customers)
    await settle(tx, branch, None, 1)
    await settle(tx, branch, None, 7, located=False)
    return grids


async def test_targets_beside_what_was_reached_and_the_way_so_far(road, put):
    answer = await put(
        ("covered_share", "2026-12-31", 0.95),
        ("covered_customers", "2025-09-30", 7),
        ("blocks", "2025-12-31", 1),
        ("contracted_grids", "2026-03-02", 1),
    )
    assert answer.status_code == 200
    told = {one["figure"]: one for one in answer.json()["figures"]}
    share = told["covered_share"]
    assert (share["measured_on"], share["numerator"], share["denominator"]) == ("2026-03-02", 9, 10)
    assert (share["reached"], round(share["missing"], 6)) == (False, 0.05)
    # A day gone by is measured as it was: two of three grids, six customers, seven were wanted.
    then = told["covered_customers"]
    assert (then["measured_on"], then["value"], then["missing"]) == ("2025-09-30", 6, 1)
    assert (told["blocks"]["value"], told["blocks"]["reached"]) == (2, False)
    assert (told["contracted_grids"]["value"], told["contracted_grids"]["reached"]) == (1, True)
    trend = [
        (one["on"], *(one["figures"][name] for name in ("covered_grids", "blocks")))
        for one in answer.json()["trend"]
    ]
    assert trend == [
        ("2025-06-30", 1, 1),
        ("2025-09-30", 2, 2),
        ("2025-12-31", 2, 2),
        ("2026-03-02", 3, 1),
    ]
    left_out = {one["what"]: one["count"] for one in answer.json()["exclusions"]}
    assert left_out == {"not_located": 7, "as_of_today": None}


async def test_all_targets_are_set_at_once_and_what_stays_stays(tx, http, road, put, supervisor):
    await put(("covered_grids", "2026-12-31", 5), ("covered_grids", "2027-12-31", 9))
    (kept, _) = (await tx.scalars(select(GridExpansion).order_by(GridExpansion.due_on))).all()
    answer = await put(("covered_grids", "2026-12-31", 6), ("blocks", "2027-12-31", 1))
    listed = await http.get("/v1/territory/road-map", headers=supervisor)
    assert listed.json() == answer.json()
    targets = [(one["figure"], one["target"]) for one in listed.json()["figures"]]
    assert targets == [("blocks", 1), ("covered_grids", 6)]
    await tx.refresh(kept)
    assert kept.target == 6
    assert (await put()).json()["figures"] == []


@pytest.mark.parametrize(
    "figures, field",
    [
        ([("covered_share", "2026-12-31", 70)], "figures.0.target"),
        ([("covered_grids", "2026-12-31", -1)], "figures.0.target"),
        ([("blocks", "2026-12-31", 1), ("blocks", "2026-12-31", 2)], "figures.1.due_on"),
        ([("sales", "2026-12-31", 1)], "figures.0.figure"),
        ([("blocks", "2026-12-31", 1)] * 201, "figures"),
    ],
)
async def test_what_makes_no_sense_changes_nothing(http, put, supervisor, figures, field):
    await put(("blocks", "2026-12-31", 3))
    answer = await put(*figures)
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["facts"]["errors"]] == [field]
    listed = await http.get("/v1/territory/road-map", headers=supervisor)
    assert [one["target"] for one in listed.json()["figures"]] == [3]


async def test_only_of_ones_own_part(app, http, tx, put, district, branch):
    assert (await put(("blocks", "2026-12-31", 1), org_unit_code="ns")).status_code == 404
    crew = await make_org_unit(tx, code="crew", parent=branch)
    assert (await put(("blocks", "2026-12-31", 1), org_unit_code="crew")).status_code == 200
    assert await tx.scalar(select(GridExpansion.org_unit_id)) == crew.id
    phone = bearer(app, caller_for(Role.TECHNICIAN, branch))
    assert (await http.get("/v1/territory/road-map", headers=phone)).status_code == 403


async def test_few_statements_however_long_the_road(database, tx, road, put, http, supervisor):
    await put(("blocks", "2026-12-31", 1))
    with counted(database) as few:
        await http.get("/v1/territory/road-map", headers=supervisor)
    await put(*(("blocks", f"20{year}-12-31", 1) for year in range(10, 60)))
    with counted(database) as more:
        await http.get("/v1/territory/road-map", headers=supervisor)
    assert len(more) == len(few) <= 7


async def test_of_two_road_maps_set_at_once_one_is_whole(real_app, real_http, real_database):
    async with real_database.begin() as tx:
        branch = await make_org_unit(tx)
    headers = bearer(real_app, caller_for(Role.SUPERVISOR, branch))
    bodies = [
        {"figures": [{"figure": name, "due_on": "2026-12-31", "target": target}]}
        for name, target in (("blocks", 1), ("blocks", 2))
    ]
    async with real_database.begin() as holding:
        await holding.execute(select(OrgUnit.id).where(OrgUnit.id == branch.id).with_for_update())
        sent = asyncio.gather(
            *(
                real_http.put("/v1/territory/road-map", json=body, headers=headers)
                for body in bodies
            )
        )
        await until_waiting(real_database, number=2)
    assert [answer.status_code for answer in await sent] == [200, 200]
    listed = await real_http.get("/v1/territory/road-map", headers=headers)
    (one,) = listed.json()["figures"]
    assert one["target"] in (1, 2)


async def test_nobody_overwrites_targets_that_they_have_not_seen(http, supervisor):
    place = "/v1/territory/road-map"

    def put(target, tag):
        body = {"figures": [{"figure": "covered_grids", "due_on": "2026-12-31", "target": target}]}
        return http.put(place, json=body, headers={**supervisor, "if-match": tag})

    seen = (await http.get(place, headers=supervisor)).headers["etag"]
    same = await http.get(place, headers={**supervisor, "if-none-match": f"W/{seen}"})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", seen)

    assert (await put(7, seen)).status_code == 200
    late = await put(9, seen)
    assert late.status_code == 412
    now = await http.get(place, headers={**supervisor, "if-none-match": seen})
    assert [one["target"] for one in now.json()["figures"]] == [7]
    problem = late.json()
    assert problem["type"] == "urn:yingwei:problem:changed-meanwhile"
    assert problem["facts"] == {"seen": seen, "current": now.headers["etag"]}
    assert (await put(9, f'"another", {now.headers["etag"]}')).status_code == 200
    assert (await put(8, "*")).status_code == 200
