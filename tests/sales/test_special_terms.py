"""An approved code is used by one sale, and its customer pays what was approved."""

import asyncio
from datetime import date, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from app.auth.keys import KeyRing
from app.auth.rules import Role
from app.core.db import new_id
from app.core.errors import Problem
from app.core.jobs import Worker
from app.lifecycle.rules import ChurnClass, Tier
from app.messaging.rules import MessageKind
from app.phone import rules as phone
from app.retention.models import RetentionCase, SpecialTerms
from app.retention.queries.terms import lock_customer
from app.retention.rules import Arm, CaseState, Cause, Handling, TermsState
from app.retention.service.terms import end_expired
from app.sales import jobs, queries, service
from app.sales.models import Sale, SaleItem
from app.sales.rules import Line, SaleState
from app.suggestions.models import SuggestionLever
from tests.make.acceptance import texts_about
from tests.make.auth import bearer, caller_for, make_account
from tests.make.catalog import make_offering
from tests.make.consent import request_body, write_back
from tests.make.counting import counted
from tests.make.customers import make_customer
from tests.make.lifecycle import make_lifecycle
from tests.make.races import last_to_see_a_deadlock, until_waiting
from tests.make.retention import make_terms, make_toolkit
from tests.make.sales import agree, consent_body, jobs_of, make_door, make_draft, sale_body, shown
from tests.sales.conftest import fill_catalogue, slug

CONTACT = {"phone": "13900000077", "relation": "child"}


@pytest.fixture
def keys(tmp_path):
    return KeyRing.load(tmp_path / "keys")


@pytest.fixture
async def toolkit(tx):
    await make_toolkit(tx, offers=["SPEED-1000", "TV-4K"])


@pytest.fixture
def approve(tx, door, keys, toolkit, clock):
    async def approved(code="SPEED-1000", *, customer=None, **terms):
        return await make_terms(tx, customer or door.customer, code, keys, now=clock.now(), **terms)

    return approved


def line(code, **fields):
    return {"offering_code": "SPEED-1000", "approval_code": code, **fields}


async def state_of(tx, special):
    """Where special terms stand, and for which sale they were used."""
    row = await tx.get_one(SpecialTerms, special.id, populate_existing=True)
    return row.state, row.redeemed_for


async def refusal(post, door, *items):
    answer = await post("", sale_body(door, *items))
    return answer.status_code, slug(answer), answer.json()["facts"]


async def test_from_the_code_to_what_the_customer_pays(post, door, tx, clock, approve):
    special, code = await approve()
    told = {"seen_discount_percent": 20, "seen_discount_months": 6}
    body = sale_body(door, line(code.lower(), **told), {"offering_code": "TV-4K"})
    made = await post("", body)
    assert made.status_code == 201, made.text
    assert (await post("", body)).json() == made.json()
    reduced, plain = made.json()["items"]
    # The catalogue's price stays beside what is paid; so does what is earned.
    assert (reduced["monthly_price_fen"], reduced["commission_fen"]) == (12900, 3000)
    assert reduced["special_terms_id"] == str(special.id)
    assert (reduced["discount_percent"], reduced["discount_months"]) == (20.0, 6)
    assert reduced["discounted_monthly_price_fen"] == 10320
    assert {name: plain[name] for name in plain if "discount" in name} == {
        "discount_percent": None,
        "discount_months": None,
        "discounted_monthly_price_fen": None,
    }
    # A draft uses nothing up.
    assert await state_of(tx, special) == (TermsState.APPROVED, None)

    # A phone without a network comes to the same hash of what was shown.
    items = [
        phone.Item("SPEED-1000", 1, 12900, 5000, 0, phone.Terms(code, 20, 6)),
        phone.Item("TV-4K", 1, 2000, 0, 0),
    ]
    assert phone.agreed_text("…", "…", items).splitlines()[-2:] == [
        "item SPEED-1000 1 12900 5000 0 10320 6",
        "item TV-4K 1 2000 0 0",
    ]
    agreed = phone.agreed_hash(body["id"], str(door.customer.id), items)
    assert made.json()["shown_sha256"] == agreed
    # And whoever is asked by message reads it.
    await post(f"/{body['id']}/consent-requests", request_body())
    assert (
        "首6个月每月 ¥123.20，之后每月 ¥149.00"
        in (await texts_about(tx, MessageKind.CONSENT_CODE, body["id"]))[-1]
    )
    assert await state_of(tx, special) == (TermsState.APPROVED, None)

    confirmed = await post(f"/{body['id']}/confirm", consent_body(clock.now(), agreed))
    assert confirmed.json()["state"] == "confirmed", confirmed.text
    again = await post(f"/{body['id']}/confirm", consent_body(clock.now(), agreed))
    assert again.json() == confirmed.json()
    sale = await tx.get_one(Sale, body["id"], populate_existing=True)
    assert await state_of(tx, special) == (TermsState.REDEEMED, sale.id)
    rows = [*vars(sale).values(), *vars(await tx.get_one(SaleItem, reduced["id"])).values()]
    assert code not in str(rows)


