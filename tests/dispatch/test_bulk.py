"""Orders by the thousand: a verdict for each line, and no line lost for another's sake."""

import json
import string
from datetime import UTC, date, datetime

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from app.auth.rules import Role
from app.core import colliding
from app.core.colliding import TRIES
from app.core.errors import Unavailable
from app.core.parameter_values import ParameterValue
from app.dispatch import rules
from app.dispatch.lines import Line
from app.dispatch.schemas.intake import order_from
from app.dispatch.service import bulk, intake
from app.dispatch.service.placing import FilledMeanwhile, choose_all
from app.technicians import availability
from app.technicians.availability import Promised
from app.workorders.models import WorkOrder
from app.workorders.rules import Draft
from app.workorders.service.intake import write
from tests.make.auth import bearer, caller_for
from tests.make.counting import counted
from tests.make.dispatch import Territory, make_territory, ndjson, order
from tests.make.races import COLLIDES, at_once

TODAY = date(2026, 3, 2)
NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


@pytest.fixture
async def land(tx) -> Territory:
    """Two grids side by side, each with a primary."""
    territory = await make_territory(tx, grids=2)
    for grid in territory.grids:
        await territory.add_technician(grid)
    return territory


@pytest.fixture
def send(app, http, land):
    """Send lines in bulk and read the verdicts; `lang` is the words' language."""

    async def post(body: bytes, *, lang="en", role=Role.INTEGRATION):
        headers = {
            **bearer(app, caller_for(role, land.org_unit)),
            "content-type": "application/x-ndjson",
            "accept-language": lang,
        }
        answer = await http.post("/v1/work-orders/bulk", content=body, headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/x-ndjson"
        return [orjson.loads(line) for line in answer.content.splitlines()]

    return post


async def known(tx) -> list[str]:
    return list(await tx.scalars(select(WorkOrder.external_id).order_by(WorkOrder.external_id)))


async def test_each_line_gets_its_verdict(land, send, tx):
    point = land.point_in(land.grids[0])
    verdicts = await send(
        ndjson(
            order("F-1", point=point),
            b"{broken",
            b"",
            order("F-2"),
            order("F-3", work_type="paint"),
            b"[1, 2]",
            order("F-1", point=point),
            order("F-1", summary="other"),
            order("F-4", point=land.point_in(land.grids[1])),
        )
    )
    assert [
        (one["line"], one["external_id"], one["verdict"], one["reason"]) for one in verdicts
    ] == [
        (1, "F-1", "placed", None),
        (2, None, "refused", None),
        (4, "F-2", "unplaced", "no_point"),
        (5, "F-3", "refused", None),
        (6, None, "refused", None),
        (7, "F-1", "duplicate", None),
        (8, "F-1", "refused", None),
        (9, "F-4", "placed", None),
    ]
    slugs = {one["line"]: one["problem"]["type"] for one in verdicts if one["problem"]}
    assert slugs == {
        2: "urn:yingwei:problem:malformed",
        5: "urn:yingwei:problem:invalid",
        6: "urn:yingwei:problem:invalid",
        8: "urn:yingwei:problem:same-order-other-content",
    }
    assert verdicts[3]["problem"]["facts"]["errors"][0]["field"] == "work_type"
    assert verdicts[5]["id"] == verdicts[0]["id"]
    assert await known(tx) == ["F-1", "F-2", "F-4"]


async def test_the_words_come_in_the_callers_language(send):
    [verdict] = await send(b"{broken", lang="zh")
    assert verdict["problem"]["title"] == "请求无法解析"


async def test_sending_again_doubles_nothing(land, send, tx):
    body = ndjson(*(order(f"F-{n}", point=land.point_in(land.grids[n % 2])) for n in range(6)))
    first, again = await send(body), await send(body)
    assert {one["verdict"] for one in first} == {"placed"}
    assert {one["verdict"] for one in again} == {"duplicate"}
    assert [one["id"] for one in first] == [one["id"] for one in again]
    assert (
        await tx.scalar(select(func.sum(text("orders"))).select_from(text("technician_day"))) == 6
    )


async def test_one_order_and_many_are_decided_alike(land, send, http, app, tx):
    point = land.point_in(land.grids[0])
    [many] = await send(ndjson(order("F-1", point=point)))
    one = await http.post(
        "/v1/work-orders",
        json=order("F-2", point=point),
        headers=bearer(app, caller_for(Role.INTEGRATION, land.org_unit)),
    )
    rows = (await tx.execute(select(WorkOrder).order_by(WorkOrder.external_id))).scalars().all()
    assert (str(rows[0].id), str(rows[1].id)) == (many["id"], one.json()["id"])
    for name in ("state", "grid_id", "holder_id", "planned_day", "due_at", "estimated_minutes"):
        assert getattr(rows[0], name) == getattr(rows[1], name)


async def test_empty_bodies_have_no_verdicts(send):
    assert await send(b"") == await send(b"\n\n  \n") == []


# --- limits ---------------------------------------------------------------------------------------


@pytest.fixture
def limit(tx, database):
    """Set a parameter for everybody."""

    async def put(parameter, value):
        tx.add(
            ParameterValue(
                name=parameter.name, valid_from=datetime(2020, 1, 1, tzinfo=UTC), value=value
            )
        )
        await tx.flush()
        database.cache.clear()

    return put


async def test_a_line_that_is_too_long_is_refused_alone(send, limit, tx):
    await limit(rules.LONGEST_LINE, 1024)
    verdicts = await send(ndjson(order("F-1", summary="x" * 1500), order("F-2")))
    assert [(one["line"], one["verdict"]) for one in verdicts] == [(1, "refused"), (2, "unplaced")]
    problem = verdicts[0]["problem"]
    assert problem["type"] == "urn:yingwei:problem:too-large"
    assert problem["detail"] == "The limit is 1024 bytes a line; split it and send the parts."
    assert await known(tx) == ["F-2"]


async def test_lines_beyond_the_most_are_refused_together(send, limit, tx):
    await limit(rules.MOST_LINES, 3)
    verdicts = await send(ndjson(*(order(f"F-{n}") for n in range(1, 8))))
    assert [(one["line"], one["through"], one["verdict"]) for one in verdicts] == [
        (1, 1, "unplaced"),
        (2, 2, "unplaced"),
        (3, 3, "unplaced"),
        (4, 7, "refused"),
    ]
    assert verdicts[3]["problem"]["facts"] == {"limit": "3 lines"}
    assert await known(tx) == ["F-1", "F-2", "F-3"]


# --- chunks ---------------------------------------------------------------------------------------


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(bulk, "CHUNK", 3)


@pytest.mark.usefixtures("small_chunks")
async def test_a_duplicate_is_known_across_chunks(land, send):
    names = ["F-1", "F-2", "F-3", "F-1", "F-4", "F-2", "F-5"]
    verdicts = await send(ndjson(*(order(name) for name in names)))
    assert [one["verdict"] for one in verdicts] == [
        *["unplaced"] * 3,
        "duplicate",
        "unplaced",
        "duplicate",
        "unplaced",
    ]


@pytest.mark.usefixtures("small_chunks")
async def test_an_order_nobody_foresaw_is_refused_alone(send, monkeypatch, tx):
    sound = write

    async def fails_at_five(tx, orders, sender):
        await sound(tx, orders, sender)
        if any(one.draft.external_id == "F-5" for one in orders):
            raise ZeroDivisionError

    monkeypatch.setattr(intake, "write", fails_at_five)
    verdicts = await send(ndjson(*(order(f"F-{n}") for n in range(1, 9))))
    assert [one["verdict"] for one in verdicts] == [*["unplaced"] * 4, "refused", *["unplaced"] * 3]
    assert verdicts[4]["problem"]["type"] == "urn:yingwei:problem:problem"
    assert await known(tx) == [f"F-{n}" for n in (1, 2, 3, 4, 6, 7, 8)]


@pytest.mark.usefixtures("small_chunks")
async def test_when_the_database_cannot_serve_the_rest_is_refused_at_once(send, monkeypatch):
    tried = []

    async def away(*_args, **_kwargs):
        tried.append(1)
        raise Unavailable(retry_after=2, reason="test")

    monkeypatch.setattr(bulk, "take_in", away)
    verdicts = await send(ndjson(*(order(f"F-{n}") for n in range(12))))
    assert {one["verdict"] for one in verdicts} == {"refused"}
    assert {one["problem"]["type"] for one in verdicts} == {"urn:yingwei:problem:unavailable"}
    assert len(verdicts) == 12
    assert len(tried) == 2


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("times", [1, 4, 5, 1000])
async def test_a_chunk_that_collides_with_others_is_taken_in_once_more(
    send, monkeypatch, tx, times
):
    left, sound = [True] * times, intake.take_in

    async def collides(tx, *given, **more):
        taken = await sound(tx, *given, **more)
        if left:
            left.pop()
            await tx.execute(COLLIDES)
        return taken

    monkeypatch.setattr(bulk, "take_in", collides)
    monkeypatch.setattr(colliding, "breathe", at_once)
    names = [f"F-{n:02}" for n in range(12)]
    verdicts = await send(ndjson(*map(order, names)))
    # Where it does not end the chunk is to be sent again; the next one is tried all the same.
    lost = min(times // TRIES, 4) * 3
    assert [one["verdict"] for one in verdicts] == ["refused"] * lost + ["unplaced"] * (12 - lost)
    assert await known(tx) == names[lost:]
    assert len(left) == max(times - 4 * TRIES, 0)


async def test_when_others_fill_the_days_placing_begins_again_with_the_days_locked(
    land, send, monkeypatch, tx
):
    async def late(*args, locking=False, **kwargs):
        choices = await choose_all(*args, locking=locking, **kwargs)
        if not locking:
            raise FilledMeanwhile
        return choices

    monkeypatch.setattr(intake, "choose_all", late)
    [verdict] = await send(ndjson(order("F-1", point=land.point_in(land.grids[0]))))
    assert verdict["verdict"] == "placed"
    holder = await tx.scalar(select(WorkOrder.holder_id))
    assert await availability.promised(tx, holder, TODAY) == Promised(60, 1)


async def test_a_chunk_costs_as_many_statements_as_one_order(land, send, database):
    points = [land.point_in(grid) for grid in land.grids]
    # Parameters, org units, promises and what is known of ways are read.
    await send(ndjson(order("F-0", point=points[0])))
    with counted(database) as few:
        await send(ndjson(order("F-1", point=points[0])))
    with counted(database) as many:
        await send(ndjson(*(order(f"G-{n}", point=points[n % 2]) for n in range(60))))
    # Sixty are more than the grids' own people can do today: the rest of the org unit is asked.
    assert len(few) <= 11
    assert len(many) <= len(few) + 4


# --- whatever is sent -----------------------------------------------------------------------------


def as_text(value) -> bytes:
    """Write JSON as others may: huge numbers, NaN and escaped surrogates included."""
    return json.dumps(value).encode()


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.text(st.characters(categories=["Cs", "Cc"]), max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
damaged_orders = st.builds(
    lambda name, value: order(**{name: value}),
    st.sampled_from([*order(), "id", "point", "skills", "appointment_from", "org_unit_code"]),
    json_values,
).map(as_text)
anything = (
    st.binary(max_size=80).filter(lambda line: b"\n" not in line)
    | json_values.map(as_text)
    | damaged_orders
    | st.text(alphabet=string.printable, max_size=60).map(
        lambda words: words.replace("\n", " ").encode()
    )
)


@given(anything)
def test_any_line_is_an_order_or_a_refusal_with_words(line):
    external_id, read = order_from(Line(1, line), NOW, longest=65_536)
    assert external_id is None or len(external_id) <= 128
    if isinstance(read, Draft):
        assert read.source
        assert read.external_id
        assert len(read.content_hash) == 32
    else:
        assert read.status in (400, 413, 422)
        assert read.detail("zh")
        assert read.detail("en")


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(anything, max_size=8))
async def test_good_lines_survive_any_company(send, tx, bad):
    mark = f"{len(bad)}-{abs(hash(tuple(bad)))}"
    good = [order(f"GOOD-{mark}-{n}") for n in range(len(bad) + 1)]
    mixed = [line for pair in zip(good, [*bad, b""], strict=True) for line in pair]
    verdicts = await send(ndjson(*mixed))
    assert all(one["verdict"] in set(rules.Verdict) for one in verdicts)
    of_good = [one for one in verdicts if str(one["external_id"]).startswith(f"GOOD-{mark}")]
    assert [one["line"] for one in of_good] == [1 + 2 * n for n in range(len(good))]
    assert {one["verdict"] for one in of_good} <= {"unplaced", "duplicate"}
