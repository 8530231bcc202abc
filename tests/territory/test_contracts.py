"""Grids enter stages through the API, alone and many at once; the history tells it."""

import asyncio
from datetime import date, timedelta

import pytest
from sqlalchemy import func, select

from app.auth.rules import Role
from app.core.db import new_id
from app.grids.models import Grid, GridContract
from app.grids.rules import GridStage
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.counting import counted
from tests.make.grids import make_contract, make_grid
from tests.make.races import until_waiting
from tests.make.redraw import ACROSS, command, part
from tests.make.technicians import make_technician


@pytest.fixture
async def grid(tx, branch):
    return await make_grid(tx, org_unit=branch, code="A1", name="碧波园")


def stage(name, since="2026-03-02", **fields):
    return {"id": str(new_id()), "stage": name, "valid_from": since, **fields}


@pytest.fixture
def begin(http, supervisor, grid):
    """Let the grid enter a stage, as the branch's supervisor."""

    async def send(body, *, of=None, headers=None):
        url = f"/v1/grids/{(of or grid).id}/contracts"
        return await http.post(url, json=body, headers=headers or supervisor)

    return send


@pytest.fixture
def bulk(http, supervisor):
    async def send(lines, **fields):
        body = {"contracts": lines, **fields}
        return await http.post("/v1/contracts/bulk", json=body, headers=supervisor)

    return send


@pytest.fixture
def end(http, supervisor):
    async def send(contract_id, day, *, reason="承包人退出", headers=None, **fields):
        return await http.post(
            f"/v1/contracts/{contract_id}/end",
            json={"valid_to": day, "reason": reason, **fields},
            headers=headers or supervisor,
        )

    return send


@pytest.fixture
def history(http, supervisor, grid):
    """The grid's stages, the latest begun first."""

    async def read():
        answer = await http.get(f"/v1/grids/{grid.id}/contracts", headers=supervisor)
        return [
            (one["stage"], one["valid_from"], one["valid_to"]) for one in answer.json()["contracts"]
        ]

    return read


def slug(answer):
    return answer.json()["type"].removeprefix("urn:yingwei:problem:")


async def many(tx):
    return await tx.scalar(select(func.count()).select_from(GridContract))


# --- beginning ------------------------------------------------------------------------------------


async def test_a_grid_grows_stage_by_stage(http, tx, begin, history, supervisor, branch, grid):
    li = await make_technician(tx, org_unit=branch, code="T1", name="李师傅")
    first = await begin(stage("pilot"))
    assert first.status_code == 201
    assert await history() == [("pilot", "2026-03-02", None)]
    await begin(stage("covered", "2026-06-01", target_customers=300, target_on="2026-12-31"))
    held = stage("contracted", "2027-01-01", valid_to="2028-01-01", technician_id=str(li.id))
    answer = await begin(held)
    assert answer.json()["technician_id"] == str(li.id)
    assert await history() == [
        ("contracted", "2027-01-01", "2028-01-01"),
        ("covered", "2026-06-01", "2027-01-01"),
        ("pilot", "2026-03-02", "2026-06-01"),
    ]
    listed = await http.get("/v1/contracts?stage=contracted", headers=supervisor)
    (one,) = listed.json()["contracts"]
    assert (one["grid_code"], one["technician_code"], one["technician_name"]) == (
        "A1",
        "T1",
        "李师傅",
    )
    shown = await http.get(f"/v1/grids/{grid.id}", headers=supervisor)
    assert shown.json()["stage"] == "pilot"


async def test_the_same_again_is_answered_alike_even_after_the_next_has_begun(
    tx, begin, history, clock
):
    body = stage("pilot")
    first, again = await begin(body), await begin(body)
    assert (again.status_code, again.json()) == (201, first.json())
    await begin(stage("covered", "2026-03-04"))
    clock.tick(timedelta(days=30))  # the phone lay in a drawer; its day has gone by
    late = await begin(body)
    assert late.status_code == 201
    assert late.json() == first.json() | {"valid_to": "2026-03-04"}
    other = await begin(body | {"stage": "covered"})
    assert (other.status_code, slug(other)) == (409, "same-id-other-content")
    longer = await begin(body | {"valid_to": "2026-03-03"})
    assert (longer.status_code, slug(longer)) == (409, "same-id-other-content")
    assert await many(tx) == 2


