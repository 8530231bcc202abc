"""The ledger of a sale over HTTP, its reversal, and that nobody can rewrite it."""

from datetime import timedelta

import pytest
from psycopg.errors import UniqueViolation
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from app.auth.rules import Role
from app.core.db import database_of, new_id
from app.core.parameter_values import ParameterValue
from app.sales import service
from app.sales.models import Sale, SaleEvent
from app.sales.rules import (
    RETURN_DAYS,
    Line,
    ReturnedTooLate,
    ReversalReason,
    SaleState,
    SaleStep,
    Standing,
    returned_in_time,
    steps_told,
)
from app.sales.rules.words import STEP_WORDS
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.sales import jobs_of, make_confirmed, make_door, sale_body
from tests.sales.conftest import slug


def test_every_step_has_words():
    assert set(STEP_WORDS) == set(SaleStep)


@pytest.mark.parametrize(
    ("known", "told", "steps"),
    [
        (("confirmed", False, False), "sent", ["sent"]),
        (("confirmed", False, False), "acknowledged", ["acknowledged"]),
        (("confirmed", False, False), "completed", ["acknowledged", "completed"]),
        (("acknowledged", True, False), "completed", ["completed"]),
        (("sent", False, False), "rejected", ["rejected"]),
        (("acknowledged", True, False), "rejected", ["rejected", "reversed"]),
        (("acknowledged", True, True), "rejected", ["rejected"]),
        (("cancelling", True, False), "cancelled", ["cancelled", "reversed"]),
        (("cancelling", True, True), "cancelled", ["cancelled"]),
        (("cancelling", False, False), "cancelled", ["cancelled"]),
    ],
)
def test_news_are_told_in_steps(known, told, steps):
    state, acknowledged, reversed_ = known
    found = steps_told(Standing(SaleState(state), acknowledged, reversed_), SaleState(told))
    assert [step.value for step, _ in found] == steps


@pytest.mark.parametrize(
    ("days", "told_after", "fits"),
    [
        (0, 0, True),
        (30, 30, True),
        (29, 60, True),
        (31, 31, False),
        (2, 1, False),
        # We heard late that it had been acknowledged; but nothing comes back that was not sold.
        (-1, 1, True),
        (-3, 1, False),
    ],
)
def test_a_return_counts_for_thirty_days_whenever_it_is_told(clock, days, told_after, fits):
    begun = clock.now()
    given = {
        "confirmed_at": begun - timedelta(days=2),
        "acknowledged_at": begun,
        "now": begun + timedelta(days=told_after),
        "days": 30,
    }
    if fits:
        returned_in_time(begun + timedelta(days=days), **given)
    else:
        with pytest.raises(ReturnedTooLate):
            returned_in_time(begun + timedelta(days=days), **given)


async def test_a_sale_is_told_from_the_visit_to_its_order(app, http, post, door, clock, tx):
    sale = await make_confirmed(tx, door, now=clock.now())
    news = {sale.id: service.News(SaleState.ACKNOWLEDGED)}
    await service.follow_many(tx, news, at=clock.now() + timedelta(minutes=1))
    headers = {**bearer(app, door.seller), "accept-language": "en"}
    answer = await http.get(f"/v1/sales/{sale.id}/ledger", headers=headers)
    told = answer.json()
    assert [one["step"] for one in told["steps"]] == [
        "visited",
        "put_together",
        "consented",
        "confirmed",
        "acknowledged",
    ]
    assert told["steps"][0]["facts"]["visit_id"] == str(door.visit.id) == told["visit_id"]
    assert told["steps"][3]["words"] == "The sale was confirmed"
    assert told["steps"][3]["account_id"] == str(door.seller.account_id)


async def test_somebody_elses_ledger_is_not_there(app, http, door, clock, tx):
    sale = await make_confirmed(tx, door, now=clock.now())
    stranger = await make_door(tx, now=clock.now(), branch=await make_org_unit(tx))
    answer = await http.get(f"/v1/sales/{sale.id}/ledger", headers=bearer(app, stranger.seller))
    assert answer.status_code == 404


