"""Who sees whom: by every door that could tell, the name behind an order is the holder's alone, and
the log never has it."""

import io
import json
import re
import sys

import pytest
import structlog
from psycopg import errors
from pydantic import BaseModel, ValidationError
from sqlalchemy.exc import IntegrityError

from app.auth.rules import Role
from app.core import log
from app.core.settings import Settings
from app.privacy.rules.register import REGISTER, Kind
from tests.house.pages import ROOT
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.customers import make_address, make_contact, make_customer, make_subscription
from tests.make.visits import make_assigned_order, make_phone

# What of the customer nobody else may read; the compound and the building they may.
SECRETS = ("王小明", "15412341234", "1203室", "07318881234")

# Doors that tell of one customer, order or visit by its id or code.
ABOUT_ONE = re.compile(r"\{(customer_id|customer|order_id|work_order_id|visit_id)\}")

NOTHING = "01956f3a-6b00-7000-8000-0000000000aa"

# Kinds of the register that say who somebody is, or where.
WHO = {Kind.IDENTITY, Kind.CONTACT, Kind.PLACE, Kind.SERVICE}
# What the register has of people as the last word of a column: `name` of `contact_name`.
PERSONAL = {
    name
    for table in REGISTER.values()
    if table.whose is not None
    for name, column in table.columns.items()
    if column.kind in WHO or column.kind is Kind.WORDS
}


def personal(part, document, known=None):
    """Tell which words for people a part of the description says, or what it refers to."""
    known = {} if known is None else known
    named = {
        key
        for properties in re.findall(r"'properties': (\{.*)", str(part))
        for key in re.findall(r"'(\w+)': \{", properties)
    } & PERSONAL
    for name in re.findall(r"#/components/schemas/([\w.-]+)", str(part)):
        if name not in known:
            known[name] = named  # whatever refers to itself ends here
            known[name] = personal(document["components"]["schemas"][name], document, known)
        named |= known[name]
    return named


@pytest.fixture
async def branch(tx):
    return await make_org_unit(tx)


@pytest.fixture
async def held(tx, app, http, clock, branch):
    """A customer whose order a technician has at the door, and that technician's phone."""
    customer = await make_customer(
        tx, org_unit=branch, code="KH-1", name="王小明", phone="15412341234"
    )
    await make_address(tx, customer)
    await make_subscription(tx, customer, service_number="07318881234")
    await make_contact(tx, customer, at=clock.now())
    phone = await make_phone(tx, app, http, clock, org_unit=branch)
    order = await make_assigned_order(tx, phone.technician, customer, now=clock.now())
    visit_id = await phone.restore(order)
    return {
        "phone": phone,
        "customer_id": customer.id,
        "customer": customer.id,
        "order_id": order.id,
        "work_order_id": order.id,
        "visit_id": visit_id,
    }


# Whoever has nothing to do with this customer.
STRANGERS = {"colleague", "foreign supervisor", "foreign admin", "foreign system"}
# Who tries each door; the others try those that tell of one customer.
THOROUGH = {"colleague", "supervisor", "foreign supervisor"}


@pytest.fixture
async def callers(tx, app, http, clock, branch):
    """Everybody who is not the holder, by a word for them."""
    colleague = await make_phone(tx, app, http, clock, org_unit=branch)
    elsewhere = await make_org_unit(tx)
    made = {"colleague": colleague.headers}
    for word, role, unit in (
        ("supervisor", Role.SUPERVISOR, branch),
        ("admin", Role.ADMIN, branch),
        ("system", Role.INTEGRATION, branch),
        ("foreign supervisor", Role.SUPERVISOR, elsewhere),
        ("foreign admin", Role.ADMIN, elsewhere),
        ("foreign system", Role.INTEGRATION, elsewhere),
    ):
        account = await make_account(tx, unit, role=role)
        made[word] = bearer(app, caller_for(role, unit, account_id=account.id))
    return made


@pytest.fixture(scope="session")
def document():
    """What is served, by its description, which the house's checks hold to the code."""
    return json.loads((ROOT / "api_docs" / "openapi.json").read_text("utf-8"))


def filled(path, held):
    """Fill a path with what is known of the order, and with the ids and numbers of nothing."""

    def told(found):
        return str(held.get(found[1]) or (0 if found[1] in "xyz" else NOTHING))

    return re.sub(r"\{(\w+)\}", told, path)


