"""Follow-ups from completion to care order: surveys, calls, lists and figures over HTTP."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text

from app.auth.models import AuditEntry
from app.auth.rules import Role
from app.core.db import new_id
from app.core.jobs import Worker
from app.customers.models import Interaction
from app.customers.rules import InteractionKind
from app.followups import jobs
from app.followups.models import FollowUp
from app.followups.rules import FollowUpChannel, FollowUpState
from app.messaging.models import Message
from app.privacy.queries import exported_rows
from app.worker import HANDLERS
from app.workorders.models import WorkOrder
from app.workorders.rules import State
from app.worktypes.rules import WorkType
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.customers import make_customer
from tests.make.dispatch import make_territory
from tests.make.followups import PAGE, make_follow_up, make_rule, token_on_telephone
from tests.make.technicians import make_technician
from tests.make.visits import make_assigned_order, make_phone

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
async def branch(tx):
    return await make_org_unit(tx)


@pytest.fixture
def worker(settings, clock, database) -> Worker:
    return Worker(settings.model_copy(update={"survey_url": PAGE}), clock, database)


@pytest.fixture
async def phone(tx, app, http, clock, branch):
    return await make_phone(tx, app, http, clock, org_unit=branch)


@pytest.fixture
def supervisor(tx, app, http, branch):
    """Ask as a supervisor of the branch; each name is an account of its own."""
    accounts = {}

    async def ask(method, path, body=None, *, by="first", unit=None, **query):
        if by not in accounts:
            account = await make_account(tx, unit or branch, role=Role.SUPERVISOR)
            accounts[by] = caller_for(Role.SUPERVISOR, unit or branch, account_id=account.id)
        headers = bearer(app, accounts[by])
        return await http.request(method, f"/v1{path}", json=body, headers=headers, params=query)

    return ask


@pytest.fixture
def completed(tx, branch, clock):
    """Make an order that a technician has completed just now."""

    async def make(technician, customer=None, **fields):
        order = await make_assigned_order(tx, technician, customer, now=clock.now(), **fields)
        order.state, order.completed_at = State.COMPLETED, clock.now()
        await tx.flush()
        return order

    return make


async def the_one(tx, kind):
    return (await tx.scalars(select(kind).execution_options(populate_existing=True))).one()


async def number(tx, kind):
    return await tx.scalar(select(func.count()).select_from(kind))


def slug(answer):
    return answer.json()["type"].removeprefix("urn:yingwei:problem:")


async def told(tx, event):
    rows = await tx.execute(
        text("SELECT args FROM procrastinate_jobs WHERE task_name = :event"), {"event": event}
    )
    return [row.args for row in rows]


async def test_from_completion_to_care_order(tx, app, http, clock, worker, supervisor):
    land = await make_territory(tx)
    helper = await land.add_technician(land.grids[0])
    phone = await make_phone(tx, app, http, clock, org_unit=land.org_unit)
    await make_rule(tx, delay_hours=2)
    place = land.point_in(land.grids[0])
    customer = await make_customer(tx, org_unit=land.org_unit)
    point = (place["lon"], place["lat"])
    order = await make_assigned_order(tx, phone.technician, customer, now=clock.now(), point=point)
    visit_id = await phone.set_out(order)
    await phone.post(f"/visits/{visit_id}/check-in", point=place)
    await phone.complete(visit_id)
    assert jobs.order_completed in HANDLERS["workorder.completed"]
    (facts,) = await told(tx, "workorder.completed")
    for _ in range(2):  # a job can be run twice
        await jobs.order_completed(worker, **facts)
    follow_up = await the_one(tx, FollowUp)
    assert (follow_up.state, follow_up.channel) == (FollowUpState.WAITING, FollowUpChannel.SURVEY)

    await jobs.send_due(worker)
    assert await number(tx, Message) == 0  # its time has not come
    clock.tick(2 * HOUR)
    for _ in range(2):
        await jobs.send_due(worker)
    assert await number(tx, Message) == 1
    assert len((await exported_rows(tx, customer.id))["message"]) == 1
    token = await token_on_telephone(tx, follow_up)
    assert token.encode() not in (await the_one(tx, FollowUp)).token_hash

    shown = await http.get(f"/v1/surveys/{token}")
    assert shown.status_code == 200, shown.text
    assert shown.headers["cache-control"] == "no-store"
    said = shown.json()
    assert said["work_words"] == {"zh": "修障", "en": "repair"}
    assert (said["technician"], said["answer"]) == ("李**", None)
    assert [mark["mark"] for mark in said["marks"]] == [1, 2, 3, 4, 5]
    assert not {"王小明", "15412341234", "碧波园"} & set(shown.text.split('"'))

    body = {"mark": 2, "reasons": ["came_late", "untidy"], "note": "等了两小时"}
    wrong = await http.post(f"/v1/surveys/{token}", json={**body, "reasons": ["on_time"]})
    assert wrong.status_code == 422
    given = await http.post(f"/v1/surveys/{token}", json=body)
    assert given.status_code == 200, given.text
    clock.tick(HOUR)
    again = await http.post(f"/v1/surveys/{token}", json=body)
    assert again.json() == given.json()
    other = await http.post(f"/v1/surveys/{token}", json={**body, "mark": 1})
    assert (other.status_code, slug(other)) == (409, "follow-up-answered-already")
    assert (await http.get(f"/v1/surveys/{token}")).json()["answer"] == given.json()

    (low,) = await told(tx, "followup.low")
    for _ in range(2):
        await jobs.take_care(worker, **low)
    follow_up = await the_one(tx, FollowUp)
    assert (follow_up.mark, follow_up.note) == (2, "等了两小时")
    care = await tx.get_one(WorkOrder, follow_up.care_order_id)
    assert (care.work_type, care.source, care.priority) == (WorkType.CARE, "yingwei", 2)
    assert (care.holder_id, care.customer_id) == (helper.id, customer.id)
    assert "2 分：没有按时上门、施工不整洁" in care.summary
    assert await number(tx, WorkOrder) == 2

    contact = await tx.scalar(
        select(Interaction).where(Interaction.kind == InteractionKind.FOLLOW_UP)
    )
    assert contact is not None and (contact.outcome, contact.work_order_id) == ("2", order.id)
    context = await supervisor("GET", f"/customers/{customer.id}/context", unit=land.org_unit)
    assert context.json()["contacts"]["last_mark"] == 2
    assert context.json()["contacts"]["last_mark_on"] == "2026-03-02"
    kept = [str(vars(entry)) for entry in await tx.scalars(select(AuditEntry))]
    assert not [entry for entry in kept if token in entry or "等了两小时" in entry]


async def test_whom_the_rules_leave_out(tx, worker, phone, completed, clock):
    await make_rule(tx, quiet_days=30)
    await make_rule(tx, work_type=WorkType.CARE, share_percent=0)
    await make_rule(tx, work_type=WorkType.REMOVE, spares_do_not_disturb=False)
    quiet = await make_customer(tx, do_not_disturb=True)
    known = await make_customer(tx)
    who = phone.technician
    made = []
    for customer, fields, follows in (
        (known, {}, True),
        (known, {}, False),  # asked lately
        (quiet, {}, False),
        (quiet, {"work_type": WorkType.REMOVE}, True),  # that rule spares nobody
        (None, {"work_type": WorkType.INSTALL}, False),  # no rule
        (None, {"work_type": WorkType.CARE}, False),  # not drawn
        (None, {"contact_phone": None}, False),
        (None, {"contact_phone": "0731-88812345"}, True),  # a landline is called
    ):
        order = await completed(who, customer, **fields)
        await jobs.order_completed(worker, str(order.id))
        if follows:
            made.append(order.id)
    rows = (await tx.scalars(select(FollowUp).order_by(FollowUp.id))).all()
    assert [row.work_order_id for row in rows] == made
    assert [row.channel for row in rows] == ["survey", "survey", "call"]
    clock.tick(31 * DAY)
    order = await completed(who, known)
    await jobs.order_completed(worker, str(order.id))
    assert await number(tx, FollowUp) == 4
    still_open = await make_assigned_order(tx, who, known, now=clock.now())
    await jobs.order_completed(worker, str(still_open.id))
    assert await number(tx, FollowUp) == 4


async def test_surveys_wait_for_a_page_and_spare_who_asked_for_peace_meanwhile(
    tx, worker, phone, completed, settings, database, clock
):
    await make_rule(tx)
    customer = await make_customer(tx)
    order = await completed(phone.technician, customer)
    await jobs.order_completed(worker, str(order.id))
    await jobs.send_due(Worker(settings, clock, database))
    assert (await the_one(tx, FollowUp)).state is FollowUpState.WAITING
    customer.do_not_disturb = True
    await tx.flush()
    await jobs.send_due(worker)
    assert (await the_one(tx, FollowUp)).state is FollowUpState.SPARED
    assert await number(tx, Message) == 0


async def test_a_link_that_is_over_is_answered_like_one_that_never_was(
    tx, http, worker, phone, completed, clock
):
    await make_rule(tx)
    order = await completed(phone.technician)
    await jobs.order_completed(worker, str(order.id))
    await jobs.send_due(worker)
    token = await token_on_telephone(tx, await the_one(tx, FollowUp))
    clock.tick(7 * DAY)
    over = await http.get(f"/v1/surveys/{token}")
    never = await http.get(f"/v1/surveys/{token[::-1]}")
    for answer in (over, never, await http.post(f"/v1/surveys/{token}", json={"mark": 5})):
        assert (answer.status_code, slug(answer)) == (404, "survey-not-found")
    left = {"instance", "request_id", "facts"}
    assert {k: v for k, v in over.json().items() if k not in left} == {
        k: v for k, v in never.json().items() if k not in left
    }
    await jobs.end_expired(worker)
    row = await the_one(tx, FollowUp)
    assert (row.state, row.token_hash, row.mark) == (FollowUpState.EXPIRED, None, None)
    # Who goes on guessing is made to wait, and counts for nothing at other doors.
    guesses = [await http.get(f"/v1/surveys/guess-{n}") for n in range(20)]
    assert {answer.status_code for answer in guesses} == {404, 429}
    assert guesses[-1].headers["retry-after"] and slug(guesses[-1]) == "too-many-requests"


async def test_calls_are_claimed_made_and_given_up(tx, supervisor, phone, clock, branch):
    rule = await make_rule(tx, channel=FollowUpChannel.CALL)
    customer = await make_customer(tx)
    rows = []
    for _ in range(2):
        order = await make_assigned_order(tx, phone.technician, customer, now=clock.now())
        rows.append(await make_follow_up(tx, rule, order, now=clock.now()))
    first, second = (f"/follow-ups/{row.id}" for row in rows)
    listed = (await supervisor("GET", "/follow-up-calls", size=1)).json()
    assert listed["follow_ups"][0]["contact_name"] == "王**"
    assert "15412341234" not in str(listed)
    page = {"size": 1, "page_token": listed["next_page_token"]}
    assert (await supervisor("GET", "/follow-up-calls", **page)).json()["next_page_token"] is None

    said = {"mark": 5, "reasons": ["friendly"]}
    early = await supervisor("POST", f"{first}/answer", said)
    assert (early.status_code, slug(early)) == (409, "follow-up-not-claimed")
    claimed = await supervisor("POST", f"{first}/claim")
    assert claimed.json()["contact_phone"] == "15412341234"
    looked = await tx.scalar(select(AuditEntry).where(AuditEntry.subject_id == customer.id))
    assert looked is not None and looked.purpose == f"follow_up:{rows[0].id}"
    taken = await supervisor("POST", f"{first}/claim", by="second")
    assert (taken.status_code, slug(taken)) == (409, "follow-up-claimed")
    free = (await supervisor("GET", "/follow-up-calls", by="second")).json()["follow_ups"]
    assert [row["id"] for row in free] == [str(rows[1].id)]
    answered = await supervisor("POST", f"{first}/answer", said)
    assert (answered.json()["state"], answered.json()["mark"]) == ("answered", 5)
    assert (await supervisor("POST", f"{first}/answer", said)).json() == answered.json()
    assert slug(await supervisor("POST", f"{first}/claim")) == "follow-up-not-open"
    assert await told(tx, "followup.low") == []

    for tries, state in ((1, "waiting"), (2, "waiting"), (3, "unreached")):
        assert (await supervisor("POST", f"{second}/claim")).status_code == 200
        past = {"cause": "call_later", "again_at": clock.now().isoformat()}
        assert (await supervisor("POST", f"{second}/no-answer", past)).status_code == 422
        nobody = await supervisor("POST", f"{second}/no-answer", {"cause": "nobody_answered"})
        assert (nobody.json()["tries"], nobody.json()["state"]) == (tries, state)
        assert (await supervisor("GET", "/follow-up-calls")).json()["follow_ups"] == []
        clock.tick(4 * HOUR)
    # Somebody else's branch has no part in it.
    elsewhere = await make_org_unit(tx)
    for path in (first, second):
        answer = await supervisor("POST", f"{path}/claim", by="stranger", unit=elsewhere)
        assert answer.status_code == 404
    claim_of_another = await make_assigned_order(tx, phone.technician, customer, now=clock.now())
    lapsed = await make_follow_up(tx, rule, claim_of_another, now=clock.now())
    await supervisor("POST", f"/follow-ups/{lapsed.id}/claim")
    clock.tick(timedelta(minutes=30))
    assert (
        await supervisor("POST", f"/follow-ups/{lapsed.id}/claim", by="second")
    ).status_code == 200


async def test_lists_and_figures_have_the_number_of_answers_beside_them(
    tx, supervisor, branch, clock
):
    rule = await make_rule(tx)
    people = [await make_technician(tx, org_unit=branch) for _ in range(2)]
    for technician, marks in ((people[0], [5, 4, 1, 5, 2, None]), (people[1], [1, None])):
        for mark in marks:
            order = await make_assigned_order(tx, technician, now=clock.now())
            fields: dict[str, Any] = {
                "state": FollowUpState.ASKED,
                "channel": FollowUpChannel.SURVEY,
            }
            if mark is not None:
                fields.update(state=FollowUpState.ANSWERED, mark=mark, answered_at=clock.now())
            await make_follow_up(tx, rule, order, now=clock.now(), asked_at=clock.now(), **fields)
    days = {"from": "2026-03-02", "until": "2026-03-03"}
    answer = await supervisor("GET", "/follow-up-figures", **days)
    assert answer.status_code == 200, answer.text
    (figures,) = answer.json()["branches"]
    assert (figures["asked"], figures["answered"], figures["low"]) == (8, 6, 3)
    assert (figures["average_mark"], figures["low_share"]) == (3.0, 0.5)
    by_code = {row["code"]: row for row in figures["technicians"]}
    many, few = (by_code[technician.code] for technician in people)
    assert (many["asked"], many["answered"], many["average_mark"]) == (6, 5, 3.4)
    assert (few["asked"], few["answered"], few["average_mark"]) == (2, 1, None)
    other_day = {"from": "2026-03-03", "until": "2026-03-04"}
    assert (await supervisor("GET", "/follow-up-figures", **other_day)).json()["branches"] == []
    backwards = {"from": "2026-03-03", "until": "2026-03-03"}
    assert (await supervisor("GET", "/follow-up-figures", **backwards)).status_code == 422

    low = {"mark_at_most": 2, "size": 2}
    page = (await supervisor("GET", "/follow-ups", **low)).json()
    assert [row["mark"] for row in page["follow_ups"]] == [1, 2]
    rest = {**low, "page_token": page["next_page_token"]}
    page = (await supervisor("GET", "/follow-ups", **rest)).json()
    assert ([row["mark"] for row in page["follow_ups"]], page["next_page_token"]) == ([1], None)
    his = {"technician_id": str(people[1].id), "state": "asked", "channel": "survey"}
    assert len((await supervisor("GET", "/follow-ups", **his)).json()["follow_ups"]) == 1
    elsewhere = await make_org_unit(tx)
    stranger = await supervisor("GET", "/follow-ups", by="stranger", unit=elsewhere)
    assert stranger.json()["follow_ups"] == []
    (shown,) = (await supervisor("GET", "/follow-up-rules")).json()["rules"]
    assert (shown["code"], shown["quiet_days"]) == (rule.code, 30)


async def test_what_an_administrator_says_is_asked_from_its_day_on(
    tx, app, http, branch, phone, clock, worker, completed, supervisor
):
    account = await make_account(tx, branch, role=Role.ADMIN)
    headers = bearer(app, caller_for(Role.ADMIN, branch, account_id=account.id))
    await make_rule(tx)
    body = {
        "id": str(new_id()),
        "code": "np-repair",
        "work_type": "repair",
        "valid_from": "2026-03-02",
        "channel": "call",
        "share_percent": 100,
        "delay_hours": 1,
        "valid_days": 7,
        "quiet_days": 0,
        "spares_do_not_disturb": True,
    }

    async def post(**change):
        return await http.post("/v1/follow-up-rules", json={**body, **change}, headers=headers)

    made = await post()
    assert made.status_code == 201, made.text
    assert (await post()).json() == made.json()
    assert slug(await post(valid_days=8)) == "same-id-other-content"
    assert slug(await post(id=str(new_id()))) == "rule-code-taken"
    new = {"id": str(new_id()), "code": "np-repair-2"}
    assert slug(await post(**new)) == "rule-day-taken"
    assert slug(await post(**new, valid_from="2026-03-01")) == "invalid"
    order = await completed(phone.technician, await make_customer(tx, org_unit=branch))
    await jobs.order_completed(worker, str(order.id))
    asked = await the_one(tx, FollowUp)
    assert (str(asked.rule_id), asked.channel) == (body["id"], FollowUpChannel.CALL)
    url, sent = f"/v1/follow-up-rules/{body['id']}", {"valid_to": "2026-03-03"}
    ended = await http.patch(url, json=sent, headers=headers)
    assert ended.json() == {**made.json(), **sent}
    assert (await supervisor("POST", "/follow-up-rules", body)).status_code == 403
    codes = [one["code"] for one in (await supervisor("GET", "/follow-up-rules")).json()["rules"]]
    assert "np-repair" in codes


async def test_of_two_answers_at_once_one_is_kept(
    real_database, real_app, real_http, settings, clock
):
    async with real_database.begin() as tx:
        phone = await make_phone(tx, real_app, real_http, clock)
        await make_rule(tx)
        customer = await make_customer(tx)
        orders = [
            await make_assigned_order(tx, phone.technician, customer, now=clock.now())
            for _ in range(2)
        ]
        for order in orders:
            order.state, order.completed_at = State.COMPLETED, clock.now()
    worker = Worker(settings.model_copy(update={"survey_url": PAGE}), clock, real_database)
    # Both orders of the customer are completed at once: one is asked about.
    await asyncio.gather(*(jobs.order_completed(worker, str(order.id)) for order in orders))
    await asyncio.gather(jobs.send_due(worker), jobs.send_due(worker))
    async with real_database.begin() as tx:
        token = await token_on_telephone(tx, await the_one(tx, FollowUp))
        assert await number(tx, Message) == 1
    url = f"/v1/surveys/{token}"
    answers = await asyncio.gather(
        *(real_http.post(url, json={"mark": mark}) for mark in (5, 4, 5, 4))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 200, 409, 409]
    async with real_database.read() as read:
        kept = await the_one(read, FollowUp)
        assert {answer.json()["mark"] for answer in answers if answer.status_code == 200} == {
            kept.mark
        }
        assert await number(read, Interaction) == 1
