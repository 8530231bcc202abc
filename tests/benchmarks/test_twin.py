"""The benchmarks' hand-written twin of "my day" does the same job, or its figures mean nothing."""

from collections.abc import AsyncIterator

import httpx
import psycopg
import pytest

from app.auth import tokens
from app.auth.keys import KeyRing
from app.auth.rules import SCOPES, Caller, Role
from app.core.clock import FixedClock, wall
from app.core.db import new_id
from app.core.settings import Settings
from benchmarks import history
from benchmarks.handwritten import HandWritten
from benchmarks.history import Province
from tests.conftest import assembled, http_on

PROVINCE = Province(past=300, technicians=20, customers=50)


@pytest.fixture(scope="module")
def province_url(databases):
    """The address of a small province in the middle of its day."""
    with databases.clone() as url:
        history.write(url, PROVINCE, lambda count: None)
        yield url


@pytest.fixture
def settings(province_url, tmp_path) -> Settings:
    return Settings(database_url=province_url, signing_keys=tmp_path / "keys", log_level="WARNING")


@pytest.fixture
async def both(settings) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    """Clients of the product and of the twin, on one database, at one moment, with one key."""
    clock = FixedClock(history.NOW)
    ours = assembled(settings, clock=clock)
    twin = HandWritten(settings)
    twin.clock = clock
    theirs = twin.app()
    async with (
        ours.router.lifespan_context(ours),
        theirs.router.lifespan_context(theirs),
        http_on(ours) as our_client,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(theirs), base_url="http://twin.test"
        ) as their_client,
    ):
        yield our_client, their_client


def token_of(settings: Settings, person: history.Person, role: Role = Role.TECHNICIAN) -> str:
    caller = Caller(
        new_id(), role, person.org_unit_id, person.org_path, person.id, scopes=SCOPES[role]
    )
    return tokens.issue(KeyRing.load(settings.signing_keys), settings, caller, wall())


async def test_the_twin_gives_the_same_day_and_the_same_tag_to_everybody(
    settings, province_url, both
):
    people = history.people(province_url, PROVINCE.technicians)
    assert len(people) == PROVINCE.technicians
    states = set()
    for person in people:
        bearer = {"authorization": f"Bearer {token_of(settings, person)}"}
        ours, theirs = [await client.get("/v1/my/day", headers=bearer) for client in both]
        assert ours.status_code == theirs.status_code == 200
        assert theirs.json() == ours.json()
        # Ours is packed, and says so; what it says of the day is the same.
        assert ours.headers["etag"] == theirs.headers["etag"].removesuffix('"') + '-gzip"'
        assert len(ours.json()["orders"]) >= history.A_DAY
        states |= {order["state"] for order in ours.json()["orders"]}
        for client, answer in zip(both, (ours, theirs), strict=True):
            again = {**bearer, "if-none-match": answer.headers["etag"]}
            assert (await client.get("/v1/my/day", headers=again)).status_code == 304
    assert states == {"completed", "on_site", "acknowledged", "assigned", "suspended"}


@pytest.mark.parametrize("token", ["", "Bearer nonsense", "Bearer a.b.c"])
async def test_the_twin_refuses_whom_the_product_refuses(both, token):
    answers = [await client.get("/v1/my/day", headers={"authorization": token}) for client in both]
    assert [answer.status_code for answer in answers] == [401, 401]


def test_the_past_is_as_long_as_asked_for(province_url):
    with psycopg.connect(province_url) as connection:
        [[past, everything]] = connection.execute(
            "SELECT count(*) FILTER (WHERE planned_day < '2026-03-02' AND state <> 'suspended'),"
            " count(*) FROM work_order"
        ).fetchall()
    assert (past, everything) == (PROVINCE.past, PROVINCE.orders())
