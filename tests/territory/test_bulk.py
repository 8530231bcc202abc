"""Many grids given in one command: looked at first, then all of it or nothing."""

import asyncio
from datetime import date

import pytest
from sqlalchemy import func, select

from app.auth.models import AuditEntry
from app.auth.rules import Role
from app.core.db import new_id
from app.grids.models import Grid, GridMembership
from app.grids.rules import MembershipKind
from app.workorders.rules import State
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.counting import counted
from tests.make.grids import make_grid, make_membership
from tests.make.races import until_waiting
from tests.make.residents import make_residents
from tests.make.technicians import make_technician
from tests.make.workorders import make_work_order

JAN, APRIL = "2026-01-01", "2026-04-01"


@pytest.fixture
async def grids(tx, branch):
    return [await make_grid(tx, org_unit=branch, code=f"A{n}", name=f"园{n}") for n in range(3)]


@pytest.fixture
async def li(tx, branch, grids):
    """The primary of all three grids."""
    technician = await make_technician(tx, org_unit=branch, code="T1", name="李师傅")
    for grid in grids:
        await make_membership(tx, grid, technician)
    return technician


@pytest.fixture
async def wang(tx, branch):
    return await make_technician(tx, org_unit=branch, code="T2", name="王师傅")


def to(technician, grid, **fields):
    return {
        "do": "hand_over",
        "id": str(new_id()),
        "grid_id": str(grid.id),
        "technician_id": str(technician.id),
        "valid_from": APRIL,
        **fields,
    }


def given_to(technician, grid, **fields):
    return {**to(technician, grid), "do": "assign", "kind": "primary", **fields}


@pytest.fixture
def send(http, supervisor):
    """Send a command's rows as the branch's supervisor, to be looked at or carried out."""

    async def post(rows, path="", headers=None):
        return await http.post(
            f"/v1/memberships/bulk{path}", json={"rows": rows}, headers=headers or supervisor
        )

    return post


def slug(problem):
    return problem["type"].removeprefix("urn:yingwei:problem:")


async def all_rows(tx):
    columns = (
        GridMembership.grid_id,
        GridMembership.technician_id,
        GridMembership.kind,
        GridMembership.valid_from,
        GridMembership.valid_to,
    )
    found = await tx.execute(select(*columns).order_by(GridMembership.id))
    return [tuple(row) for row in found]


# --- carried out ----------------------------------------------------------------------------------


async def test_somebody_takes_over_all_of_anothers_grids_on_a_day(tx, send, grids, li, wang):
    rows = [to(wang, grid, from_technician_id=str(li.id), ratio=80) for grid in grids]
    answer = await send(rows)
    assert answer.status_code == 200
    done = answer.json()["rows"]
    assert [one["row"] for one in done] == [1, 2, 3]
    for sent, one, grid in zip(rows, done, grids, strict=True):
        assert one["membership"] == {
            "id": sent["id"],
            "grid_id": str(grid.id),
            "technician_id": str(wang.id),
            "kind": "primary",
            "rank": 1,
            "valid_from": APRIL,
            "valid_to": None,
            "weekdays": 127,
            "ratio": 80,
        }
        assert one["predecessor"]["technician_id"] == str(li.id)
        assert one["predecessor"]["valid_to"] == APRIL
    # No day without a primary, and none with two.
    handed_on = date(2026, 4, 1)
    assert sorted(await all_rows(tx)) == sorted(
        [(grid.id, li.id, "primary", date(2025, 1, 1), handed_on) for grid in grids]
        + [(grid.id, wang.id, "primary", handed_on, None) for grid in grids]
    )


async def test_the_same_command_again_is_answered_alike(tx, send, grids, li, wang):
    rows = [
        to(wang, grids[0]),
        given_to(wang, grids[1], kind="loan", valid_to="2026-05-01", ratio=50),
        given_to(wang, grids[1], kind="backup", rank=3, weekdays=31),
    ]
    first = await send(rows)
    before = await all_rows(tx)
    again = await send(rows)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json()
    assert await all_rows(tx) == before
    looked = (await send(rows, "/preview")).json()
    assert [one["verdict"] for one in looked["rows"]] == ["known"] * 3


