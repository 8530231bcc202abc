"""A document is checked at the door; what is kept of it, and what is said when nobody answers."""

import json
import logging
from datetime import timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import select, text

from app.auth.models import AuditEntry
from app.auth.rules import Role
from app.core.db import new_id
from app.core.jobs import Worker
from app.real_name import jobs
from app.real_name.models import RealNameCheck
from app.real_name.queries import state_of
from app.real_name.rules import RealNameState
from app.real_name.simulator import BASE_PATH, Dials, create_simulator
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.customers import make_customer
from tests.make.platforms import served
from tests.make.real_name import HASH_KEYS, resident_id
from tests.make.visits import make_assigned_order, make_phone

NUMBER = resident_id()
TOKEN = "we-carry-this"


@pytest.fixture(scope="module")
def register(tmp_path_factory):
    app = create_simulator(tmp_path_factory.mktemp("real-name") / "checks.db", Dials(), token=TOKEN)
    with served(app) as origin:
        yield app, origin + BASE_PATH


@pytest.fixture
def dial(register):
    application, _ = register

    def turn(**dials):
        application.state.dials = Dials(**dials)

    turn()
    return turn


@pytest.fixture
def settings(settings, register):
    return settings.model_copy(
        update={
            "real_name_url": register[1],
            "real_name_token": SecretStr(TOKEN),
            "real_name_hash_keys": SecretStr(HASH_KEYS),
            "log_level": "INFO",
        }
    )


@pytest.fixture
async def door(tx, app, http, clock, dial):
    """A phone at the door of a customer, with the visit's id."""
    branch = await make_org_unit(tx)
    customer = await make_customer(tx, org_unit=branch)
    phone = await make_phone(tx, app, http, clock, org_unit=branch)
    order = await make_assigned_order(tx, phone.technician, customer, now=clock.now())
    return phone, await phone.arrive(order), customer


def body(number=NUMBER, **fields):
    return {"id": str(new_id()), "document": "resident_id", "number": number, **fields}


async def standing(tx, customer):
    known = await state_of(tx, customer.id)
    return known and known.state


async def test_a_passed_check_is_good_for_its_time_and_only_its_ends_are_kept(
    tx, app, http, clock, door
):
    phone, visit_id, customer = door
    asked = body(number=f"{NUMBER[:6]} {NUMBER[6:]}".lower())
    answer = await phone.post(f"/visits/{visit_id}/real-name-check", **asked)
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert (told["state"], told["good"], told["last4"]) == ("passed", True, NUMBER[-4:])
    assert told["age_group"] == "adult"
    row = await tx.get(RealNameCheck, asked["id"])
    assert NUMBER not in str(vars(row)) and row.id_hash is not None and row.id_key == "k1"
    # Whoever may read the card reads it beside the card.
    read = await phone.get(f"/customers/{customer.id}/real-name")
    assert (read.status_code, read.json()) == (200, told)
    elsewhere = caller_for(Role.SUPERVISOR, await make_org_unit(tx))
    url = f"/v1/customers/{customer.id}/real-name"
    assert (await http.get(url, headers=bearer(app, elsewhere))).status_code == 404
    known = await state_of(tx, customer.id)
    assert known is not None
    assert known.good(clock.now()) and not known.good(clock.now() + timedelta(days=181))
    # The same again, with the number or without it, is answered alike and not checked again.
    for again in (asked, {**asked, "number": None}):
        repeated = await phone.post(f"/visits/{visit_id}/real-name-check", **again)
        assert (repeated.status_code, repeated.json()) == (201, told)
    other = {**asked, "number": resident_id(nth=18)}
    refused = await phone.post(f"/visits/{visit_id}/real-name-check", **other)
    assert refused.json()["type"].endswith("same-id-other-content")