async def test_a_code_is_for_its_customer_and_offering_and_what_was_told(
    post, door, tx, clock, approve
):
    special, code = await approve()
    neighbour = await make_customer(tx, org_unit=door.branch)
    _, theirs = await approve(customer=neighbour)
    for item, name in (
        (line("AAAAA-AAAAA"), "approval-code-unknown"),
        (line(theirs), "approval-code-for-other"),
        ({"offering_code": "TV-4K", "approval_code": code}, "approval-code-for-other"),
    ):
        assert (await refusal(post, door, item))[:2] == (409, name)
    for told, seen in (
        ({"seen_discount_percent": 25}, {"percent": 25, "months": 6}),
        ({"seen_discount_months": 12}, {"percent": 20, "months": 12}),
    ):
        status, name, facts = await refusal(post, door, line(code, **told))
        assert (status, name) == (409, "discount-changed")
        assert (facts["seen"], facts["now"]) == (seen, {"percent": 20, "months": 6})
    bare = {"offering_code": "SPEED-1000", "seen_discount_percent": 20}
    assert (await refusal(post, door, bare))[:2] == (422, "invalid")
    clock.tick(timedelta(hours=72))
    assert (await refusal(post, door, line(code)))[:2] == (409, "approval-code-over")
    special.state = TermsState.WITHDRAWN
    await tx.flush()
    assert (await refusal(post, door, line(code)))[:2] == (409, "approval-code-unknown")


async def test_nobody_gives_themselves_the_managers_code(app, http, post, door, tx, clock, toolkit):
    """What is the manager's is not opened by terms that take nothing off, which a technician has
    asked for and nobody else has agreed to."""
    await make_offering(tx, code="RENEW", levers=["renewal"], business_type="retention")
    tx.add(
        SuggestionLever(
            id=new_id(),
            code="renewal",
            lever="renewal",
            org_path="",
            manager_tiers=["A"],
            valid_from=date(2020, 1, 1),
        )
    )
    await make_lifecycle(tx, door.customer, tier=Tier.A)
    manager = {"hand": "manager", "discount_percent": 30, "months": 12}
    await make_toolkit(
        tx, kind="renewal", offers=["RENEW"], mandates=[manager], approval=["manager"], steps=[]
    )
    assert (await refusal(post, door, {"offering_code": "RENEW"}))[1] == "not-sold-at-the-door"
    asked = {
        "id": str(new_id()),
        "customer_id": str(door.customer.id),
        "kind": "renewal",
        "offering_code": "RENEW",
        "discount_percent": 0,
        "months": 0,
        "reason": "不用优惠",
    }
    technician = bearer(app, door.seller)
    answer = await http.post("/v1/special-terms", json=asked, headers=technician)
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert (told["state"], told["path"], told["code"]) == ("waiting", ["manager"], None)
    account = await make_account(tx, door.branch, role=Role.ADMIN)
    boss = bearer(app, caller_for(Role.ADMIN, door.branch, account_id=account.id))
    path = f"/v1/special-terms/{asked['id']}"
    await http.post(f"{path}/approve", json={"reason": "同意"}, headers=boss)
    code = (await http.get(path, headers=technician)).json()["code"]
    sold = await post("", sale_body(door, {"offering_code": "RENEW", "approval_code": code}))
    assert sold.status_code == 201, sold.text


async def test_a_code_is_good_for_one_thing(post, door, tx, clock, approve):
    _, code = await approve()
    again = {"offering_code": "SPEED-1000", "approval_code": code.lower().replace("-", " ")}
    for items in ([line(code, quantity=2)], [line(code), {"offering_code": "TV-4K"}, again]):
        status, name, facts = await refusal(post, door, *items)
        assert (status, name) == (422, "approval-code-for-one")
        assert facts["offering"] == "SPEED-1000"
    # Another of the same is sold beside it, at the price of the catalogue.
    beside = {"offering_code": "SPEED-1000", "quantity": 2}
    made = (await post("", sale_body(door, line(code), beside))).json()
    assert [one["discount_percent"] for one in made["items"]] == [20.0, None]


