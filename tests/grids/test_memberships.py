"""Who looks after a grid: given with dates, one primary at a time, and taken back."""

import asyncio
from datetime import date

import pytest
from sqlalchemy import func, select

from app.auth.models import OrgUnit
from app.auth.rules import Role
from app.core.db import new_id
from app.grids import queries
from app.grids.models import Grid, GridMembership
from app.grids.rules import MembershipKind
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.grids import make_grid, make_membership
from tests.make.races import until_waiting
from tests.make.technicians import make_technician


@pytest.fixture
async def grid(tx, branch):
    return await make_grid(tx, org_unit=branch, code="A1", name="碧波园")


@pytest.fixture
async def li(tx, branch):
    return await make_technician(tx, org_unit=branch, code="T1", name="李师傅")


@pytest.fixture
async def wang(tx, branch):
    return await make_technician(tx, org_unit=branch, code="T2", name="王师傅")


def given_to(technician, **fields):
    return {
        "id": str(new_id()),
        "technician_id": str(technician.id),
        "kind": "primary",
        "valid_from": "2026-03-01",
        **fields,
    }


@pytest.fixture
def assign(http, supervisor, grid):
    """Give the grid to somebody as the branch's supervisor."""

    async def send(body, *, to=None, headers=None):
        return await http.post(
            f"/v1/grids/{(to or grid).id}/memberships", json=body, headers=headers or supervisor
        )

    return send


@pytest.fixture
def end(http, supervisor):
    """End a membership on a day as the branch's supervisor."""

    async def send(membership_id, day, *, headers=None):
        return await http.post(
            f"/v1/memberships/{membership_id}/end",
            json={"valid_to": day},
            headers=headers or supervisor,
        )

    return send


def slug(answer):
    return answer.json()["type"].removeprefix("urn:yingwei:problem:")


# --- giving ---------------------------------------------------------------------------------------


async def test_a_grid_is_given_to_a_technician(http, assign, supervisor, grid, li):
    body = given_to(li, weekdays=31, rank=2, kind="backup", valid_to="2026-06-01", ratio=40)
    answer = await assign(body)
    assert answer.status_code == 201
    assert answer.json() == body | {"grid_id": str(grid.id)}
    listed = await http.get(f"/v1/grids/{grid.id}/memberships", headers=supervisor)
    (one,) = listed.json()["memberships"]
    assert (one["technician_code"], one["technician_name"]) == ("T1", "李师傅")
    assert (one["grid_code"], one["grid_name"]) == ("A1", "碧波园")


async def test_the_same_again_is_answered_alike_and_other_content_is_refused(tx, assign, li, wang):
    body = given_to(li)
    first, again = await assign(body), await assign(body)
    assert (again.status_code, again.json()) == (201, first.json())
    assert await tx.scalar(select(func.count()).select_from(GridMembership)) == 1
    other = await assign(body | {"technician_id": str(wang.id)})
    assert (other.status_code, slug(other)) == (409, "same-id-other-content")


async def test_a_second_primary_is_refused_with_who_and_since_when(assign, li, wang):
    body = given_to(li)
    await assign(body)
    answer = await assign(given_to(wang, valid_from="2026-05-01"))
    assert (answer.status_code, slug(answer)) == (409, "primary-taken")
    problem = answer.json()
    assert problem["facts"]["technician_code"] == "T1"
    assert problem["facts"]["valid_from"] == "2026-03-01"
    assert problem["detail"].startswith("李师傅 (T1) is primary from 2026-03-01;")
    assert problem["facts"]["membership_id"] == body["id"]


@pytest.mark.parametrize(
    "first, second, status",
    [
        # Days are [from, to): the day one ends, the next may begin.
        (("2026-03-01", "2026-04-01"), ("2026-04-01", None), 201),
        (("2026-03-01", "2026-04-01"), ("2026-03-31", None), 409),
        (("2026-03-01", None), ("2026-02-01", "2026-03-01"), 201),
        (("2026-03-01", None), ("2026-02-01", "2026-03-02"), 409),
        (("2026-03-01", None), ("2027-01-01", None), 409),
        (("2026-03-01", "2026-03-02"), ("2026-03-01", "2026-03-02"), 409),
    ],
)
async def test_primaries_follow_each_other_but_never_meet(assign, li, wang, first, second, status):
    for technician, (begins, ends), expected in ((li, first, 201), (wang, second, status)):
        body = given_to(technician, valid_from=begins, valid_to=ends)
        assert (await assign(body)).status_code == expected