async def test_a_step_sent_again_is_entered_once(post, door, tx):
    body = sale_body(door)
    for _ in range(2):
        assert (await post("", body)).status_code == 201
    for _ in range(2):
        assert (await post(f"/{body['id']}/cancel")).status_code == 200
    steps = await tx.scalars(select(SaleEvent.step).where(SaleEvent.sale_id == body["id"]))
    assert sorted(steps) == ["cancelled", "put_together"]


@pytest.mark.parametrize(
    "change", ["UPDATE sale_event SET step = 'sent'", "DELETE FROM sale_event"]
)
async def test_what_is_in_the_ledger_stays(tx, door, clock, change):
    await make_confirmed(tx, door, now=clock.now())
    with pytest.raises(DBAPIError, match="append-only"):
        async with tx.begin_nested():
            await tx.execute(text(change))


# --- reversal -------------------------------------------------------------------------------------


@pytest.fixture
def returned(clock):
    """What a supervisor posts when a customer brings something back."""
    return {
        "external_id": "RET-1",
        "reason": "changed_mind",
        "returned_at": clock.now().isoformat(),
    }


async def test_a_return_reverses_a_sale_once_however_often_it_is_told(
    post, door, clock, tx, returned
):
    sale = await make_confirmed(tx, door, now=clock.now() - timedelta(minutes=5))
    boss = caller_for(Role.SUPERVISOR, door.branch)
    await service.follow(
        tx,
        sale_id=sale.id,
        state=SaleState.COMPLETED,
        at=clock.now() - timedelta(minutes=2),
    )
    await tx.flush()
    first = await post(f"/{sale.id}/reversal", returned, by=boss)
    again = await post(f"/{sale.id}/reversal", returned, by=boss)
    assert (first.status_code, first.json()) == (200, again.json())
    assert first.json()["state"] == "completed"
    assert first.json()["reversed_at"] is not None
    other = await post(f"/{sale.id}/reversal", {**returned, "reason": "other"}, by=boss)
    assert slug(other) == "same-id-other-content"
    second = await post(f"/{sale.id}/reversal", {**returned, "external_id": "RET-2"}, by=boss)
    assert slug(second) == "sale-reversed-already"
    assert await _reversals(tx) == 1


async def test_what_came_back_before_we_heard_that_it_was_acknowledged_counts(
    post, door, clock, tx, returned
):
    """The ordering system's callback was lost, and the night finds out."""
    sale = await make_confirmed(tx, door, now=clock.now())
    crm = caller_for(Role.INTEGRATION, door.branch)
    clock.tick(timedelta(hours=6))
    returned |= {"returned_at": clock.now().isoformat()}
    early = await post(f"/{sale.id}/reversal", returned, by=crm)
    assert slug(early) == "nothing-to-reverse"
    clock.tick(timedelta(hours=12))
    await service.follow(tx, sale_id=sale.id, state=SaleState.COMPLETED, at=clock.now())
    await tx.flush()
    answer = await post(f"/{sale.id}/reversal", returned, by=crm)
    assert answer.status_code == 200, answer.json()
    assert answer.json()["reversed_at"] is not None


async def test_for_how_long_a_return_counts_is_a_number_of_where_was_sold(
    post, catalogue, clock, tx, returned
):
    """Whoever reports it, such as the CRM of a whole province."""
    province = await make_org_unit(tx)
    branch = await make_org_unit(tx, parent=province)
    door = await make_door(tx, now=clock.now(), branch=branch)
    sale = await make_confirmed(tx, door, now=clock.now())
    await service.follow(tx, sale_id=sale.id, state=SaleState.COMPLETED, at=clock.now())
    since = clock.now() - timedelta(days=9)
    tx.add(ParameterValue(name=RETURN_DAYS.name, org_path=branch.path, valid_from=since, value=60))
    await tx.flush()
    database_of(tx).cache.clear()
    clock.tick(timedelta(days=40))
    returned |= {"returned_at": clock.now().isoformat()}
    crm = caller_for(Role.INTEGRATION, province)
    answer = await post(f"/{sale.id}/reversal", returned, by=crm)
    assert answer.status_code == 200, answer.json()


