"""In which order a grid's backups are asked: set for a day on, and told by the list."""

from datetime import date

import pytest
from sqlalchemy import func, select

from app.auth.rules import Role
from app.grids.models import GridMembership
from app.grids.rules import MembershipKind
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.grids import make_grid, make_membership
from tests.make.technicians import make_technician

BACKUP = MembershipKind.BACKUP


@pytest.fixture
async def grid(tx, branch):
    return await make_grid(tx, org_unit=branch)


@pytest.fixture
async def people(tx, branch, grid):
    """A primary and three backups of ranks 1 to 3, since 2025."""
    found = [await make_technician(tx, org_unit=branch, code=f"T{n}") for n in range(4)]
    await make_membership(tx, grid, found[0])
    for rank in (1, 2, 3):
        await make_membership(tx, grid, found[rank], kind=BACKUP, rank=rank, weekdays=63, ratio=60)
    return found


@pytest.fixture
def put(http, supervisor, grid):
    async def send(people, valid_from="2026-04-01", headers=None):
        body = {"valid_from": valid_from, "technician_ids": [str(one.id) for one in people]}
        return await http.put(
            f"/v1/grids/{grid.id}/backups", json=body, headers=headers or supervisor
        )

    return send


def listed(answer):
    return [
        (one["technician_code"], one["rank"], one["valid_from"], one["valid_to"])
        for one in answer.json()["memberships"]
        if one["kind"] == "backup"
    ]


async def test_from_a_day_on_they_are_asked_in_another_order(put, people):
    answer = await put([people[3], people[1], people[2]])
    assert answer.status_code == 200
    assert listed(answer) == [
        ("T1", 1, "2025-01-01", "2026-04-01"),
        ("T3", 1, "2026-04-01", None),
        ("T2", 2, "2025-01-01", "2026-04-01"),
        ("T1", 2, "2026-04-01", None),
        ("T3", 3, "2025-01-01", "2026-04-01"),
        ("T2", 3, "2026-04-01", None),
    ]
    kept = {(one["weekdays"], one["ratio"]) for one in answer.json()["memberships"][1:]}
    assert kept == {(63, 60)}


async def test_the_same_again_changes_nothing_and_a_second_thought_only_ranks(tx, put, people):
    first = await put([people[3], people[1], people[2]])
    again = await put([people[3], people[1], people[2]])
    assert again.json() == first.json()
    other = await put([people[1], people[2], people[3]])
    assert len(other.json()["memberships"]) == len(first.json()["memberships"])
    assert [row[:2] for row in listed(other) if row[3] is None] == [("T1", 1), ("T2", 2), ("T3", 3)]
    taken_back = select(func.count()).where(GridMembership.valid_from == GridMembership.valid_to)
    assert await tx.scalar(taken_back) == 0


async def test_who_stays_in_place_is_left_alone(put, people):
    answer = await put([people[1], people[3], people[2]])
    assert ("T1", 1, "2025-01-01", None) in listed(answer)


async def test_each_backup_of_that_day_or_later_is_named(tx, put, branch, grid, people):
    over = await make_technician(tx, org_unit=branch, code="T8")
    await make_membership(tx, grid, over, kind=BACKUP, valid_to=date(2026, 4, 1))
    later = await make_technician(tx, org_unit=branch, code="T9")
    await make_membership(tx, grid, later, kind=BACKUP, valid_from=date(2026, 6, 1))
    answer = await put([people[1], people[2], over])
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:yingwei:problem:backups-not-named"
    assert answer.json()["facts"]["missing"] == ["T3", "T9"]
    assert answer.json()["facts"]["unknown"] == [str(over.id)]
    assert (await put([later, *people[1:]])).status_code == 200


async def test_a_grid_of_others_is_not_found(app, tx, put, people):
    stranger = bearer(app, caller_for(Role.SUPERVISOR, await make_org_unit(tx)))
    assert (await put(people[1:], headers=stranger)).status_code == 404