async def test_falling_back_says_why_and_the_past_stays(begin, history):
    await begin(stage("covered"))
    refused = await begin(stage("pilot", "2026-05-01"))
    assert (refused.status_code, slug(refused)) == (422, "falling-back-needs-reason")
    assert refused.json()["facts"] == {"stage_before": "covered", "stage": "pilot"}
    past = await begin(stage("contracted", "2026-03-01", contractor="通达"))
    assert (past.status_code, slug(past)) == (422, "contractor-unknown")
    past = await begin(stage("covered", "2026-03-01"))
    assert (past.status_code, slug(past)) == (409, "retroactive")
    assert (await begin(stage("pilot", "2026-05-01", note="人员不足"))).status_code == 201
    assert await history() == [
        ("pilot", "2026-05-01", None),
        ("covered", "2026-03-02", "2026-05-01"),
    ]


async def test_a_mistake_is_mended_by_beginning_again_from_the_same_day(begin, history):
    await begin(stage("covered"))
    assert (await begin(stage("pilot"))).status_code == 201
    assert await history() == [
        ("pilot", "2026-03-02", None),
        ("covered", "2026-03-02", "2026-03-02"),
    ]


async def test_what_is_planned_is_named(begin):
    await begin(stage("pilot"))
    planned = await begin(stage("covered", "2026-09-01"))
    refused = await begin(stage("contracted", "2026-06-01", contractor="通达"))
    assert slug(refused) == "contractor-unknown"
    refused = await begin(stage("covered", "2026-06-01"))
    assert (refused.status_code, slug(refused)) == (409, "stage-planned-later")
    assert refused.json()["facts"] == {
        "contract_id": planned.json()["id"],
        "planned_stage": "covered",
        "planned_from": "2026-09-01",
    }
    assert (await begin(stage("covered", "2026-06-01", valid_to="2026-09-01"))).status_code == 201


async def test_a_contract_is_held_by_somebody_who_works_here(tx, begin, branch, district):
    left = await make_technician(tx, org_unit=branch, active=False, contractor="恒信")
    here = await make_technician(tx, org_unit=branch, contractor="通达")
    elsewhere = await make_technician(tx, org_unit=district, contractor="远方")
    cases = [
        ({}, 422, "contract-needs-holder"),
        ({"technician_id": str(here.id), "contractor": "通达"}, 422, "contract-needs-holder"),
        ({"technician_id": str(left.id)}, 409, "holder-inactive"),
        ({"technician_id": str(elsewhere.id)}, 404, "not-found"),
        ({"contractor": "远方"}, 422, "contractor-unknown"),
        ({"contractor": "恒信"}, 422, "contractor-unknown"),
        ({"contractor": "通大"}, 422, "contractor-unknown"),
    ]
    for holder, status, name in cases:
        answer = await begin(stage("contracted", **holder))
        assert (answer.status_code, slug(answer)) == (status, name), holder
    assert answer.json()["facts"]["known"] == ["通达"]
    assert "known are: 通达" in answer.json()["detail"]
    assert (await begin(stage("contracted", contractor="通达"))).status_code == 201