async def test_what_cannot_be_reversed_is_refused_and_nothing_entered(
    post, door, clock, tx, returned
):
    sale = await make_confirmed(tx, door, now=clock.now())
    boss = caller_for(Role.SUPERVISOR, door.branch)
    for body, by, refusal in [
        (returned, boss, "nothing-to-reverse"),
        ({**returned, "reason": "order_cancelled"}, boss, "invalid"),
        (returned, door.seller, "forbidden"),
        (returned, caller_for(Role.SUPERVISOR, await make_org_unit(tx)), "not-found"),
    ]:
        assert slug(await post(f"/{sale.id}/reversal", body, by=by)) == refusal
    assert slug(await post(f"/{new_id()}/reversal", returned, by=boss)) == "not-found"
    await service.follow(
        tx, sale_id=sale.id, state=SaleState.ACKNOWLEDGED, at=clock.now() - timedelta(days=31)
    )
    await tx.flush()
    late = await post(f"/{sale.id}/reversal", returned, by=boss)
    assert slug(late) == "returned-too-late"
    assert await _reversals(tx) == 0


@pytest.fixture
def get(app, http):
    """Read of sales as somebody."""

    async def ask(path, *, by):
        return await http.get(f"/v1/sales{path}", headers=bearer(app, by))

    return ask


@pytest.fixture
async def two(door, clock, tx):
    """A sale of two things that the ordering system has acknowledged."""
    lines = (Line("SPEED-1000", 1), Line("TV-4K", 1))
    sale = await make_confirmed(tx, door, now=clock.now(), lines=lines)
    await service.follow(tx, sale_id=sale.id, state=SaleState.ACKNOWLEDGED, at=clock.now())
    await tx.flush()
    return sale


async def test_one_item_is_taken_back_once_and_the_rest_stands(post, get, door, tx, two, returned):
    boss = caller_for(Role.SUPERVISOR, door.branch)
    fast, tv = (await get(f"/{two.id}", by=boss)).json()["items"]
    path = f"/{two.id}/items/{tv['id']}/reversal"
    first, again = await post(path, returned, by=boss), await post(path, returned, by=boss)
    assert (first.status_code, first.json()) == (200, again.json())
    told = first.json()
    assert told["reversed_at"] is None
    assert [item["reversed_at"] is None for item in told["items"]] == [True, False]
    assert await jobs_of(tx, "sale.item_reversed") == [str(two.id)]
    ledger = (await get(f"/{two.id}/ledger", by=boss)).json()["steps"]
    (step,) = [one for one in ledger if one["step"] == "item_reversed"]
    assert step["facts"]["item_id"] == tv["id"] and step["facts"]["offering_code"] == "TV-4K"
    last = f"/{two.id}/items/{fast['id']}/reversal"
    stranger = caller_for(Role.SUPERVISOR, await make_org_unit(tx))
    for where, body, by, refusal in [
        (path, {**returned, "reason": "other"}, boss, "same-id-other-content"),
        (path, {**returned, "external_id": "RET-2"}, boss, "sale-item-reversed-already"),
        (last, returned, boss, "last-item-of-a-sale"),
        (last, returned, stranger, "not-found"),
        (f"/{two.id}/items/{new_id()}/reversal", returned, boss, "not-found"),
    ]:
        assert slug(await post(where, body, by=by)) == refusal
    # The rest of it comes back with the sale, and then nothing of it does any more.
    whole = await post(f"/{two.id}/reversal", {**returned, "external_id": "RET-3"}, by=boss)
    assert whole.json()["reversed_at"] is not None
    assert slug(await post(last, returned, by=boss)) == "sale-reversed-already"
    steps = await tx.scalars(select(SaleEvent.step).where(SaleEvent.step == "item_reversed"))
    assert len(steps.all()) == 1