def doors(document, held):
    """List what can be read of anything that the register has about people, by path."""
    found = {}
    for path, operations in document["paths"].items():
        if "get" not in operations or not operations["get"].get("security", True):
            continue
        answers = operations["get"]["responses"].get("200", {}).get("content", {})
        tells = personal(answers, document)
        # A picture says what is in it without a name for it.
        if tells or ABOUT_ONE.search(path) or path.endswith(".mvt"):
            found[path] = filled(path, held)
    for way in ("code=KH-1", "service_number=07318881234"):
        found[f"/v1/customers?{way}"] = f"/v1/customers?{way}"
    return found


def told_of(answer):
    """Give what is the same whoever asks for what is not there."""
    return answer.status_code, {
        name: value
        for name, value in answer.json().items()
        if name not in ("instance", "request_id")
    }


async def test_nobody_but_the_holder_reads_who_it_is(document, http, held, callers, written):
    urls = doors(document, held)
    assert len(urls) > 60
    for who, headers in callers.items():
        # A service is known to those of its own units by its number, and is asked for by it.
        hidden = SECRETS if who in STRANGERS else SECRETS[:-1]
        leaks = []
        for path, url in urls.items():
            if who not in THOROUGH and not ABOUT_ONE.search(path):
                continue
            answer = await http.get(url, headers=headers)
            assert answer.status_code < 500, (url, answer.text)
            told = answer.text.replace(url, "")
            leaks += [(who, url, secret) for secret in hidden if secret in told]
            if who.startswith("foreign") and ABOUT_ONE.search(path):
                # What lies elsewhere is refused like what is nowhere.
                absent = await http.get(filled(path, {}), headers=headers)
                assert told_of(answer) == told_of(absent), (who, url)
        assert leaks == []
    phone = held["phone"]
    contacts = filled("/v1/customers/{customer}/contacts", held)
    for headers, status in ((callers["colleague"], 404), (phone.headers, 200)):
        assert (await http.get(contacts, headers=headers)).status_code == status
    told_by = {
        path
        for path, url in urls.items()
        if "王小明" in (await phone.http.get(url, headers=phone.headers)).text
    }
    # Each leaves an entry in the trail: a look at the card, taking the order on, and each pull.
    assert told_by == {"/v1/customers/{customer_id}/context", "/v1/my/day", "/v1/sync"}
    lines = written()
    assert len(lines) > len(urls) * len(THOROUGH)
    assert [line for line in lines if any(secret in line for secret in SECRETS)] == []


# --- what is written into the log -----------------------------------------------------------------


@pytest.fixture
def written(monkeypatch):
    """Give the lines of the log from here on, as a server writes them."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    before = structlog.get_config()
    log.set_up(Settings(log_level="INFO"))
    fresh = structlog.get_logger("yingwei")
    monkeypatch.setattr("app.core.surroundings.log", fresh)
    yield lambda: stream.getvalue().splitlines()
    structlog.configure(**before)


CANARY = "赵真金 13912345678 110101199003074444 碧波园3栋1203室"


async def test_whatever_is_sent_of_people_stays_out_of_the_log(
    document, http, held, callers, written
):
    """Bodies that speak of people are refused or taken, and either way nothing of it is logged."""
    asked = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {})
            named = personal(content, document)
            if not named:
                continue
            body = dict.fromkeys(named, CANARY)
            asked += 1
            for headers in (held["phone"].headers, callers["admin"]):
                answer = await http.request(method, filled(path, held), json=body, headers=headers)
                # A platform that nobody has set up cannot be asked.
                assert answer.status_code not in (500, 502), (path, written()[-2:])
    assert asked > 30
    assert [line for line in written() if "赵真金" in line or "13912345678" in line] == []


async def test_what_nobody_foresaw_is_logged_without_what_it_was_about(app, http, written):
    """Errors of PostgreSQL, of SQLAlchemy and of pydantic quote the values they are about."""

    class Named(BaseModel):
        name: int

    def failing() -> None:
        try:
            Named.model_validate({"name": CANARY})
        except ValidationError as error:
            cause = errors.CheckViolation(
                f'new row violates "ck"\nDETAIL:  Failing row contains ({CANARY}).\n'
                f'CONTEXT:  COPY customer, line 3, column name: "{CANARY}"'
            )
            raise IntegrityError("INSERT", {"name": CANARY}, cause) from error

    app.add_api_route("/v1/fails", failing)
    answer = await http.get("/v1/fails")
    assert answer.status_code == 500
    (line,) = [one for one in written() if "unexpected" in one]
    assert "CheckViolation" in line and "ValidationError" in line
    assert "赵真金" not in line and "13912345678" not in line and "1203" not in line
