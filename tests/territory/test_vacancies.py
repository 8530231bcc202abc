"""Warnings over a part of the organisation: what ends or is missing, the most customers first."""

from datetime import date, datetime, timedelta

import pytest

from app.auth.rules import Role
from app.grids.rules import MembershipKind
from app.technicians.models import Leave
from app.technicians.rules import LeaveCause
from tests.conftest import SHANGHAI
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.counting import counted
from tests.make.grids import make_grid, make_membership
from tests.make.residents import make_residents
from tests.make.technicians import make_technician

BACKUP, LOAN = MembershipKind.BACKUP, MembershipKind.LOAN


@pytest.fixture
async def li(tx, branch):
    return await make_technician(tx, org_unit=branch, code="T1", name="李师傅")


@pytest.fixture
def warned(http, supervisor):
    """Ask what there is to warn of."""

    async def ask(headers=None, **query):
        answer = await http.get("/v1/grids/vacancies", params=query, headers=headers or supervisor)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return ask


def told(page):
    return [
        (one["grid_code"], one["kind"], one["valid_from"], one["valid_to"])
        for one in page["warnings"]
    ]


async def test_what_a_supervisor_is_warned_of(tx, warned, branch, li):
    wang = await make_technician(tx, org_unit=branch, code="T2")
    kept, ending, empty, covered, lent = [
        await make_grid(tx, org_unit=branch, code=code) for code in "ABCDE"
    ]
    await make_membership(tx, kept, li)
    last = await make_membership(tx, ending, li, valid_to=date(2026, 3, 10))
    await make_membership(tx, ending, wang, valid_from=date(2026, 4, 1))
    await make_membership(tx, covered, li, kind=BACKUP)
    await make_membership(tx, lent, li)
    await make_membership(tx, lent, wang, kind=LOAN, valid_to=date(2026, 3, 12))
    for grid, customers in ((empty, 1), (covered, 3), (lent, 2)):
        await make_residents(tx, branch, grid, customers)
    found = await warned()
    assert told(found) == [
        ("D", "backup_only", "2026-03-02", None),
        ("E", "expiring", "2026-03-12", None),
        ("C", "vacant", "2026-03-02", None),
        ("B", "vacant", "2026-03-10", "2026-04-01"),
    ]
    assert [one["customers"] for one in found["warnings"]] == [3, 2, 1, 0]
    assert found["counts"] == {"backup_only": 1, "expiring": 1, "vacant": 2}
    ends = found["warnings"][3]
    assert (ends["membership_id"], ends["membership_kind"]) == (str(last.id), "primary")
    assert (ends["technician_code"], ends["technician_name"]) == ("T1", "李师傅")
    assert ends["words"] == {"zh": "无人负责", "en": "nobody looks after it"}


async def test_a_day_on_which_everybody_is_away(tx, warned, branch, li):
    grid = await make_grid(tx, org_unit=branch, code="A")
    wang = await make_technician(tx, org_unit=branch, weekdays=range(5))
    await make_membership(tx, grid, li)
    await make_membership(tx, grid, wang, kind=BACKUP)
    start = datetime(2026, 3, 6, tzinfo=SHANGHAI)
    tx.add(
        Leave(
            technician_id=li.id,
            starts_at=start,
            ends_at=start + timedelta(days=3),
            cause=LeaveCause.HOLIDAY,
        )
    )
    await tx.flush()
    # On Friday the backup is there; on Saturday and Sunday nobody is.
    assert told(await warned()) == [("A", "all_away", "2026-03-07", "2026-03-09")]
    assert told(await warned(kind="vacant")) == []


async def test_weekly_days_off_are_told_to_who_asks_for_them(tx, warned, branch):
    grid = await make_grid(tx, org_unit=branch, code="A")
    await make_membership(tx, grid, await make_technician(tx, org_unit=branch, weekdays=range(5)))
    assert told(await warned()) == []
    assert told(await warned(kind="off_shift", days=7)) == [
        ("A", "off_shift", "2026-03-07", "2026-03-09")
    ]


async def test_how_far_it_looks_is_a_parameter_or_said(http, tx, warned, branch, li, app, clock):
    grid = await make_grid(tx, org_unit=branch, code="A")
    await make_membership(tx, grid, li, valid_to=date(2026, 3, 20))
    assert told(await warned()) == []
    until = [("A", "vacant", "2026-03-20", None)]
    assert told(await warned(days=19)) == until
    assert told(await warned(on="2026-03-10")) == until
    assert told(await warned(on="2026-03-25", days=1)) == [("A", "vacant", "2026-03-25", None)]


async def test_pages_follow_each_other_and_a_unit_can_be_chosen(tx, app, warned, branch, district):
    headers = bearer(app, caller_for(Role.SUPERVISOR, district))
    other = await make_org_unit(tx, parent=district)
    for unit, codes in ((branch, "ACE"), (other, "BD")):
        for n, code in enumerate(codes):
            grid = await make_grid(tx, org_unit=unit, code=code)
            await make_residents(tx, unit, grid, n)
    first = await warned(headers, size=2)
    second = await warned(headers, size=2, page_token=first["next_page_token"])
    third = await warned(headers, size=2, page_token=second["next_page_token"])
    listed = [one["grid_code"] for page in (first, second, third) for one in page["warnings"]]
    assert listed == ["E", "C", "D", "A", "B"]
    assert third["next_page_token"] is None
    assert first["counts"] == third["counts"] == {"vacant": 5}
    assert [row[0] for row in told(await warned(headers, org_unit_id=str(other.id)))] == ["D", "B"]
    # A branch's supervisor sees the branch's own.
    assert [row[0] for row in told(await warned())] == ["E", "C", "A"]


async def test_units_of_others_are_not_found(http, tx, supervisor):
    stranger = await make_org_unit(tx)
    answer = await http.get(
        "/v1/grids/vacancies", params={"org_unit_id": str(stranger.id)}, headers=supervisor
    )
    assert answer.status_code == 404


async def test_many_grids_cost_as_many_statements_as_one(database, tx, warned, branch, li):
    await make_grid(tx, org_unit=branch)
    await warned()
    with counted(database) as few:
        await warned()
    for _ in range(20):
        grid = await make_grid(tx, org_unit=branch)
        await make_membership(tx, grid, await make_technician(tx, org_unit=branch), kind=BACKUP)
    with counted(database) as many:
        assert (await warned())["counts"] == {"vacant": 1, "backup_only": 20}
    assert len(few) == len(many) <= 6