async def test_an_item_is_not_taken_back_of_what_was_never_acknowledged(
    post, get, door, clock, tx, returned
):
    sale = await make_confirmed(tx, door, now=clock.now())
    boss = caller_for(Role.SUPERVISOR, door.branch)
    (item,) = (await get(f"/{sale.id}", by=boss)).json()["items"]
    refused = await post(f"/{sale.id}/items/{item['id']}/reversal", returned, by=boss)
    assert slug(refused) == "nothing-to-reverse"
    assert await jobs_of(tx, "sale.item_reversed") == []


async def test_an_order_that_is_cancelled_after_it_was_acknowledged_reverses_its_sale(
    door, clock, tx
):
    sale = await make_confirmed(tx, door, now=clock.now())
    for state in (SaleState.ACKNOWLEDGED, SaleState.CANCELLED, SaleState.CANCELLED):
        await service.follow(tx, sale_id=sale.id, state=state, at=clock.now())
    assert await _reversals(tx) == 1
    assert (await tx.get_one(Sale, sale.id)).reversed_at == clock.now()


async def _followed(tx, sale, at, by):
    await service.follow(tx, sale_id=sale.id, state=SaleState.CANCELLED, at=at, reason="…")


async def _followed_among_many(tx, sale, at, by):
    await tx.flush()
    await service.follow_many(tx, {sale.id: service.News(SaleState.REJECTED, "…")}, at=at)


async def _cancelled_here(tx, sale, at, by):
    await service.ask_to_cancel(tx, sale, known_there=False, reason="…", at=at, by=by)


async def _set_right(tx, sale, at, by):
    # Whatever a person has judged meanwhile: what was taken back is taken back.
    await service.set_right(tx, sale_id=sale.id, state=SaleState.COMPLETED, at=at)
    await service.set_right(tx, sale_id=sale.id, state=SaleState.CANCELLED, at=at, reason="…")


@pytest.mark.parametrize("end", [_followed, _followed_among_many, _cancelled_here, _set_right])
async def test_what_was_returned_is_reversed_once_however_its_order_ends(door, clock, tx, end):
    sale = await make_confirmed(tx, door, now=clock.now())
    begun = clock.now()
    await service.follow(tx, sale_id=sale.id, state=SaleState.ACKNOWLEDGED, at=begun)
    boss = caller_for(Role.SUPERVISOR, door.branch)
    await service.reverse(
        tx,
        sale_id=sale.id,
        external_id="RET-1",
        reason=ReversalReason.CHANGED_MIND,
        returned_at=begun,
        caller=boss,
        now=begun,
    )
    await end(tx, sale, begun + timedelta(hours=1), door.seller.account_id)
    await tx.flush()
    known = await tx.get_one(Sale, sale.id, populate_existing=True)
    assert known.state in (SaleState.CANCELLED, SaleState.REJECTED)
    assert (known.reversed_at, known.rejected_reason) == (begun, "…")
    assert await _reversals(tx) == 1


@pytest.mark.parametrize("to", [SaleState.COMPLETED, SaleState.ACKNOWLEDGED])
async def test_what_was_reversed_by_an_order_that_had_not_ended_after_all_stands_again(
    door, clock, tx, to
):
    sale = await make_confirmed(tx, door, now=clock.now())
    for state in (SaleState.ACKNOWLEDGED, SaleState.CANCELLED):
        await service.follow(tx, sale_id=sale.id, state=state, at=clock.now())
    for _ in range(2):
        await service.set_right(tx, sale_id=sale.id, state=to, at=clock.now())
    await tx.flush()
    await tx.refresh(sale)
    assert (sale.state, sale.reversed_at, sale.rejected_reason) == (to, None, None)
    told = select(SaleEvent.facts).where(SaleEvent.step == SaleStep.REVERSAL_UNDONE)
    assert (await tx.scalars(told)).all() == [{"reason": "order_cancelled"}]