async def test_a_code_is_good_when_the_customer_agrees_not_when_the_phone_has_a_network(
    post, door, tx, clock, approve
):
    special, code = await approve()
    clock.tick(timedelta(hours=71, minutes=30))
    sold_at = clock.now()
    door.visit.checked_in_at = sold_at - timedelta(minutes=20)
    await tx.flush()
    clock.tick(timedelta(hours=2))
    assert await end_expired(tx, now=clock.now()) == 1
    assert (await refusal(post, door, line(code)))[1] == "approval-code-over"
    late = sale_body(door, line(code), device_at=clock.now().isoformat())
    assert slug(await post("", late)) == "approval-code-over"
    # Nothing was sold before anybody was at the door, whatever a phone says.
    early = {"device_at": (sold_at - timedelta(hours=2)).isoformat()}
    door.visit.checked_in_at = sold_at + timedelta(hours=1)
    await tx.flush()
    assert slug(await post("", sale_body(door, line(code), **early))) == "approval-code-over"
    # Where the check-in was offline, too, the phone's time of it counts.
    door.visit.check_in_device_at = sold_at - timedelta(minutes=20)
    await tx.flush()
    body = sale_body(door, line(code), device_at=sold_at.isoformat())
    made = await post("", body)
    assert made.status_code == 201, made.text
    agreed = consent_body(clock.now(), made.json()["shown_sha256"])
    over = await post(f"/{body['id']}/confirm", agreed)
    assert slug(over) == "approval-code-over"
    agreed = consent_body(sold_at + timedelta(minutes=3), made.json()["shown_sha256"])
    confirmed = await post(f"/{body['id']}/confirm", agreed)
    assert confirmed.json()["state"] == "confirmed", confirmed.text
    assert await state_of(tx, special) == (TermsState.REDEEMED, UUID(body["id"]))


@pytest.mark.parametrize(("then", "counts"), [("open", True), ("used", True), ("over", False)])
async def test_a_late_sale_does_not_get_terms_that_others_have_followed(
    post, door, tx, clock, approve, then, counts
):
    _, code = await approve()
    sold_at = clock.now()
    clock.tick(timedelta(hours=73))
    # The phone that sold with the first code has been without a network since.
    _, other = await approve(percent=10)
    if then == "used":
        made = (await post("", sale_body(door, line(other)))).json()
        await agree(tx, door, UUID(made["id"]), now=clock.now())
    elif then == "over":
        clock.tick(timedelta(hours=72))
    late = await post("", sale_body(door, line(code), device_at=sold_at.isoformat()))
    assert late.status_code == (409 if counts else 201), late.text
    if counts:
        assert slug(late) == "approval-code-over"


async def test_terms_that_take_nothing_off_are_sold_at_the_price_of_the_catalogue(
    post, door, tx, clock, approve
):
    _, code = await approve(percent=0, months=0)
    made = (await post("", sale_body(door, line(code)))).json()
    (item,) = made["items"]
    assert (item["discount_percent"], item["discounted_monthly_price_fen"]) == (0, None)
    plain = (await post("", sale_body(door, {"offering_code": "SPEED-1000"}))).json()
    items = [phone.Item("SPEED-1000", 1, 12900, 5000, 0)]
    for sale in (made, plain):
        customer = str(door.customer.id)
        assert sale["shown_sha256"] == phone.agreed_hash(sale["id"], customer, items)


async def test_what_becomes_of_the_code_between_the_draft_and_the_consent(
    post, door, tx, clock, approve
):
    special, code = await approve()
    first, second, third = [(await post("", sale_body(door, line(code)))).json() for _ in "123"]
    await post(f"/{third['id']}/cancel")
    assert await state_of(tx, special) == (TermsState.APPROVED, None)
    await agree(tx, door, UUID(first["id"]), now=clock.now())
    used = await post(f"/{second['id']}/confirm", consent_body(clock.now(), second["shown_sha256"]))
    assert (used.status_code, slug(used)) == (409, "approval-code-used")
    # Nobody is asked to agree to what cannot be had, nor is it put together anew.
    asked = await post(f"/{second['id']}/consent-requests", request_body())
    assert slug(asked) == "approval-code-used"
    assert (await refusal(post, door, line(code)))[1] == "approval-code-used"
    assert await jobs_of(tx) == [first["id"]]

    _, later = await approve("TV-4K")
    item = {"offering_code": "TV-4K", "approval_code": later}
    late = (await post("", sale_body(door, item))).json()
    clock.tick(timedelta(hours=72))
    over = await post(f"/{late['id']}/confirm", consent_body(clock.now(), late["shown_sha256"]))
    assert (over.status_code, slug(over)) == (409, "approval-code-over")


