"""The growth report: coverage with what it is made of, blocks, and the next best neighbours."""

from datetime import date

import pytest
from sqlalchemy import insert, select, text

from app.auth.models import OrgUnit
from app.auth.rules import Role
from app.core.db import new_id
from app.core.parameter_values import ParameterValue
from app.grids.models import Grid, GridContract, GridNeighbour
from app.grids.rules import GridStage
from app.territory.queries import growth
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.counting import counted
from tests.make.customers import AS_OF
from tests.make.grids import make_contract, make_grid, make_membership, make_neighbours
from tests.make.technicians import make_technician
from tests.make.territory import settle


@pytest.fixture
async def town(tx, branch, district):
    """Two branches: east has A0-A1-A2-A3 on a road, A2 empty; west has W1, covered, beside A3."""
    west = await make_org_unit(tx, code="west", parent=district)
    people = await make_technician(tx, org_unit=branch)
    grids = {}
    for code, unit, stage, customers, primary in (
        ("A0", branch, GridStage.COVERED, 3, True),
        ("A1", branch, GridStage.CONTRACTED, 4, False),
        ("A2", branch, GridStage.PILOT, 5, True),
        ("A3", branch, GridStage.COVERED, 6, True),
        ("A4", branch, None, 2, False),
        ("W1", west, GridStage.COVERED, 7, True),
    ):
        grid = grids[code] = await make_grid(tx, org_unit=unit, code=code, name=f"片区{code}")
        if stage is not None:
            await make_contract(tx, grid, stage)
        if primary:
            await make_membership(tx, grid, people)
        await settle(tx, unit, grid, customers)
    road = [(grids[f"A{n}"], grids[f"A{n + 1}"]) for n in range(3)]
    await make_neighbours(tx, *road, (grids["A3"], grids["W1"]), metres=20)
    await make_neighbours(tx, (grids["A0"], grids["A4"]), metres=45)  # across a wide river
    await settle(tx, branch, None, 5)
    await settle(tx, west, None, 1)
    await settle(tx, branch, None, 8, located=False)
    return grids