async def test_ends_and_beginnings_are_one_command(tx, send, grids, li, wang):
    [held, *_] = (
        await tx.scalars(select(GridMembership).where(GridMembership.grid_id == grids[0].id))
    ).all()
    answer = await send(
        [
            given_to(wang, grids[0]),
            {"do": "end", "membership_id": str(held.id), "valid_to": APRIL},
        ]
    )
    assert answer.status_code == 200
    begun, ended = answer.json()["rows"]
    assert begun["predecessor"]["id"] == str(held.id)
    assert (ended["membership"]["valid_to"], ended["predecessor"]) == (APRIL, None)


async def test_one_row_that_cannot_be_done_refuses_all_and_each_is_named(tx, send, grids, li, wang):
    before = await all_rows(tx)
    rows = [
        to(wang, grids[0]),
        given_to(wang, grids[1]),
        to(wang, grids[2], from_technician_id=str(wang.id)),
    ]
    answer = await send(rows)
    assert answer.status_code == 409
    assert slug(answer.json()) == "memberships-refused"
    facts = answer.json()["facts"]
    assert facts["refused"] == 2
    assert [(one["row"], slug(one)) for one in facts["rows"]] == [
        (2, "primary-taken"),
        (3, "other-predecessor"),
    ]
    assert facts["rows"][0]["zh"].startswith(
        "该网格在此期间已有主责人员：李师傅（T1）自 2025-01-01"
    )
    assert facts["rows"][0]["en"].startswith("This grid already has a primary in that time: 李师傅")
    assert await all_rows(tx) == before


async def test_what_is_done_is_in_the_audit_trail(tx, send, grids, li, wang):
    await send([to(wang, grid) for grid in grids])
    entry = (await tx.scalars(select(AuditEntry).order_by(AuditEntry.id.desc()).limit(1))).one()
    assert entry.action == "memberships_bulk"
    assert [(one["operation"], one["count"]) for one in entry.changes] == [
        ("update", 3),
        ("insert", 3),
    ]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"ratio": 0}, "rows.0.hand_over.ratio"),
        ({"do": "swap"}, "rows.0"),
        ({"kind": "primary"}, "rows.0.hand_over.kind"),
        ({"valid_from": "soon"}, "rows.0.hand_over.valid_from"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_field(send, grids, wang, fields, field):
    answer = await send([to(wang, grids[0]) | fields])
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["facts"]["errors"]] == [field]


async def test_a_command_has_rows_and_not_too_many(send, grids, wang):
    assert (await send([])).status_code == 422
    assert (await send([to(wang, grids[0])] * 2001)).status_code == 422


# --- looked at first ------------------------------------------------------------------------------


async def test_a_preview_gives_every_row_its_verdict_and_counts_what_is_moved(
    tx, send, branch, grids, li, wang, clock
):
    for grid, customers in zip(grids, (3, 2, 1), strict=True):
        await make_residents(tx, branch, grid, customers)
    for state in (State.LOCATED, State.COMPLETED):
        await make_work_order(
            tx, now=clock.now(), org_unit=branch, grid_id=grids[0].id, state=state
        )
    before = await all_rows(tx)
    rows = [to(wang, grids[0]), to(wang, grids[1]), given_to(wang, grids[2])]
    answer = await send(rows, "/preview")
    assert answer.status_code == 200
    found = answer.json()
    assert [
        (one["row"], one["verdict"], one["grid_code"], one["customers"], one["open_orders"])
        for one in found["rows"]
    ] == [(1, "ready", "A0", 3, 1), (2, "ready", "A1", 2, 0), (3, "refused", "A2", 1, 0)]
    assert slug(found["rows"][2]["problem"]) == "primary-taken"
    assert found["rows"][0]["predecessor"]["technician_id"] == str(li.id)
    assert found["totals"] == {
        "rows": 3,
        "ready": 2,
        "known": 0,
        "refused": 1,
        "grids": 2,
        "customers": 5,
        "open_orders": 1,
    }
    assert found["day"] == APRIL
    figures = ("code", "grids_before", "grids_after", "customers_before", "customers_after")
    assert [tuple(one[name] for name in figures) for one in found["load"]] == [
        ("T1", 3, 1, 6, 1),
        ("T2", 0, 2, 0, 5),
    ]
    assert await all_rows(tx) == before