@pytest.mark.parametrize(
    ("how", "stands"),
    [
        ("withdrawn", TermsState.APPROVED),
        ("refused", TermsState.APPROVED),
        # Its time was over before the week was in which somebody could have agreed.
        ("lapsed", TermsState.EXPIRED),
    ],
)
async def test_a_sale_that_never_counted_gives_the_code_back(
    post, door, tx, clock, approve, how, stands, settings, database
):
    door.customer.elderly = True
    special, code = await approve()
    waits = await make_draft(
        tx, door, now=clock.now(), lines=[Line("SPEED-1000", 1, approval_code=code)]
    )
    agreed = consent_body(clock.now(), await shown(tx, waits.id))
    answer = await post(f"/{waits.id}/confirm", {**agreed, "second_contact": CONTACT})
    assert answer.json()["state"] == "second_confirmation"
    # It is this sale's while somebody else is asked.
    assert await state_of(tx, special) == (TermsState.REDEEMED, waits.id)
    assert (await refusal(post, door, line(code)))[1] == "approval-code-used"
    if how == "withdrawn":
        await post(f"/{waits.id}/cancel")
    elif how == "refused":
        await write_back(tx, CONTACT["phone"], "不同意", now=clock.now())
    else:
        clock.tick(timedelta(days=9))
        await jobs.look_after_consent(Worker(settings, clock, database))
    await tx.flush()
    sale = await tx.get_one(Sale, waits.id, populate_existing=True)
    assert sale.state is SaleState.CANCELLED
    assert await state_of(tx, special) == (stands, None)
    if stands is TermsState.APPROVED:
        door.customer.elderly = False
        made = (await post("", sale_body(door, line(code)))).json()
        await agree(tx, door, UUID(made["id"]), now=clock.now())
        assert (await state_of(tx, special))[0] is TermsState.REDEEMED


async def _rejected(tx, sale, at):
    await service.follow(tx, sale_id=sale.id, state=SaleState.REJECTED, at=at, reason="…")


async def _rejected_among_many(tx, sale, at):
    await tx.flush()
    await service.follow_many(tx, {sale.id: service.News(SaleState.REJECTED, "…")}, at=at)


async def _called_off(tx, sale, at):
    locked = await queries.for_change(tx, sale.id)
    await service.ask_to_cancel(tx, locked, known_there=False, reason="…", at=at, by=None)


async def _judged(tx, sale, at):
    await service.set_right(tx, sale_id=sale.id, state=SaleState.CANCELLED, at=at, reason="…")


ENDS = [_rejected, _rejected_among_many, _called_off, _judged]


async def sold(tx, door, clock, code):
    lines = [Line("SPEED-1000", 1, approval_code=code)]
    draft = await make_draft(tx, door, now=clock.now(), lines=lines)
    return await agree(tx, door, draft.id, now=clock.now())


@pytest.mark.parametrize("end", ENDS)
async def test_an_order_that_was_never_taken_gives_the_code_back(door, tx, clock, approve, end):
    special, code = await approve()
    sale = await sold(tx, door, clock, code)
    await end(tx, sale, clock.now())
    assert await state_of(tx, special) == (TermsState.APPROVED, None)
    again = await sold(tx, door, clock, code)
    assert await state_of(tx, special) == (TermsState.REDEEMED, again.id)


@pytest.mark.parametrize("end", [_rejected, _rejected_among_many, _judged])
async def test_an_order_that_was_taken_has_used_the_code(door, tx, clock, approve, end):
    special, code = await approve()
    sale = await sold(tx, door, clock, code)
    await service.follow(tx, sale_id=sale.id, state=SaleState.ACKNOWLEDGED, at=clock.now())
    await end(tx, sale, clock.now())
    assert await state_of(tx, special) == (TermsState.REDEEMED, sale.id)


