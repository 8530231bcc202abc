"""What every request meets before any door opens."""

import gzip
from datetime import UTC, datetime
from uuid import UUID

import httpx
import pytest
from pydantic import ValidationError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.requests import Request
from starlette.responses import Response

from app.auth.models import OrgUnit
from app.auth.rules import Role
from app.core.db import new_id
from app.core.http import MOST_BYTES, PROBLEM_JSON, Day, DeviceTime, Input, Moment
from app.core.settings import Settings
from app.core.unchanged import Packing, tagged
from app.main import create_app
from tests.make.auth import bearer, caller_for
from tests.make.visits import make_phone

PIECE = b" " * (1 << 20)

JSON = {"content-type": "application/json"}
XML = {"content-type": "application/xml"}
GZIP = {**JSON, "content-encoding": "gzip"}
BROTLI = {**JSON, "content-encoding": "br"}
PACKED = gzip.compress(b'{"changes": {}}')
# A hundred kilobytes that would be a hundred megabytes.
BOMB = gzip.compress(PIECE * 100, 1)


@pytest.mark.parametrize("path", ["/v1/grid-changes/preview", "/v1/work-orders"])
async def test_a_body_is_read_no_farther_than_it_may_weigh(http, path):
    sent = 0

    async def body():
        nonlocal sent
        while sent < 4 * MOST_BYTES:
            sent += len(PIECE)
            yield PIECE

    answer = await http.post(path, content=body(), headers={"content-type": "application/json"})
    assert answer.status_code == 413
    problem = answer.json()
    assert problem["type"].endswith(":too-large")
    assert problem["facts"] == {"limit": f"{MOST_BYTES} bytes"}
    assert sent <= MOST_BYTES + 2 * len(PIECE)


@pytest.mark.parametrize(
    "method, path, given, status, slug",
    [
        ("GET", "/v1/nowhere", {}, 404, "not-found"),
        ("DELETE", "/v1/accounts", {}, 405, "method-not-allowed"),
        ("DELETE", "/v1/territory/road-map", {}, 405, "method-not-allowed"),
        ("POST", "/v1/auth/token", {"content": b"", "headers": {}}, 422, "invalid"),
        ("GET", "/v1/accounts", {}, 401, "unauthorized"),
        ("POST", "/v1/sync", {"content": b"{", "headers": JSON}, 400, "malformed"),
        ("POST", "/v1/sync", {"content": b"<a/>", "headers": XML}, 415, "unsupported-media"),
        ("POST", "/v1/sync", {"content": b"{}", "headers": BROTLI}, 415, "unsupported-encoding"),
        ("POST", "/v1/sync", {"content": b"{}", "headers": GZIP}, 400, "malformed"),
        ("POST", "/v1/sync", {"content": PACKED[:-9], "headers": GZIP}, 400, "malformed"),
        ("POST", "/v1/sync", {"content": BOMB, "headers": GZIP}, 413, "too-large"),
    ],
)
async def test_whatever_is_wrong_with_a_request_is_told_alike(
    http, clock, method, path, given, status, slug
):
    answer = await http.request(method, path, **given)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    named = ("type", "instance", "title", "status", "detail", "facts", "request_id")
    assert set(problem) == set(named)
    assert problem["instance"] == f"urn:yingwei:request:{problem['request_id']}"
    assert (problem["type"], problem["status"]) == (f"urn:yingwei:problem:{slug}", status)
    assert answer.headers["x-request-id"] == problem["request_id"]
    assert answer.headers["x-server-time"] == "2026-03-02T01:00:00.000Z"
    if status == 405:
        assert answer.headers["allow"] == f"GET, {'POST' if 'accounts' in path else 'PUT'}"


async def test_what_nobody_foresaw_and_a_database_that_is_away_are_told_alike(
    http, app, database, monkeypatch
):
    def away():
        raise PoolTimeout("no connection is free")

    unit = OrgUnit(id=new_id(), path="gd.")
    reader = bearer(app, caller_for(Role.ADMIN, unit))
    monkeypatch.setattr(database, "_reader", away)
    answer = await http.get("/v1/parameters", headers=reader)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.json()["type"] == "urn:yingwei:problem:unavailable"
    monkeypatch.setattr(app.state, "keys", None)
    answer = await http.get("/v1/parameters", headers=reader)
    assert (answer.status_code, answer.headers["content-type"]) == (500, PROBLEM_JSON)
    assert answer.json()["type"] == "urn:yingwei:problem:problem"