async def test_loads_count_grids_that_the_command_does_not_speak_of(
    tx, send, branch, grids, li, wang
):
    """And of those it speaks of, only what holds on the day: a time that is over counts nothing."""
    other = await make_grid(tx, org_unit=branch, code="B1")
    await make_membership(tx, other, wang)
    answer = await send(
        [
            given_to(wang, grids[0], valid_from="2024-01-01", valid_to="2025-01-01"),
            to(wang, grids[1]),
        ],
        "/preview",
    )
    assert [
        (one["code"], one["grids_before"], one["grids_after"]) for one in answer.json()["load"]
    ] == [("T1", 3, 2), ("T2", 1, 2)]


# --- who may, and of whom -------------------------------------------------------------------------


async def test_others_grids_people_and_memberships_are_not_found(app, tx, send, grids, li, wang):
    west = await make_org_unit(tx, code="west")
    theirs = await make_technician(tx, org_unit=west)
    their_grid = await make_grid(tx, org_unit=west, code="W1")
    their_term = await make_membership(tx, their_grid, theirs)
    rows = [
        to(wang, their_grid),
        to(theirs, grids[0]),
        {"do": "end", "membership_id": str(their_term.id), "valid_to": APRIL},
        to(wang, grids[0], id=str(their_term.id)),
    ]
    found = (await send(rows, "/preview")).json()
    assert [slug(one["problem"]) for one in found["rows"]] == [
        "not-found",
        "not-found",
        "not-found",
        "same-id-other-content",
    ]
    assert found["rows"][0]["grid_code"] is None
    assert found["load"] == []
    refused = await send(rows)
    assert [one["row"] for one in refused.json()["facts"]["rows"]] == [1, 2, 3, 4]
    stranger = bearer(app, caller_for(Role.SUPERVISOR, west))
    [one] = (await send([to(theirs, grids[0])], "/preview", stranger)).json()["rows"]
    assert slug(one["problem"]) == "not-found"


async def test_a_retired_grid_is_given_to_nobody(tx, send, grids, wang, clock):
    grids[0].retired_at = clock.now()
    await tx.flush()
    answer = await send([to(wang, grids[0])])
    assert [slug(one) for one in answer.json()["facts"]["rows"]] == ["not-found"]


async def test_a_technician_gives_nothing(app, send, branch, grids, wang):
    phone = bearer(app, caller_for(Role.TECHNICIAN, branch, technician_id=wang.id))
    assert (await send([to(wang, grids[0])], headers=phone)).status_code == 403
    assert (await send([to(wang, grids[0])], "/preview", phone)).status_code == 403


# --- cost -----------------------------------------------------------------------------------------


async def test_two_thousand_rows_cost_as_many_statements_as_one(
    database, tx, send, branch, grids, li, wang
):
    many = [
        Grid(id=new_id(), org_unit_id=branch.id, code=f"M{n}", name="", kind="compound")
        for n in range(2000)
    ]
    tx.add_all(many)
    await tx.flush()
    await send([to(wang, grids[0])], "/preview")  # org units are read
    with counted(database) as one_looked_at:
        await send([to(wang, grids[0])], "/preview")
    with counted(database) as all_looked_at:
        answer = await send(rows := [to(wang, grid) for grid in many], "/preview")
    assert answer.json()["totals"]["ready"] == 2000
    assert len(one_looked_at) == len(all_looked_at) <= 7
    with counted(database) as one:
        await send([to(wang, grids[0])])
    with counted(database) as everything:
        assert (await send(rows)).status_code == 200
    # Of a grid that had a primary one statement more: it ends their time.
    assert len(everything) + 1 == len(one) <= 7
    assert await tx.scalar(select(func.count()).select_from(GridMembership)) == 2004