async def test_news_of_many_sales_ask_for_codes_only_where_there_are_some(
    door, tx, clock, approve, database
):
    _, code = await approve()
    coded = await sold(tx, door, clock, code)
    plain = []
    for _ in "123":
        plain.append(await make_draft(tx, door, now=clock.now()))
        await agree(tx, door, plain[-1].id, now=clock.now())
    no = service.News(SaleState.REJECTED, "…")
    with counted(database) as sent:
        await service.follow_many(tx, {sale.id: no for sale in plain}, at=clock.now())
    assert len(sent) == 1
    await service.follow_many(tx, {coded.id: no}, at=clock.now())


@pytest.mark.parametrize(
    ("then", "refused"),
    [
        (None, None),
        ("its time passes", None),
        ("another sale has it", "approval-code-used"),
        ("it is withdrawn", "approval-code-unknown"),
    ],
)
async def test_a_sale_that_is_set_right_has_its_code_again(door, tx, clock, approve, then, refused):
    special, code = await approve()
    sale = await sold(tx, door, clock, code)
    await _rejected(tx, sale, clock.now())
    if then == "its time passes":
        clock.tick(timedelta(hours=100))
    elif then == "another sale has it":
        await sold(tx, door, clock, code)
    elif then == "it is withdrawn":
        special.state = TermsState.WITHDRAWN
        await tx.flush()
    right = service.set_right(tx, sale_id=sale.id, state=SaleState.COMPLETED, at=clock.now())
    if refused:
        with pytest.raises(Problem) as refusal:
            await right
        assert refusal.value.slug == refused
    else:
        await right
        assert await state_of(tx, special) == (TermsState.REDEEMED, sale.id)


async def test_of_two_who_wait_for_each_other_the_job_begins_anew(
    real_database, keys, clock, settings
):
    """A phone's push holds the customer and goes on to the sale; the job that lets the sale lapse
    holds the sale, and the code that it gives back needs the customer."""
    async with real_database.begin() as tx:
        await fill_catalogue(tx)
        door = await make_door(tx, now=clock.now())
        (await tx.merge(door.customer)).elderly = True
        await make_toolkit(tx, offers=["SPEED-1000"])
        special, code = await make_terms(tx, door.customer, "SPEED-1000", keys, now=clock.now())
        lines = [Line("SPEED-1000", 1, approval_code=code)]
        sale = await make_draft(tx, door, now=clock.now(), lines=lines)
        await agree(tx, door, sale.id, now=clock.now())
    clock.tick(timedelta(days=9))
    async with real_database.begin() as gate, real_database.begin() as push:
        await last_to_see_a_deadlock(push)
        await queries.for_change(gate, sale.id)
        await lock_customer(push, door.customer.id)
        job = asyncio.create_task(jobs.look_after_consent(Worker(settings, clock, real_database)))
        await until_waiting(real_database)
        going_on = asyncio.create_task(queries.for_change(push, sale.id))
        await until_waiting(real_database, number=2)
        await gate.rollback()
        await going_on
    await job
    async with real_database.read() as read:
        assert (await read.get_one(Sale, sale.id)).state is SaleState.CANCELLED
        assert await state_of(read, special) == (TermsState.EXPIRED, None)


async def test_a_second_yes_keeps_the_code_used(post, door, tx, clock, approve):
    door.customer.elderly = True
    special, code = await approve()
    made = (await post("", sale_body(door, line(code)))).json()
    agreed = consent_body(clock.now(), made["shown_sha256"])
    await post(f"/{made['id']}/confirm", {**agreed, "second_contact": CONTACT})
    (asked,) = await texts_about(tx, MessageKind.SECOND_CONFIRMATION, made["id"])
    assert "首6个月每月 ¥103.20，之后每月 ¥129.00" in asked
    clock.tick(timedelta(days=4))
    await write_back(tx, CONTACT["phone"], "Y", now=clock.now())
    sale = await tx.get_one(Sale, made["id"], populate_existing=True)
    assert sale.state is SaleState.CONFIRMED
    assert await state_of(tx, special) == (TermsState.REDEEMED, sale.id)