async def test_answers_are_packed_for_those_who_can_unpack_them(http, app):
    unit = OrgUnit(id=new_id(), path="gd.")
    reader = bearer(app, caller_for(Role.ADMIN, unit))
    sizes = {}
    for packing in ("gzip", "identity"):
        answer = await http.get("/v1/parameters", headers={**reader, "accept-encoding": packing})
        assert answer.headers.get("content-encoding", "identity") == packing
        assert answer.headers["vary"] == "Accept-Encoding"
        sizes[packing] = int(answer.headers["content-length"])
    assert sizes["gzip"] < sizes["identity"] / 3
    few = await http.get("/healthz", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in few.headers


async def test_a_packed_push_is_read_and_a_small_one_that_would_be_large_is_not(http, app):
    unit = OrgUnit(id=new_id(), path="gd.")
    phone = bearer(app, caller_for(Role.TECHNICIAN, unit, technician_id=new_id()))
    packed = gzip.compress(b'{"changes": {}, "last_pulled_at": "x"}')
    answer = await http.post("/v1/sync", content=packed, headers={**GZIP, **phone})
    assert [one["field"] for one in answer.json()["facts"]["errors"]] == ["last_pulled_at"]


LONG_ID = "{019cac1b-0a00-7f7a-8c11-6d2c0d1f5b10}"
LONG_MOMENT = "2026-03-02T08:00:00.123456789012345%2B08:00"


@pytest.mark.parametrize(
    "path, field",
    [
        (f"/v1/accounts?org_unit_id={LONG_ID}", "org_unit_id"),
        (f"/v1/technicians/{LONG_ID}", "technician_id"),
        ("/v1/offerings?day=2026-03-02T00:00:00Z", "day"),
        (f"/v1/audit?since={LONG_MOMENT}", "since"),
        ("/v1/offerings/%00", "code"),
    ],
)
async def test_what_is_longer_than_its_form_or_no_text_is_refused(http, app, path, field):
    reader = bearer(app, caller_for(Role.ADMIN, OrgUnit(id=new_id(), path="gd.")))
    answer = await http.get(path, headers=reader)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:yingwei:problem:invalid")
    assert [one["field"] for one in answer.json()["facts"]["errors"]] == [field]


class Sent(Input):
    at: Moment | None = None
    ids: tuple[UUID, ...] = ()
    words: tuple[str, ...] = ()
    text: str = ""


@pytest.mark.parametrize(
    "sent",
    [
        {"at": "2026-03-02T08:00:00.123456789012345+08:00"},
        {"ids": [LONG_ID]},
        {"words": ["a", "b\x00"]},
        {"text": "\x00"},
    ],
)
def test_a_body_is_held_to_the_same(sent):
    with pytest.raises(ValidationError):
        Sent.model_validate(sent)
    kept = Sent.model_validate({"at": "2026-03-02T08:00:00.123456789+08:00", "text": "x" * 99})
    assert kept.at is not None


class Dated(Input):
    moment: Moment | None = None
    day: Day | None = None
    device_at: DeviceTime | None = None


ENDS = ["0001-01-01T00:00:00+08:00", "9999-12-31T23:59:59-08:00"]


@pytest.mark.parametrize("end", ENDS)
def test_what_somebody_dates_at_the_ends_of_the_calendar_is_refused(end):
    for sent in ({"moment": end}, {"day": end[:10]}):
        with pytest.raises(ValidationError, match="between the years 2000 and 2099"):
            Dated.model_validate(sent)
    kept = Dated.model_validate({"moment": "2099-12-31T23:59:59-08:00", "day": "2000-01-01"})
    assert kept.moment is not None and kept.day is not None


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (ENDS[0], datetime(1900, 1, 1, tzinfo=UTC)),
        (ENDS[1], datetime(2999, 12, 31, tzinfo=UTC)),
        ("1970-01-01T08:00:07+08:00", datetime(1970, 1, 1, 0, 0, 7, tzinfo=UTC)),
    ],
)
def test_what_a_clock_says_that_was_never_set_is_kept_as_far_as_it_can_be(said, kept):
    assert Dated.model_validate({"device_at": said}).device_at == kept


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
@pytest.mark.parametrize(
    "path",
    [
        "/v1/my/day?day={day}",
        "/v1/sales?made_from={day}T00:00:00%2B08:00",
        "/v1/sales?made_until={day}T00:00:00-08:00",
        "/v1/offerings?day={day}",
        "/v1/offerings/SPEED-1000?day={day}",
        "/v1/toolkits?day={day}",
    ],
)
async def test_who_asks_for_a_day_at_an_end_of_the_calendar_is_told(
    tx, http, app, clock, path, day
):
    phone = await make_phone(tx, app, http, clock)
    answer = await http.get(path.format(day=day), headers=phone.headers)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:yingwei:problem:invalid")


async def test_a_packed_answer_has_a_tag_of_its_own_and_either_is_known():
    body = b"much the same " * 100

    async def serve(scope, receive, send):
        request = Request(scope)
        answer = tagged(request, Response(body, media_type="application/json"))
        await answer(scope, receive, send)

    served = httpx.ASGITransport(Packing(serve, minimum_size=1000))
    async with httpx.AsyncClient(transport=served, base_url="http://test") as client:
        tags = {}
        for packing in ("gzip", "identity"):
            answer = await client.get("/", headers={"accept-encoding": packing})
            assert (answer.status_code, answer.content) == (200, body)
            tags[packing] = answer.headers["etag"]
        assert tags["gzip"] == tags["identity"][:-1] + '-gzip"'
        for tag in tags.values():
            for said in (tag, f"W/{tag}", f'"other", {tag}'):
                again = await client.get("/", headers={"if-none-match": said})
                assert (again.status_code, again.content) == (304, b"")
                assert again.headers["etag"] == tag
        news = await client.get("/", headers={"if-none-match": '"other-gzip"'})
        assert news.status_code == 200


async def test_a_page_of_another_address_may_ask_where_the_operator_says_so():
    app = create_app(Settings(allowed_origins="https://map.example.org https://b.example.org"))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test"
    ) as client:
        for origin, allowed in (("https://b.example.org", True), ("https://evil.example", False)):
            asked = {"origin": origin, "access-control-request-method": "PATCH"}
            first = await client.options("/v1/evidence/uploads/x", headers=asked)
            assert (first.status_code == 200) is allowed
            answer = await client.get("/healthz", headers={"origin": origin})
            assert answer.headers.get("access-control-allow-origin") == (
                origin if allowed else None
            )