@pytest.fixture
def report(http, app, district):
    """The report as the district's supervisor reads it, or somebody else."""

    async def read(unit=None, **query):
        headers = bearer(app, caller_for(Role.SUPERVISOR, unit or district))
        answer = await http.get("/v1/territory/growth", params=query, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return read


def figure(unit, name):
    return unit[name]["numerator"], unit[name]["denominator"]


def shown(answer):
    return (
        [(block["customers"], [g["code"] for g in block["grids"]]) for block in answer["blocks"]],
        [(one["code"], one["joins"], one["customers"]) for one in answer["next"]],
    )


async def test_figures_of_a_district_and_its_branches(town, report):
    answer = await report()
    whole, east, west = answer["units"]
    assert [unit["code"] for unit in answer["units"]] == ["ns", "east", "west"]
    assert whole["stages"] == {"none": 1, "pilot": 1, "covered": 3, "contracted": 1}
    # In no grid: five of east and one of west; the eight of unknown place are left out and told.
    assert figure(whole, "grid_coverage") == (3 + 5 + 6 + 7, 27 + 6)
    assert figure(whole, "covered_share") == (3 + 4 + 6 + 7, 27 + 6)
    assert figure(whole, "in_grids") == (27, 33)
    assert figure(east, "grid_coverage") == (14, 20 + 5)
    assert figure(west, "grid_coverage") == (7, 8)
    assert west["grid_coverage"]["value"] == 7 / 8
    (left_out,) = east["grid_coverage"]["exclusions"]
    assert (left_out["what"], left_out["count"]) == ("not_located", 8)
    assert west["grid_coverage"]["exclusions"][0]["count"] == 0
    # A3 and W1 are one block of the district, and one each of their branches.
    assert (whole["blocks"], east["blocks"], west["blocks"]) == (2, 2, 1)
    assert (whole["largest_block"], east["largest_block"]) == (13, 7)


async def test_blocks_and_what_joins_them(town, report):
    answer = await report()
    assert shown(answer) == ([(13, ["A3", "W1"]), (7, ["A0", "A1"])], [("A2", [1, 2], 5)])
    (best,) = answer["next"]
    assert (best["grids_after"], best["customers_after"]) == (5, 25)
    assert (best["stage"], best["has_primary"]) == ("pilot", True)
    by_primary = await report(covered_by="primary")
    assert shown(by_primary) == (
        [(18, ["A2", "A3", "W1"]), (3, ["A0"])],
        [("A1", [1, 2], 4)],
    )


async def test_a_border_is_shared_up_to_so_many_metres(tx, town, report, district):
    tx.add(
        ParameterValue(
            name="grids.shared_border_m",
            org_path=district.path,
            valid_from=AS_OF,
            value=50,
        )
    )
    await tx.flush()
    answer = await report(rank_by="customers")
    assert answer["shared_border_m"] == 50
    assert [one["code"] for one in answer["next"]] == ["A2", "A4"]


async def test_a_day_gone_by_has_the_stages_and_primaries_of_then(tx, town, report):
    await make_contract(
        tx,
        town["A4"],
        valid_from=date(2024, 1, 1),
        valid_to=date(2024, 6, 1),
        stage=GridStage.COVERED,
    )
    answer = await report(on="2024-03-01")
    whole = answer["units"][0]
    assert figure(whole, "grid_coverage") == (0, 33)
    assert figure(whole, "covered_share") == (2, 33)
    assert shown(answer)[0] == [(2, ["A4"])]
    told = [one["what"] for one in whole["grid_coverage"]["exclusions"]]
    assert told == ["not_located", "as_of_today"]


async def test_ones_own_part_and_no_other(town, report, branch, http, app):
    answer = await report(branch)
    assert [unit["code"] for unit in answer["units"]] == ["east"]
    assert shown(answer)[0] == [(7, ["A0", "A1"]), (6, ["A3"])]
    headers = bearer(app, caller_for(Role.SUPERVISOR, branch))
    for code in ("west", "ns", "nowhere"):
        url = f"/v1/territory/growth?org_unit_code={code}"
        assert (await http.get(url, headers=headers)).status_code == 404
    phone = bearer(app, caller_for(Role.TECHNICIAN, branch, technician_id=new_id()))
    assert (await http.get("/v1/territory/growth", headers=phone)).status_code == 403


async def test_a_retired_grid_is_no_ground(tx, town, report, clock):
    town["A3"].retired_at = clock.now()
    await tx.flush()
    assert shown(await report())[0] == [(7, ["A0", "A1"]), (7, ["W1"])]


async def test_an_org_unit_without_anything(tx, report, district):
    answer = await report(await make_org_unit(tx, parent=district))
    (whole,) = answer["units"]
    assert figure(whole, "grid_coverage") == (0, 0)
    assert whole["grid_coverage"]["value"] is None
    assert (answer["blocks"], answer["next"]) == ([], [])


async def test_many_outside_are_looked_up_anew_when_their_number_changes(
    tx, town, report, branch, monkeypatch
):
    monkeypatch.setattr("app.territory.queries.growth.KEPT_FROM", 1)
    for more in (0, 3):
        if more:
            await settle(tx, branch, None, more)
        for _ in range(2):
            assert figure((await report())["units"][0], "in_grids") == (27, 33 + more)


async def test_few_statements_however_many_grids(tx, database, town, report, branch):
    await report()
    with counted(database) as few:
        await report()
    for n in range(12):
        grid = await make_grid(tx, org_unit=branch, code=f"B{n}")
        await settle(tx, branch, grid, 2)
    await make_org_unit(tx, parent=await tx.get_one(OrgUnit, branch.parent_id))
    with counted(database) as more:
        await report()
    assert len(more) == len(few) <= 6


# --- a real map -----------------------------------------------------------------------------------


async def test_bostons_precincts(tx, boston, http, supervisor, branch):
    """253 real precincts: every third covered; the report agrees with a walk over the borders."""
    assert boston.status_code == 200
    rows = (await tx.execute(select(Grid.id, Grid.code).order_by(Grid.code))).all()
    covered = {row.id for n, row in enumerate(rows) if n % 3 == 0}
    await tx.execute(
        insert(GridContract),
        [
            {"grid_id": one, "stage": GridStage.COVERED, "valid_from": date(2025, 1, 1)}
            for one in covered
        ],
    )
    near = select(GridNeighbour.grid_id, GridNeighbour.neighbour_id).where(
        GridNeighbour.distance_m <= 30
    )
    borders = [tuple(row) for row in await tx.execute(near)]
    answer = await http.get("/v1/territory/growth?top=200", headers=supervisor)
    grown = answer.json()
    codes = {row.id: row.code for row in rows}
    block_of = {g["code"]: block["number"] for block in grown["blocks"] for g in block["grids"]}
    assert len(block_of) == len(covered) == grown["units"][0]["stages"]["covered"]
    beside: dict[str, set[int]] = {}
    for one, other in borders:
        if one in covered and other in covered:
            assert block_of[codes[one]] == block_of[codes[other]]
        elif one in covered:
            beside.setdefault(codes[other], set()).add(block_of[codes[one]])
    told = {one["code"]: set(one["joins"]) for one in grown["next"]}
    assert told == beside
    joins = [len(one["joins"]) for one in grown["next"]]
    assert joins == sorted(joins, reverse=True)
    assert joins[0] > 1


# --- along an index -------------------------------------------------------------------------------


@pytest.mark.unused_database
async def test_customers_are_counted_along_an_index(tx, town):
    """Whatever the planner thinks of a small table: the index alone is enough to count."""
    await tx.execute(text("SET LOCAL enable_seqscan = off"))
    await tx.execute(text("SET LOCAL enable_bitmapscan = off"))
    plan = "\n".join(
        await tx.scalars(
            text(f"EXPLAIN {growth._PLOTS.text}"),
            {"path": "ns.", "on": date(2026, 3, 2), "shared_border_m": 30},
        )
    )
    assert "Index Only Scan using ix_address_grid_grid" in plan
    assert "pk_grid_neighbour" in plan
