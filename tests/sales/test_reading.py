"""Who sees which sales, page by page; and what the ordering system's news makes of one."""

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from sqlalchemy import text

from app.auth.rules import Role
from app.core.db import new_id
from app.core.errors import NotFound
from app.sales import service
from app.sales.models import Sale
from app.sales.rules import SaleState
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.counting import counted
from tests.make.sales import make_confirmed, make_door, make_draft


@pytest.fixture
async def province(tx, clock, catalogue):
    """Two branches of a city with a technician each, a sale by each, and a look at all of it."""
    top = await make_org_unit(tx)
    city = await make_org_unit(tx, parent=top)
    district = await make_org_unit(tx, parent=city)
    here, there = [await make_org_unit(tx, parent=district) for _ in range(2)]
    doors = [await make_door(tx, now=clock.now(), branch=branch) for branch in (here, there)]
    sales = [await make_confirmed(tx, door, now=clock.now()) for door in doors]
    return {"top": top, "here": here, "there": there, "doors": doors, "sales": sales}


@pytest.fixture
def get(app, http):
    async def send(path, by, **query):
        return await http.get(f"/v1/sales{path}", params=query, headers=bearer(app, by))

    return send


@pytest.mark.parametrize(
    ("role", "of", "sees"),
    [
        (Role.SUPERVISOR, "top", (True, True)),
        (Role.SUPERVISOR, "here", (True, False)),
        (Role.SUPERVISOR, "there", (False, True)),
        (Role.ADMIN, "here", (True, False)),
        ("seller", "here", (True, False)),
        ("colleague", "here", (False, False)),
    ],
)
async def test_each_sees_their_part_and_no_more(get, province, tx, clock, role, of, sees):
    if role == "seller":
        by = province["doors"][0].seller
    elif role == "colleague":
        by = (await make_door(tx, now=clock.now(), branch=province[of])).seller
    else:
        by = caller_for(role, province[of])
    listed = {sale["id"] for sale in (await get("", by)).json()["sales"]}
    for sale, seen in zip(province["sales"], sees, strict=True):
        answer = await get(f"/{sale.id}", by)
        assert answer.status_code == (200 if seen else 404)
        assert (str(sale.id) in listed) is seen
        if not seen:
            unknown = await get(f"/{new_id()}", by)
            assert answer.json()["detail"] == unknown.json()["detail"]


async def test_a_supervisor_of_another_branch_cannot_name_a_technician_to_see_more(get, province):
    by = caller_for(Role.SUPERVISOR, province["here"])
    other = province["doors"][1].technician.id
    assert (await get("", by, technician_id=other)).json()["sales"] == []


@pytest.mark.parametrize(
    ("role", "scopes", "status"),
    [(Role.INTEGRATION, None, 403), (Role.SUPERVISOR, frozenset({"work:read"}), 403)],
)
async def test_reading_needs_role_and_scope(get, province, role, scopes, status):
    by = caller_for(role, province["top"], scopes=scopes)
    assert (await get("", by)).status_code == status
    assert (await get(f"/{province['sales'][0].id}", by)).status_code == status


async def test_pages_follow_each_other_newest_first_without_gap_or_repeat(get, tx, door, clock):
    made = [await make_draft(tx, door, now=clock.now()) for _ in range(7)]
    # In one transaction all have the same created_at, so the ids decide; give three their own.
    for number, sale in enumerate(made[:3]):
        sale.created_at = sale.created_at - timedelta(hours=3 - number)
    await tx.flush()
    seen, pages, token = [], 0, None
    while pages < 5:
        query = {"size": 2} | ({"page_token": token} if token else {})
        page = (await get("", door.seller, **query)).json()
        pages += 1
        assert len(page["sales"]) <= 2
        seen += [sale["id"] for sale in page["sales"]]
        token = page["next_page_token"]
        if token is None:
            break
    assert pages == 4
    expected = sorted(made, key=lambda sale: (sale.created_at, sale.id), reverse=True)
    assert seen == [str(sale.id) for sale in expected]
    assert all(a != b for a, b in pairwise(seen))


async def test_a_sale_made_between_two_pages_moves_nothing(get, tx, door, clock):
    made = [await make_draft(tx, door, now=clock.now()) for _ in range(3)]
    first = (await get("", door.seller, size=2)).json()
    await make_draft(tx, door, now=clock.now())
    rest = (await get("", door.seller, size=2, page_token=first["next_page_token"])).json()
    assert [sale["id"] for sale in rest["sales"]] == [str(made[0].id)]
    assert rest["next_page_token"] is None


@pytest.mark.parametrize("token", ["x", "eyJ", "WzFd", "bnVsbA"])
async def test_a_token_nobody_gave_is_refused(get, door, token):
    assert (await get("", door.seller, page_token=token)).status_code == 422