# --- two supervisors at the same moment -----------------------------------------------------------


@pytest.fixture
async def real(real_app, real_database):
    """A branch with forty grids, a primary of all and two who want them, really committed."""
    async with real_database.begin() as tx:
        branch = await make_org_unit(tx)
        account = await make_account(tx, branch, role=Role.SUPERVISOR)
        people = [await make_technician(tx, org_unit=branch, code=f"T{n}") for n in range(3)]
        grids = [await make_grid(tx, org_unit=branch, code=f"A{n:02}") for n in range(40)]
        for grid in grids:
            await make_membership(tx, grid, people[0])
    caller = caller_for(Role.SUPERVISOR, branch, account_id=account.id)
    return grids, people, bearer(real_app, caller)


async def at_once(http, database, grids, headers, commands):
    """Send commands while one of their grids is held, so that all of them are under way."""
    async with database.begin() as holding:
        await holding.execute(select(Grid.id).where(Grid.id == grids[20].id).with_for_update())
        sent = asyncio.gather(
            *(
                http.post("/v1/memberships/bulk", json={"rows": rows}, headers=headers)
                for rows in commands
            )
        )
        await until_waiting(database, number=len(commands))
    return await sent


async def test_of_two_commands_that_overlap_one_wins_wholly_and_none_waits_for_ever(
    real_http, real_database, real
):
    """They name the same grids in opposite orders; the locks are taken in one."""
    grids, (first, *others), headers = real
    commands = [
        [to(others[0], grid, from_technician_id=str(first.id)) for grid in grids[:30]],
        [to(others[1], grid, from_technician_id=str(first.id)) for grid in reversed(grids[10:])],
    ]
    answers = await at_once(real_http, real_database, grids, headers, commands)
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    lost = next(answer for answer in answers if answer.status_code == 409)
    assert lost.json()["facts"]["refused"] == 20
    assert {slug(one) for one in lost.json()["facts"]["rows"]} == {"other-predecessor"}
    async with real_database.read() as read:
        rows = select(GridMembership.technician_id, func.count()).where(
            GridMembership.valid_from == date(2026, 4, 1)
        )
        won = (await read.execute(rows.group_by(GridMembership.technician_id))).all()
    assert [number for _, number in won] == [30]


async def test_one_command_sent_twice_at_once_is_done_once(real_http, real_database, real):
    grids, people, headers = real
    rows = [to(people[1], grid) for grid in grids]
    answers = await at_once(real_http, real_database, grids, headers, [rows, rows])
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    async with real_database.read() as read:
        assert await read.scalar(select(func.count()).select_from(GridMembership)) == 80


async def test_a_command_and_a_single_assignment_follow_each_other(real_http, real_database, real):
    grids, people, headers = real
    single = {
        "id": str(new_id()),
        "technician_id": str(people[2].id),
        "kind": MembershipKind.PRIMARY,
        "valid_from": APRIL,
    }
    async with real_database.begin() as holding:
        await holding.execute(select(Grid.id).where(Grid.id == grids[20].id).with_for_update())
        sent = asyncio.gather(
            real_http.post(
                "/v1/memberships/bulk",
                json={"rows": [to(people[1], grid) for grid in grids]},
                headers=headers,
            ),
            real_http.post(f"/v1/grids/{grids[20].id}/memberships", json=single, headers=headers),
        )
        await until_waiting(real_database, number=2)
    bulk, alone = await sent
    assert (bulk.status_code, alone.status_code) == (200, 409)