async def test_what_fails_says_why_and_what_to_do(tx, door, dial):
    phone, visit_id, customer = door
    dial(mismatch=1)
    told = (await phone.post(f"/visits/{visit_id}/real-name-check", **body())).json()
    assert (told["state"], told["good"], told["code"]) == ("failed", False, "mismatch")
    assert told["words"] and told["then"]
    dial()
    told = (await phone.post(f"/visits/{visit_id}/real-name-check", **body())).json()
    assert told["state"] == "passed"
    assert await standing(tx, customer) is RealNameState.PASSED


async def test_without_an_answer_nothing_is_known_until_it_is_looked_up(
    tx, settings, database, clock, door, dial
):
    phone, visit_id, customer = door
    dial(error_after=1)
    asked = body()
    told = (await phone.post(f"/visits/{visit_id}/real-name-check", **asked)).json()
    assert (told["state"], told["good"], told["code"]) == ("unknown", False, "no_answer")
    await tx.execute(text("UPDATE real_name_check SET next_look_at = now() - interval '1 s'"))
    await tx.commit()
    worker = Worker(settings, clock, database)
    await jobs.sweep(worker)
    await worker._ends.aclose()
    assert await standing(tx, customer) is RealNameState.PASSED


async def test_a_check_that_did_not_arrive_needs_its_number_again(tx, door, dial):
    phone, visit_id, _ = door
    dial(error_before=1)
    asked = body()
    told = (await phone.post(f"/visits/{visit_id}/real-name-check", **asked)).json()
    assert told["state"] == "unknown"
    dial()
    looked = await phone.post(f"/visits/{visit_id}/real-name-check", **{**asked, "number": None})
    assert (looked.json()["state"], looked.json()["code"]) == ("unknown", "not_asked")
    needed = await phone.post(f"/visits/{visit_id}/real-name-check", **{**asked, "number": None})
    assert needed.json()["type"].endswith("document-number-needed")
    assert (await phone.post(f"/visits/{visit_id}/real-name-check", **asked)).json()["good"]


async def test_refusals_leave_nothing_behind(tx, app, http, clock, door):
    phone, visit_id, _ = door
    stranger = await make_phone(tx, app, http, clock)
    url = f"/visits/{visit_id}/real-name-check"
    wrong = await phone.post(url, **body(number=NUMBER[:-1] + ("1" if NUMBER[-1] != "1" else "2")))
    assert wrong.json()["type"].endswith("document-number-not-right")
    assert "check digit" in wrong.json()["detail"]
    assert (await phone.post(url, **body(number=None))).json()["type"].endswith("number-needed")
    assert (await stranger.post(url, **body())).status_code == 404
    app.state.real_name, kept = None, app.state.real_name
    unset = await phone.post(url, **body())
    app.state.real_name = kept
    assert (unset.status_code, unset.json()["facts"]["reason"]) == (503, "YINGWEI_REAL_NAME_URL")
    assert not (await tx.scalars(select(RealNameCheck))).all()


async def test_no_number_reaches_the_log_the_trail_or_any_table(tx, door, dial, caplog, capfd):
    """A canary: a number goes in by every way a request can take, and is looked for everywhere."""
    phone, visit_id, _ = door
    url = f"/visits/{visit_id}/real-name-check"
    caplog.set_level(logging.DEBUG)
    asked = body()
    await phone.post(url, **asked)
    dial(error_after=1)
    await phone.post(url, **body())
    await phone.post(url, **{**asked, "document": "passport"})
    answers = [
        await phone.post(url, **body(number=NUMBER + "5")),
        await phone.post(url, **body(document=NUMBER)),
        await phone.post(url, **{**asked, "extra": NUMBER}),
    ]
    assert [answer.status_code for answer in answers] == [422] * 3
    said = caplog.text + "".join(capfd.readouterr()) + "".join(each.text for each in answers)
    said += json.dumps([entry.changes for entry in await tx.scalars(select(AuditEntry))])
    tables = await tx.scalars(
        text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    )
    for table in tables.all():
        rows = await tx.scalars(text(f'SELECT t::text FROM "{table}" AS t LIMIT 50'))
        said += "".join(rows.all()) if "geom" not in table else ""
    assert NUMBER not in said