@pytest.mark.parametrize(
    "fields, field",
    [
        ({"valid_to": "2026-03-02"}, "valid_to"),
        ({"stage": "grown"}, "stage"),
        ({"target_customers": 10}, "target_on"),
        ({"target_customers": -1, "target_on": "2027-01-01"}, "target_customers"),
        ({"note": "x" * 2001}, "note"),
        ({"grid_id": "01956f3a-7c00-7000-8000-00000000000b"}, "grid_id"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_field(tx, begin, fields, field):
    answer = await begin(stage("covered") | fields)
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["facts"]["errors"]] == [field]
    assert await many(tx) == 0


# --- ending ---------------------------------------------------------------------------------------


async def test_a_stage_ends_with_a_reason(begin, end, history, clock):
    body = stage("covered")
    await begin(body)
    first, again = await end(body["id"], "2026-06-01"), await end(body["id"], "2026-06-01")
    assert first.status_code == 200
    assert first.json()["end_reason"] == "承包人退出"
    assert again.json() == first.json()
    assert (await end(body["id"], "2026-07-01")).status_code == 422
    assert (await end(body["id"], "2026-05-01", reason="")).status_code == 422
    clock.tick(timedelta(days=10))
    past = await end(body["id"], "2026-03-10")
    assert (past.status_code, slug(past)) == (409, "retroactive")
    assert (await end(body["id"], "2026-03-10", retroactive=True)).status_code == 200
    assert await history() == [("covered", "2026-03-02", "2026-03-10")]


# --- many at once ---------------------------------------------------------------------------------


async def test_a_rollout_stages_fifty_grids_in_a_few_statements(tx, database, bulk, branch):
    grids = [await make_grid(tx, org_unit=branch, lon=112 + n / 50) for n in range(50)]
    li = await make_technician(tx, org_unit=branch, contractor="通达")
    for grid in grids[:25]:
        await make_contract(tx, grid, GridStage.PILOT)
    lines = [
        {
            "grid_id": str(grid.id),
            **stage("contracted", target_customers=100 + n, target_on="2026-12-31"),
            **({"technician_id": str(li.id)} if n % 2 else {"contractor": "通达"}),
        }
        for n, grid in enumerate(grids)
    ]
    tx.expunge_all()
    with counted(database) as few:
        one = await bulk(lines[:1])
    assert one.status_code == 201
    with counted(database) as all_of_them:
        answer = await bulk(lines)
    assert answer.status_code == 201
    assert [row["grid_id"] for row in answer.json()["contracts"]] == [x["grid_id"] for x in lines]
    assert len(all_of_them) <= len(few) + 1  # both kinds of holder are looked up
    assert len(few) <= 9
    again = await bulk(lines)
    assert (again.status_code, again.json()) == (201, answer.json())


async def test_one_that_cannot_be_stops_all_and_is_named(tx, bulk, branch, grid):
    other = await make_grid(tx, org_unit=branch, code="A2")
    await make_contract(tx, other, GridStage.CONTRACTED)
    stranger = await make_grid(tx)
    answer = await bulk(
        [
            {"grid_id": str(one.id), **stage("covered", day)}
            for one, day in (
                (grid, "2026-03-02"),
                (other, "2026-03-02"),
                (stranger, "2026-03-02"),
                (grid, "2026-03-01"),
            )
        ]
    )
    assert (answer.status_code, slug(answer)) == (409, "contracts-refused")
    named = [(line["index"], line["problem"]) for line in answer.json()["facts"]["lines"]]
    assert named == [(1, "falling-back-needs-reason"), (2, "not-found"), (3, "retroactive")]
    assert answer.json()["facts"]["lines"][1]["grid_id"] == str(stranger.id)
    assert await many(tx) == 1


async def test_one_grid_may_be_given_its_next_years_at_once(bulk, history, grid):
    lines = [
        {"grid_id": str(grid.id), **stage(name, day)}
        for name, day in (
            ("pilot", "2026-03-02"),
            ("covered", "2026-07-01"),
            ("covered", "2027-07-01"),
        )
    ]
    assert (await bulk(lines)).status_code == 201
    assert await history() == [
        ("covered", "2027-07-01", None),
        ("covered", "2026-07-01", "2027-07-01"),
        ("pilot", "2026-03-02", "2026-07-01"),
    ]


# --- redrawn ------------------------------------------------------------------------------------


async def test_the_new_parts_of_a_split_grid_keep_its_stage_and_holder(land):
    """Targets stay with the grid that keeps its code; what is past stays there, too."""
    first, day = date(2025, 1, 1), date(2026, 5, 1)
    await make_contract(land.tx, land.a, GridStage.PILOT, valid_from=first, valid_to=first)
    await make_contract(
        land.tx,
        land.a,
        GridStage.CONTRACTED,
        valid_to=day,
        contractor="通达",
        target_customers=90,
        target_on=day,
    )
    await make_contract(land.tx, land.a, valid_from=day)
    await land.supervisor.make(command("split", land.a, line=ACROSS, parts=[part("A2")]))
    columns = (GridContract.stage, GridContract.valid_from, GridContract.valid_to)
    rows = await land.tx.execute(
        select(*columns, GridContract.contractor, GridContract.target_customers)
        .join(Grid, Grid.id == GridContract.grid_id)
        .where(Grid.code == "A2")
        .order_by(GridContract.valid_from)
    )
    assert [tuple(row) for row in rows] == [
        ("contracted", date(2026, 3, 2), day, "通达", None),
        ("covered", day, None, None, None),
    ]


# --- who may, and of whom -------------------------------------------------------------------------


async def test_others_grids_and_contracts_are_not_found(
    app, http, tx, begin, end, branch, grid, supervisor
):
    west = await make_org_unit(tx, code="west")
    theirs = await make_grid(tx, org_unit=west, code="W1")
    contract = await make_contract(tx, theirs)
    assert (await begin(stage("covered"), of=theirs)).status_code == 404
    assert (await end(contract.id, "2026-06-01")).status_code == 404
    assert (await end(new_id(), "2026-06-01")).status_code == 404
    listed = await http.get(f"/v1/grids/{theirs.id}/contracts", headers=supervisor)
    assert listed.status_code == 404
    assert (await http.get("/v1/contracts", headers=supervisor)).json()["contracts"] == []
    phone = bearer(app, caller_for(Role.TECHNICIAN, branch, technician_id=new_id()))
    assert (await begin(stage("covered"), headers=phone)).status_code == 403


async def test_a_retired_grid_enters_no_stage(tx, begin, clock, grid):
    grid.retired_at = clock.now()
    await tx.flush()
    assert (await begin(stage("covered"))).status_code == 404


async def test_lists_are_paged_and_narrowed(http, tx, supervisor, branch):
    grids = [await make_grid(tx, org_unit=branch, code=f"A{n}") for n in range(3)]
    await make_technician(tx, org_unit=branch, contractor="通达")
    for n, grid in enumerate(grids):
        await make_contract(
            tx,
            grid,
            GridStage.CONTRACTED if n else GridStage.PILOT,
            contractor="通达" if n else None,
            valid_to=None if n == 2 else grid.created_at.date().replace(2026, 4, 1 + n),
        )

    async def codes(**query):
        answer = await http.get("/v1/contracts", params=query, headers=supervisor)
        assert answer.status_code == 200
        rows = [one["grid_code"] for one in answer.json()["contracts"]]
        return rows, answer.json()["next_page_token"]

    first, token = await codes(size=2)
    rest, none = await codes(size=2, page_token=token)
    assert sorted(first + rest) == ["A0", "A1", "A2"] and none is None
    assert (await codes(contractor="通达", ending_before="2026-05-01"))[0] == ["A1"]
    assert (await codes(stage="pilot"))[0] == ["A0"]
    assert (await codes(on="2026-04-01", ending_before="2026-05-01"))[0] == ["A1"]
    assert sorted((await codes(on="2024-04-01"))[0]) == []


# --- two supervisors at the same moment -----------------------------------------------------------


async def test_of_two_stages_begun_at_once_the_second_follows_the_first(
    real_app, real_http, real_database
):
    async with real_database.begin() as tx:
        branch = await make_org_unit(tx)
        grid = await make_grid(tx, org_unit=branch)
    headers = bearer(real_app, caller_for(Role.SUPERVISOR, branch))
    url = f"/v1/grids/{grid.id}/contracts"
    bodies = [stage("pilot"), stage("covered")]
    async with real_database.begin() as holding:
        await holding.execute(select(Grid.id).where(Grid.id == grid.id).with_for_update())
        sent = asyncio.gather(*(real_http.post(url, json=body, headers=headers) for body in bodies))
        await until_waiting(real_database, number=2)
    assert [answer.status_code for answer in await sent] == [201, 201]
    answer = await real_http.get(url, headers=headers)
    open_ones = [one for one in answer.json()["contracts"] if one["valid_to"] is None]
    assert len(open_ones) == 1
    assert len(answer.json()["contracts"]) == 2