async def test_the_same_days_of_another_grid_are_free(tx, assign, branch, li):
    other = await make_grid(tx, org_unit=branch, lon=112.7)
    assert (await assign(given_to(li))).status_code == 201
    assert (await assign(given_to(li), to=other)).status_code == 201


async def test_backups_have_ranks_and_loans_have_dates(
    tx, http, assign, supervisor, branch, grid, li, wang
):
    zhao = await make_technician(tx, org_unit=branch, code="T3")
    for body in (
        given_to(wang, kind="backup", rank=2),
        given_to(zhao, kind="backup", rank=1),
        given_to(zhao, kind="loan", valid_from="2026-03-02", valid_to="2026-03-09"),
        given_to(li),
    ):
        assert (await assign(body)).status_code == 201
    answer = await http.get(f"/v1/grids/{grid.id}/memberships", headers=supervisor)
    listed = [
        (one["kind"], one["rank"], one["technician_code"]) for one in answer.json()["memberships"]
    ]
    assert listed == [
        ("primary", 1, "T1"),
        ("loan", 1, "T3"),
        ("backup", 1, "T3"),
        ("backup", 2, "T2"),
    ]


@pytest.mark.parametrize(
    "fields, field",
    [
        ({"kind": "loan"}, "valid_to"),
        ({"valid_to": "2026-03-01"}, "valid_to"),
        ({"valid_to": "2026-02-01"}, "valid_to"),
        ({"weekdays": 0}, "weekdays"),
        ({"weekdays": 128}, "weekdays"),
        ({"rank": 0}, "rank"),
        ({"ratio": 0}, "ratio"),
        ({"ratio": 101}, "ratio"),
        ({"kind": "owner"}, "kind"),
        ({"valid_from": "tomorrow"}, "valid_from"),
        ({"grid_id": "01956f3a-7c00-7000-8000-00000000000b"}, "grid_id"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_field(tx, assign, li, fields, field):
    answer = await assign(given_to(li) | fields)
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["facts"]["errors"]] == [field]
    assert await tx.scalar(select(func.count()).select_from(GridMembership)) == 0


# --- ending ---------------------------------------------------------------------------------------


async def test_after_the_end_somebody_else_can_be_primary(tx, assign, end, grid, li, wang):
    body = given_to(li)
    await assign(body)
    answer = await end(body["id"], "2026-03-15")
    assert (answer.status_code, answer.json()["valid_to"]) == (200, "2026-03-15")
    assert (await assign(given_to(wang, valid_from="2026-03-15"))).status_code == 201
    whole = {"first_day": date(2026, 3, 14), "last_day": date(2026, 3, 15)}
    kept = await queries.keepers(tx, [grid.id], **whole)
    assert {one.technician_id for one in kept} == {li.id, wang.id}
    later = {"first_day": date(2026, 3, 15), "last_day": date(2026, 3, 16)}
    (only,) = await queries.keepers(tx, [grid.id], **later)
    assert only.technician_id == wang.id


async def test_a_mistake_is_taken_back_by_ending_it_on_the_day_it_begins(
    tx, assign, end, grid, li, wang
):
    body = given_to(li)
    await assign(body)
    assert (await end(body["id"], "2026-03-01")).status_code == 200
    day = {"first_day": date(2026, 3, 1), "last_day": date(2026, 3, 1)}
    assert list(await queries.keepers(tx, [grid.id], **day)) == []
    assert (await assign(given_to(wang))).status_code == 201


@pytest.mark.parametrize(
    "valid_to, ended, status",
    [
        (None, "2026-02-28", 422),  # before it begins
        ("2026-06-01", "2026-05-01", 200),
        ("2026-06-01", "2026-06-01", 200),
        ("2026-06-01", "2026-06-02", 422),  # an end is not put off; somebody may come after it
    ],
)
async def test_an_end_can_only_come_nearer(assign, end, li, valid_to, ended, status):
    body = given_to(li, valid_to=valid_to)
    await assign(body)
    answer = await end(body["id"], ended)
    assert answer.status_code == status
    if status == 422:
        assert "2026-03-01" in answer.json()["facts"]["errors"][0]["message"]


# --- who may, and of whom -------------------------------------------------------------------------


async def test_others_grids_technicians_and_memberships_are_not_found(
    app, tx, assign, end, branch, grid, li
):
    west = await make_org_unit(tx, code="west")
    theirs = await make_technician(tx, org_unit=west)
    their_grid = await make_grid(tx, org_unit=west, lon=112.8)
    membership = await make_membership(tx, their_grid, theirs)
    assert (await assign(given_to(theirs))).status_code == 404
    assert (await assign(given_to(li), to=their_grid)).status_code == 404
    assert (await end(membership.id, "2026-04-01")).status_code == 404
    account = await make_account(tx, west, role=Role.SUPERVISOR)
    stranger = bearer(app, caller_for(Role.SUPERVISOR, west, account_id=account.id))
    assert (await assign(given_to(li), headers=stranger)).status_code == 404
    assert (await end(new_id(), "2026-04-01")).status_code == 404
    assert await tx.scalar(select(func.count()).select_from(GridMembership)) == 1


async def test_a_crews_technician_can_be_given_the_branchs_grid(tx, assign, branch):
    crew = await make_org_unit(tx, parent=branch)
    assert (await assign(given_to(await make_technician(tx, org_unit=crew)))).status_code == 201


async def test_a_technician_gives_nothing(app, assign, branch, li):
    phone = bearer(app, caller_for(Role.TECHNICIAN, branch, technician_id=li.id))
    assert (await assign(given_to(li), headers=phone)).status_code == 403


# --- what one person looks after ------------------------------------------------------------------


async def after(http, headers, technician, **parameters):
    return await http.get(
        "/v1/memberships",
        params={"technician_id": str(technician.id), **parameters},
        headers=headers,
    )


async def test_what_one_person_looks_after(http, tx, branch, supervisor, li):
    grids = [
        await make_grid(tx, org_unit=branch, code=f"A{n}", name=f"园{n}", lon=112.6 + n / 10)
        for n in range(3)
    ]
    kinds = (MembershipKind.PRIMARY, MembershipKind.BACKUP, MembershipKind.PRIMARY)
    for n, (grid, kind) in enumerate(zip(grids, kinds, strict=True)):
        await make_membership(tx, grid, li, kind=kind, valid_from=date(2026, 1, 1 + n))
    answer = await after(http, supervisor, li)
    assert answer.status_code == 200
    listed = [
        (one["grid_code"], one["grid_name"], one["kind"]) for one in answer.json()["memberships"]
    ]
    assert listed == [("A2", "园2", "primary"), ("A1", "园1", "backup"), ("A0", "园0", "primary")]
    assert answer.json()["next_page_token"] is None

    first = (await after(http, supervisor, li, size=2)).json()
    rest = await after(http, supervisor, li, size=2, page_token=first["next_page_token"])
    codes = [one["grid_code"] for one in first["memberships"] + rest.json()["memberships"]]
    assert codes == ["A2", "A1", "A0"]


@pytest.mark.parametrize(
    "on, shown",
    [
        ("2026-03-01", False),  # the Sunday before
        ("2026-03-02", True),  # a Monday
        ("2026-03-07", False),  # a Saturday
        ("2026-03-13", True),
        ("2026-03-16", False),  # the Monday it ends
    ],
)
async def test_on_one_day_only_what_is_in_force(http, tx, supervisor, grid, li, on, shown):
    await make_membership(
        tx,
        grid,
        li,
        kind=MembershipKind.LOAN,
        valid_from=date(2026, 3, 2),
        valid_to=date(2026, 3, 16),
        weekdays=0b0011111,  # Monday to Friday
    )
    answer = await after(http, supervisor, li, on=on)
    assert bool(answer.json()["memberships"]) is shown


async def test_only_the_grids_and_people_of_ones_own_part(http, tx, app, branch, grid, li):
    """A district's supervisor sees both of a lent technician's grids, a branch's only its own."""
    district = await make_org_unit(tx, code="district")
    ours, others = [await make_org_unit(tx, parent=district) for _ in range(2)]
    lent = await make_technician(tx, org_unit=ours)
    for unit, code in ((ours, "B1"), (others, "B2")):
        await make_membership(tx, await make_grid(tx, org_unit=unit, code=code, lon=113.0), lent)

    async def codes(unit):
        answer = await after(http, bearer(app, caller_for(Role.SUPERVISOR, unit)), lent)
        if answer.status_code == 404:
            return 404
        return [one["grid_code"] for one in answer.json()["memberships"]]

    assert sorted(await codes(district)) == ["B1", "B2"]
    assert await codes(ours) == ["B1"]
    assert await codes(others) == 404
    assert await codes(branch) == 404


async def test_a_page_token_of_another_list_is_refused(http, supervisor, li):
    answer = await after(http, supervisor, li, page_token="WyJBMSJd")
    assert answer.status_code == 422


# --- two supervisors at the same moment -----------------------------------------------------------


@pytest.fixture
async def real(real_app, real_database):
    """A branch with a grid and two technicians, really committed, and its supervisor's headers."""
    async with real_database.begin() as tx:
        branch = await make_org_unit(tx)
        grid = await make_grid(tx, org_unit=branch)
        people = [
            await make_technician(tx, org_unit=branch, code=f"T{n}", name=f"师傅{n}")
            for n in (1, 2)
        ]
    return grid, people, bearer(real_app, caller_for(Role.SUPERVISOR, branch))


async def at_once(http, database, grid, headers, bodies, *, to=None):
    """Send several assignments while the grid is held, so that all of them are under way."""
    grids = to or [grid] * len(bodies)

    async def send(body, place):
        url = f"/v1/grids/{place.id}/memberships"
        return await http.post(url, json=body, headers=headers)

    async with database.begin() as holding:
        for place in dict.fromkeys(grids):
            await holding.execute(select(Grid.id).where(Grid.id == place.id).with_for_update())
        sent = asyncio.gather(
            *(send(body, place) for body, place in zip(bodies, grids, strict=True))
        )
        await until_waiting(database, number=len(bodies))
    return await sent


async def test_of_two_primaries_given_at_once_one_wins_and_the_other_is_told_who(
    real_http, real_database, real
):
    grid, people, headers = real
    bodies = [given_to(one) for one in people]
    answers = await at_once(real_http, real_database, grid, headers, bodies)
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    lost = next(answer for answer in answers if answer.status_code == 409)
    won = next(answer for answer in answers if answer.status_code == 201)
    winner = next(one for one in people if str(one.id) == won.json()["technician_id"])
    assert slug(lost) == "primary-taken"
    assert lost.json()["facts"]["technician_code"] == winner.code
    assert lost.json()["detail"].startswith(f"{winner.name} ({winner.code}) is primary from 2026")


async def test_one_assignment_sent_twice_at_once_is_one(real_http, real_database, real):
    grid, people, headers = real
    body = given_to(people[0])
    answers = await at_once(real_http, real_database, grid, headers, [body, body])
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()


async def test_one_id_for_two_grids_at_once_has_one_winner(real_http, real_database, real):
    grid, people, headers = real
    async with real_database.begin() as tx:
        branch = await tx.get_one(OrgUnit, grid.org_unit_id)
        other = await make_grid(tx, org_unit=branch, lon=112.9)
    body = given_to(people[0])
    answers = await at_once(real_http, real_database, grid, headers, [body, body], to=[grid, other])
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    lost = next(answer for answer in answers if answer.status_code == 409)
    assert slug(lost) == "same-id-other-content"
