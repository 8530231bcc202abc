"""Rules of care are set and ended by administrators, and the next warning goes by them."""

from app.core.db import new_id
from app.lifecycle.rules import ChurnClass, Tier
from app.retention.service.warnings import act
from tests.make.customers import make_address, make_customer
from tests.make.lifecycle import make_lifecycle
from tests.make.retention import make_care_rule, make_warning
from tests.retention.conftest import slug
from tests.retention.test_cases import set_numbers


def rule(code="np-keep", **fields):
    return {
        "id": str(new_id()),
        "code": code,
        "valid_from": "2026-03-02",
        "place": 10,
        "tiers": ["A"],
        "handling": "visit",
        "priority": 2,
        **fields,
    }


async def test_a_warning_goes_by_the_rule_that_was_just_set(tx, office, clock):
    await set_numbers(tx, clock, holdout_percent=0)
    await make_care_rule(tx, handling="nothing")
    customer = await make_customer(tx, org_unit=office.branch)
    await make_address(tx, customer)
    await make_lifecycle(tx, customer, tier=Tier.A, churn_class=ChurnClass.HIGH)
    await make_warning(tx, customer, at=clock.now())
    assert await act(tx, office.branch.id, now=clock.now()) == []
    made = await office.ok("admin", "POST", "/care-rules", rule(handling="call"))
    (case,) = await act(tx, office.branch.id, now=clock.now())
    assert (str(case.rule_id), case.handling) == (made["id"], "call")


async def test_a_place_has_one_rule_at_a_time_and_what_was_is_not_rewritten(office):
    body = rule()
    first = await office.ok("admin", "POST", "/care-rules", body)
    assert await office.ok("admin", "POST", "/care-rules", body) == first

    async def post(who="admin", **fields):
        return await office.ask(who, "POST", "/care-rules", {**body, **fields})

    assert slug(await post(priority=1)) == (409, "same-id-other-content")
    new = {"id": str(new_id())}
    assert slug(await post(**new)) == (409, "rule-code-taken")
    new["code"] = "np-keep-2"
    taken = await post(**new, valid_from="2026-04-01")
    assert slug(taken) == (409, "care-place-taken")
    assert taken.json()["facts"]["code"] == "np-keep"
    assert slug(await post(**new, valid_from="2026-03-01")) == (422, "invalid")

    async def end(day, who="admin"):
        url = f"/care-rules/{body['id']}"
        return await office.ask(who, "PATCH", url, {"valid_to": day})

    assert slug(await end("2026-03-02")) == (422, "invalid")  # the day has begun
    assert (await end("2026-04-01")).json()["valid_to"] == "2026-04-01"
    assert (await end("2026-04-01")).status_code == 200
    assert slug(await end("2026-04-02")) == (422, "invalid")
    assert (await post(**new, valid_from="2026-04-01")).status_code == 201
    assert (await post()).json()["valid_to"] == "2026-04-01"
    told = await office.ok("supervisor", "GET", "/care-rules")
    assert [(one["code"], one["valid_from"]) for one in told["rules"]] == [
        ("np-keep", "2026-03-02"),
        ("np-keep-2", "2026-04-01"),
    ]
    assert (await post("supervisor")).status_code == 403
    assert (await end("2026-03-20", "supervisor")).status_code == 403