@pytest.mark.parametrize("end", [_followed, _followed_among_many])
async def test_what_stands_again_is_reversed_once_more_when_its_order_does_end(
    door, clock, tx, end
):
    sale = await make_confirmed(tx, door, now=clock.now())
    for state in (SaleState.ACKNOWLEDGED, SaleState.REJECTED):
        await service.follow(tx, sale_id=sale.id, state=state, at=clock.now())
    await service.set_right(tx, sale_id=sale.id, state=SaleState.ACKNOWLEDGED, at=clock.now())
    for _ in range(2):
        await end(tx, sale, clock.now() + timedelta(hours=1), None)
    await tx.flush()
    await tx.refresh(sale)
    assert sale.reversed_at == clock.now() + timedelta(hours=1)
    told = select(SaleEvent.facts).where(SaleEvent.step == SaleStep.REVERSED)
    facts = (await tx.scalars(told.order_by(SaleEvent.created_at))).all()
    assert [each.get("again") for each in facts] == [None, 1]
    with pytest.raises(UniqueViolation):
        await service.entered(tx, sale.id, SaleStep.REVERSED, at=clock.now())


async def test_a_customer_may_return_what_stands_again(post, door, clock, tx, returned):
    sale = await make_confirmed(tx, door, now=clock.now())
    for state in (SaleState.ACKNOWLEDGED, SaleState.CANCELLED):
        await service.follow(tx, sale_id=sale.id, state=state, at=clock.now())
    boss = caller_for(Role.SUPERVISOR, door.branch)
    await tx.flush()
    refused = await post(f"/{sale.id}/reversal", returned, by=boss)
    assert slug(refused) == "sale-reversed-already"
    await service.set_right(tx, sale_id=sale.id, state=SaleState.COMPLETED, at=clock.now())
    await tx.flush()
    for _ in range(2):
        answer = await post(f"/{sale.id}/reversal", returned, by=boss)
        assert answer.json()["reversed_at"] is not None
    # What the customer brought back stays so, whatever is judged of the order.
    for state in (SaleState.CANCELLED, SaleState.COMPLETED):
        await service.set_right(tx, sale_id=sale.id, state=state, at=clock.now())
    await tx.flush()
    await tx.refresh(sale)
    assert (sale.state, sale.reversed_at) == (SaleState.COMPLETED, clock.now())
    assert await _reversals(tx) == 2


async def test_what_was_acknowledged_while_it_was_to_be_cancelled_counts_once_it_goes_on(
    door, clock, tx
):
    sale = await make_confirmed(tx, door, now=clock.now())
    by = door.seller.account_id
    await service.ask_to_cancel(tx, sale, known_there=True, reason="…", at=clock.now(), by=by)
    await tx.flush()
    await service.go_on(tx, sale_id=sale.id, state=SaleState.ACKNOWLEDGED, at=clock.now())
    assert sale.acknowledged_at == clock.now()
    steps = await tx.scalars(select(SaleEvent.step).where(SaleEvent.sale_id == sale.id))
    assert {"cancelling", "went_on", "acknowledged"} <= set(steps)


async def test_the_line_of_an_install_is_entered_once(door, clock, tx):
    sale = await make_confirmed(tx, door, now=clock.now())
    order = new_id()
    await service.entered(
        tx, sale.id, SaleStep.INSTALL_ORDERED, at=clock.now(), facts={"work_order_id": order}
    )
    for _ in range(2):
        await service.activated(tx, order, activation_id=new_id(), at=clock.now())
    found = await tx.scalars(select(SaleEvent.facts).where(SaleEvent.step == SaleStep.ACTIVATED))
    assert [facts["work_order_id"] for facts in found] == [str(order)]


async def _reversals(tx):
    rows = await tx.scalars(select(SaleEvent.id).where(SaleEvent.step == SaleStep.REVERSED))
    return len(rows.all())