@pytest.mark.parametrize("size", [0, -1, 100_000])
async def test_a_page_has_a_size_within_reason(get, door, size):
    assert (await get("", door.seller, size=size)).status_code == 422


async def test_sales_are_found_by_state_technician_and_time(get, tx, door, clock):
    early = await make_draft(tx, door, now=clock.now())
    clock.tick(timedelta(hours=1))
    late = await make_confirmed(tx, door, now=clock.now())

    async def found(**query):
        answer = await get("", caller_for(Role.SUPERVISOR, door.branch), **query)
        assert answer.status_code == 200, answer.text
        return {sale["id"] for sale in answer.json()["sales"]}

    both = {str(early.id), str(late.id)}
    assert await found() == both
    assert await found(state="draft") == {str(early.id)}
    assert await found(state="confirmed") == {str(late.id)}
    assert await found(state="completed") == set()
    assert await found(technician_id=door.technician.id) == both
    assert await found(technician_id=new_id()) == set()
    assert await found(made_from=late.made_at.isoformat()) == {str(late.id)}
    assert await found(made_until=late.made_at.isoformat()) == {str(early.id)}


async def test_a_page_of_sales_costs_the_same_number_of_statements(get, tx, door, clock, database):
    for _ in range(2):
        await make_draft(tx, door, now=clock.now())
    with counted(database) as few:
        await get("", door.seller)
    for _ in range(20):
        await make_draft(tx, door, now=clock.now())
    with counted(database) as many:
        assert len((await get("", door.seller)).json()["sales"]) == 22
    assert len(few) == len(many) == 3


# --- what the ordering system says ----------------------------------------------------------------

CONFIRMED, SENT, ACKNOWLEDGED = SaleState.CONFIRMED, SaleState.SENT, SaleState.ACKNOWLEDGED
COMPLETED, REJECTED, CANCELLED = SaleState.COMPLETED, SaleState.REJECTED, SaleState.CANCELLED
ALL_THREE = {"sent_at", "acknowledged_at", "completed_at"}


@pytest.mark.parametrize(
    ("news", "state", "dated"),
    [
        ([SENT], SENT, {"sent_at"}),
        (
            [SENT, ACKNOWLEDGED, COMPLETED],
            COMPLETED,
            {"sent_at", "acknowledged_at", "completed_at"},
        ),
        # Lost news leaves no gap behind.
        ([COMPLETED], COMPLETED, ALL_THREE),
        ([ACKNOWLEDGED], ACKNOWLEDGED, {"sent_at", "acknowledged_at"}),
        ([REJECTED], REJECTED, {"sent_at", "rejected_reason"}),
        ([ACKNOWLEDGED, CANCELLED], CANCELLED, {"sent_at", "acknowledged_at", "rejected_reason"}),
        # Late, doubled and contradicting news changes nothing.
        ([COMPLETED, ACKNOWLEDGED], COMPLETED, ALL_THREE),
        ([SENT, SENT], SENT, {"sent_at"}),
        ([REJECTED, COMPLETED], REJECTED, {"sent_at", "rejected_reason"}),
        ([ACKNOWLEDGED, SENT], ACKNOWLEDGED, {"sent_at", "acknowledged_at"}),
    ],
)
async def test_news_moves_a_sale_forward_and_dates_it(tx, door, clock, news, state, dated):
    sale = await make_confirmed(tx, door, now=clock.now())
    first: dict[str, datetime] = {}
    for wanted in news:
        clock.tick(timedelta(minutes=1))
        await service.follow(tx, sale_id=sale.id, state=wanted, at=clock.now(), reason="no port")
        for name in ("sent_at", "acknowledged_at", "completed_at"):
            if getattr(sale, name) is not None:
                first.setdefault(name, getattr(sale, name))
    await tx.flush()
    assert sale.state is state
    fields = ("sent_at", "acknowledged_at", "completed_at", "rejected_reason")
    assert {name for name in fields if getattr(sale, name) is not None} == dated
    # Once dated, a moment stays what it was.
    assert {name: getattr(sale, name) for name in first} == first


async def test_news_of_a_sale_nobody_made_is_not_found(tx, clock):
    with pytest.raises(NotFound):
        await service.follow(tx, sale_id=new_id(), state=SENT, at=clock.now())


async def test_the_database_itself_refuses_a_sale_without_consent(tx, door, clock):
    draft = await make_draft(tx, door, now=clock.now())
    assert (await tx.get_one(Sale, draft.id)).state is SaleState.DRAFT
    with pytest.raises(Exception, match="no_sale_without_consent"):
        await tx.execute(text("UPDATE sale SET state = 'confirmed'"))
