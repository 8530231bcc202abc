"""Bad debts: nothing is sold on credit, what is paid for beforehand may be, and one is reminded."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from app.core.db import new_id
from app.customers.models import Interaction
from app.customers.rules import InteractionKind
from app.lifecycle.rules import Stage
from app.suggestions.rules import HeldBack
from app.suggestions.rules.answering import guard_in
from app.suggestions.rules.reminding import HOW_TO_PAY, SAYS, SELF_SERVICE, reminded_of, said
from seed.city import HERE
from seed.dated import load_levers
from tests.make.catalog import make_offering
from tests.make.lifecycle import make_lifecycle
from tests.suggestions.test_deciding import asked, shown, why

PREPAID: Mapping[str, Any] = {
    "code": "PREPAID-12",
    "levers": ["bad_debt"],
    "prepaid": True,
    "requires": ["broadband"],
    "margin_12m_fen": 9_000,
    "expert_rate": 0.1,
}


@pytest.mark.parametrize(
    ("arrears_fen", "blacklisted", "code"),
    [
        (None, None, None),
        (0, False, None),
        (12_050, False, "arrears"),
        (12_050, True, "arrears"),
        (0, True, "blacklisted"),
        (None, True, "blacklisted"),
    ],
)
def test_of_what_one_is_reminded(arrears_fen, blacklisted, code):
    assert reminded_of(arrears_fen, blacklisted=blacklisted) == code


def test_a_reminder_says_how_much_and_how_to_pay_in_both_languages():
    assert "120.5 元" in said(HeldBack.ARREARS, 12_050).zh
    assert "120.5 yuan" in said(HeldBack.ARREARS, 12_050).en
    for words in (*SAYS.values(), HOW_TO_PAY, SELF_SERVICE):
        assert words.zh != words.en


@pytest.mark.parametrize(
    ("true", "suggested", "prepaid", "code"),
    [
        ({"arrears"}, True, False, "arrears"),
        ({"arrears"}, False, False, "arrears"),
        ({"arrears"}, True, True, None),
        ({"blacklisted"}, False, False, "blacklisted"),
        ({"blacklisted"}, False, True, None),
        ({"arrears", "complaint_open"}, True, True, "complaint_open"),
        ({"do_not_disturb"}, False, False, None),
        ({"do_not_disturb", "arrears"}, False, False, "arrears"),
    ],
)
def test_which_guard_counts_for_a_sale(true, suggested, prepaid, code):
    names = ("not_restored", "do_not_disturb", "complaint_open", "arrears", "blacklisted")
    facts = {name: name in true for name in names}
    assert guard_in(facts, suggested=suggested, prepaid=prepaid) == code


@pytest.fixture
async def owing(tx, customer, line, catalogue):
    customer.arrears_fen = 12_000
    await tx.flush()
    await make_offering(tx, **PREPAID)


@pytest.mark.usefixtures("owing")
async def test_who_owes_is_offered_what_is_paid_for_beforehand_and_reminded(
    tx, phone, customer, order, clock
):
    visit_id = await phone.restore(order)
    read = await asked(phone, visit_id)
    assert shown(read) == ["PREPAID-12"]
    assert [why(read)[code] for code in ("FTTH-1000", "FTTR-2")] == ["arrears", "arrears"]
    assert read["reminder"]["code"] == "arrears"
    assert "120 yuan" in read["reminder"]["words"]
    assert "120 元" in (await asked(phone, visit_id, "zh"))["reminder"]["words"]

    body = {"id": str(new_id()), "device_at": clock.now().isoformat()}
    told = await phone.post(f"/visits/{visit_id}/reminder", **body)
    assert (told.status_code, told.json()["kind"]) == (200, "service")
    assert (await phone.post(f"/visits/{visit_id}/reminder", **body)).json() == told.json()
    (contact,) = (await tx.scalars(select(Interaction))).all()
    assert (contact.kind, contact.work_order_id) == (InteractionKind.SERVICE, order.id)
    # It was service of this very visit, so it keeps nobody from what may be offered there.
    assert shown(await asked(phone, visit_id)) == ["PREPAID-12"]

    async def sold(*codes, suggestion=None):
        items = [{"offering_code": code, "quantity": 1} for code in codes]
        if suggestion is not None:
            items[0]["suggestion_id"] = suggestion
        return await phone.post("/sales", id=str(new_id()), visit_id=str(visit_id), items=items)

    refused = await sold("PREPAID-12", "TV-4K")
    assert refused.status_code == 409
    assert refused.json()["facts"]["reason"] == "arrears"
    best = read["offers"][0]["suggestion_id"]
    answer = {"id": str(new_id()), "answer": "accepted", "device_at": clock.now().isoformat()}
    assert (await phone.post(f"/suggestions/{best}/answer", **answer)).json()["opens_sale"]
    assert (await sold("PREPAID-12", suggestion=best)).status_code == 201


@pytest.mark.usefixtures("owing")
async def test_where_nothing_is_paid_for_beforehand_the_debt_is_the_reason(
    tx, phone, customer, order
):
    customer.blacklisted, customer.arrears_fen = True, 0
    await make_lifecycle(tx, customer, stage=Stage.EXIT)
    await load_levers(tx, (HERE / "levers.yaml").read_text(encoding="utf-8"))
    read = await asked(phone, await phone.restore(order))
    assert read["offers"] == []
    assert (read["nothing_because"]["code"], read["reminder"]["code"]) == ("blacklisted",) * 2


async def test_who_owes_nothing_is_reminded_of_nothing(phone, line, catalogue, order, clock):
    visit_id = await phone.restore(order)
    assert (await asked(phone, visit_id))["reminder"] is None
    body = {"id": str(new_id()), "device_at": (clock.now() - timedelta(minutes=1)).isoformat()}
    refused = await phone.post(f"/visits/{visit_id}/reminder", **body)
    assert refused.status_code == 409
    assert refused.json()["type"].endswith("nothing-owed")