async def test_of_two_sales_at_once_one_has_the_code(real_database, keys, clock):
    async with real_database.begin() as tx:
        await fill_catalogue(tx)
        door = await make_door(tx, now=clock.now())
        await make_toolkit(tx, offers=["SPEED-1000"])
        special, code = await make_terms(tx, door.customer, "SPEED-1000", keys, now=clock.now())
        lines = [Line("SPEED-1000", 1, approval_code=code)]
        first, second = [await make_draft(tx, door, now=clock.now(), lines=lines) for _ in "12"]

    async def other():
        async with real_database.begin() as tx:
            await agree(tx, door, second.id, now=clock.now())

    async with real_database.begin() as tx:
        await agree(tx, door, first.id, now=clock.now())
        waiting = asyncio.create_task(other())
        await until_waiting(real_database)
    with pytest.raises(Problem) as refused:
        await waiting
    assert refused.value.slug == "approval-code-used"
    async with real_database.read() as read:
        assert await state_of(read, special) == (TermsState.REDEEMED, first.id)
        assert (await read.get_one(Sale, second.id)).state is SaleState.DRAFT
        assert await jobs_of(read) == [str(first.id)]


async def test_two_phones_sell_with_one_code_in_one_go(real_database, keys, clock):
    """As a push does: each puts its sale together and confirms it in one transaction."""
    async with real_database.begin() as tx:
        await fill_catalogue(tx)
        door = await make_door(tx, now=clock.now())
        await make_toolkit(tx, offers=["SPEED-1000"])
        special, code = await make_terms(tx, door.customer, "SPEED-1000", keys, now=clock.now())
    lines = [Line("SPEED-1000", 1, approval_code=code)]

    both_drafted = asyncio.Barrier(2)

    async def push():
        async with real_database.begin() as tx:
            sale = await make_draft(tx, door, now=clock.now(), lines=lines)
            await both_drafted.wait()
            await agree(tx, door, sale.id, now=clock.now())

    ends = await asyncio.gather(push(), push(), return_exceptions=True)
    (refused,) = [end for end in ends if end is not None]
    # Neither has undone the other by waiting for it in a circle.
    assert isinstance(refused, Problem) and refused.slug == "approval-code-used"
    async with real_database.read() as read:
        state, used_for = await state_of(read, special)
        confirmed = (
            await read.scalars(select(Sale.id).where(Sale.confirmed_at.is_not(None)))
        ).all()
        assert (state, [used_for]) == (TermsState.REDEEMED, confirmed)


@pytest.mark.parametrize("whole", [True, False])
async def test_the_levers_tell_what_was_sold_at_a_discount_and_stands(
    app, http, post, door, tx, clock, approve, whole
):
    await make_lifecycle(
        tx, door.customer, tier=Tier.A, value_12m_fen=120_000, churn_class=ChurnClass.LOW
    )
    _, code = await approve(percent=30, months=12)
    supervisor = bearer(app, caller_for(Role.SUPERVISOR, door.branch, account_id=new_id()))
    long_ago = clock.now() - timedelta(days=1)
    tx.add(
        RetentionCase(
            org_unit_id=door.branch.id,
            customer_id=door.customer.id,
            cause=Cause.CHURN_HIGH,
            handling=Handling.CALL,
            arm=Arm.TREATED,
            share_percent=10.0,
            state=CaseState.DONE,
            value_12m_fen=120_000,
            decided_at=long_ago,
            ask_at=long_ago,
            ends_at=clock.now(),
            closed_at=clock.now(),
        )
    )
    await tx.flush()

    async def told():
        day = clock.now().date()
        period = {"from": str(day - timedelta(days=2)), "until": str(day + timedelta(days=2))}
        answer = await http.get("/v1/levers", params=period, headers=supervisor)
        assert answer.status_code == 200, answer.text
        (keeping,) = [one for one in answer.json()["levers"] if one["lever"] == "retention"]
        harm, beside = keeping["harm"], keeping["beside"]
        return harm["numerator"], harm["denominator"], beside["denominator"]

    made = (await post("", sale_body(door, {"offering_code": "TV-4K"}, line(code)))).json()
    assert await told() == (0, 0, 1)
    await agree(tx, door, UUID(made["id"]), now=clock.now())
    assert await told() == (84_000, 1, 0)
    # What was taken back, as a whole or alone, has cost nothing.
    await service.follow(tx, sale_id=UUID(made["id"]), state=SaleState.ACKNOWLEDGED, at=clock.now())
    if whole:
        await service.follow(
            tx, sale_id=UUID(made["id"]), state=SaleState.CANCELLED, at=clock.now()
        )
    else:
        item = await tx.get_one(SaleItem, made["items"][1]["id"])
        item.reversed_at = clock.now()
    await tx.flush()
    assert await told() == (0, 0, 1)
