"""The trail: one entry for each transaction that changed rows, and for each unmasked read."""

import contextlib
from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError
from structlog.contextvars import bound_contextvars

from app.auth import audit, queries
from app.auth.models import Account, AuditEntry, OrgUnit, RefreshToken
from app.auth.queries import AuditSearch
from app.auth.rules import Role
from app.core.clock import wall
from app.core.db import new_id
from app.core.errors import NotFound
from tests.make.auth import bearer, caller_for, make_account, make_org_unit


@pytest.fixture
async def province(tx):
    return await make_org_unit(tx, code="gd")


@pytest.fixture
def audited(database):
    """The database as the application opens it: with the trail before each commit."""
    database.before_commit = audit.record
    return database


def asked_by(caller, operation="orders_assign", device="pad-0117"):
    """What the trail reads of a request."""
    return SimpleNamespace(
        scope={
            "caller": caller,
            "route": SimpleNamespace(operation_id=operation, name="assign"),
            "request_id": "request-0001",
            "headers": [(b"x-device-id", device.encode())],
        },
        client=SimpleNamespace(host="203.0.113.7", port=40000),
    )


async def trail(tx):
    return (await tx.scalars(select(AuditEntry).order_by(AuditEntry.id))).all()


def unit(parent, code):
    return OrgUnit(
        id=new_id(),
        code=code,
        name_zh="南山",
        name_en="Nanshan",
        level="city",
        parent_id=parent.id,
        path=f"gd.{code}.",
    )


async def test_an_entry_says_who_did_what_to_which_rows_by_which_request(audited, tx, province):
    caller = caller_for(Role.SUPERVISOR, province)
    made = unit(province, "sz")
    async with audited.begin(asked_by(caller)) as session:
        session.add(made)
        changed = await session.get_one(OrgUnit, province.id)
        changed.name_zh = "广东省"
    (entry,) = await trail(tx)
    assert entry.account_id == caller.account_id
    assert entry.role == "supervisor"
    assert entry.org_path == "gd."
    assert entry.action == "orders_assign"
    assert entry.request_id == "request-0001"
    assert entry.address == "203.0.113.7"
    assert entry.device == "pad-0117"
    assert entry.changes == [
        {"table": "org_unit", "operation": "insert", "count": 1, "ids": [str(made.id)]},
        {
            "table": "org_unit",
            "operation": "update",
            "count": 1,
            "ids": [str(province.id)],
            "columns": ["name_zh"],
        },
    ]
    assert set(entry.changed_ids) == {made.id, province.id}


async def test_a_device_is_a_plain_word_or_nothing(audited, tx, province):
    async with audited.begin(asked_by(caller_for(Role.ADMIN, province), device="<b>")) as session:
        session.add(unit(province, "sz"))
    assert [entry.device for entry in await trail(tx)] == [None]


async def test_values_are_kept_only_where_they_say_who_may_what(audited, tx, province):
    person = await make_account(tx, province, role=Role.SUPERVISOR, username="li.wei")
    async with audited.begin() as session:
        row = await session.get_one(Account, person.id)
        row.username, row.password_hash, row.scopes = "wang.fang", "x", ["me:read"]
    (entry,) = await trail(tx)
    (change,) = entry.changes
    assert change["columns"] == ["password_hash", "scopes", "username"]
    assert change["values"] == {"scopes": [None, ["me:read"]]}
    assert "fang" not in str(vars(entry))


async def test_a_deleted_row_is_named(audited, tx, province):
    made = unit(province, "sz")
    tx.add(made)
    await tx.flush()
    async with audited.begin() as session:
        await session.delete(await session.get_one(OrgUnit, made.id))
    (entry,) = await trail(tx)
    assert [(c["operation"], c["ids"]) for c in entry.changes] == [("delete", [str(made.id)])]


async def test_nothing_is_written_when_nothing_changed(audited, tx, province):
    async with audited.begin() as session:
        same = await session.get_one(OrgUnit, province.id)
        same.name_zh = str(same.name_zh)
        await session.execute(select(OrgUnit))
    assert await trail(tx) == []


@contextlib.asynccontextmanager
async def savepoint(session):
    async with session.begin_nested():
        yield session


async def refused_after(opening, row):
    """Write a row, and refuse in the same transaction or savepoint."""
    async with opening as session:
        session.add(row)
        await session.flush()
        raise NotFound()


async def test_nothing_is_written_when_the_transaction_fails(audited, tx, province):
    with pytest.raises(NotFound):
        await refused_after(audited.begin(), unit(province, "sz"))
    assert await trail(tx) == []


async def test_records_of_what_happened_are_not_recorded_again(audited, tx, province):
    person = await make_account(tx, province)
    async with audited.begin() as session:
        session.add(
            RefreshToken(
                account_id=person.id,
                family_id=new_id(),
                token_hash=b"x",
                scopes=[],
                expires_at=wall(),
            )
        )
    assert await trail(tx) == []


async def test_what_a_savepoint_took_back_is_not_told(audited, tx, province):
    kept, lost, twice = (unit(province, code) for code in ("a", "b", "a"))
    async with audited.begin() as session:
        session.add(kept)
        await session.flush()
        with pytest.raises(NotFound):
            await refused_after(savepoint(session), lost)
        with pytest.raises(IntegrityError):
            async with session.begin_nested():
                session.add(twice)
        async with session.begin_nested():
            session.add(also := unit(province, "c"))
    (entry,) = await trail(tx)
    assert set(entry.changed_ids) == {kept.id, also.id}


async def test_several_flushes_of_one_row_are_one_change(audited, tx, province):
    made = unit(province, "a")
    async with audited.begin() as session:
        session.add(made)
        await session.flush()
        made.name_zh = "先"
        await session.flush()
        changed = await session.get_one(OrgUnit, province.id)
        for name in ("一", "二"):
            changed.name_zh = name
            await session.flush()
        changed.name_en = "Two"
    (entry,) = await trail(tx)
    assert [(c["operation"], c["count"], c.get("columns")) for c in entry.changes] == [
        ("insert", 1, None),
        ("update", 1, ["name_en", "name_zh"]),
    ]


async def test_thousands_of_rows_are_counted_and_the_first_thousand_named(audited, tx, province):
    async with audited.begin() as session:
        session.add_all(unit(province, f"u{n}") for n in range(1200))
    (entry,) = await trail(tx)
    (change,) = entry.changes
    assert (change["count"], len(change["ids"])) == (1200, 1000)


async def test_what_goes_past_the_orm_says_so_itself(audited, tx, province):
    ids = [new_id(), new_id()]
    async with audited.begin() as session:
        audit.note(session, table="work_order", operation="insert", ids=ids, count=5000)
        audit.note(
            session,
            table="parameter_value",
            operation="update",
            ids=[new_id()],
            values={"auth.x": [1, 2]},
        )
    (entry,) = await trail(tx)
    assert entry.changes[0] == {
        "table": "work_order",
        "operation": "insert",
        "count": 5000,
        "ids": [str(key) for key in ids],
    }
    assert entry.changes[1]["values"] == {"auth.x": [1, 2]}


async def test_a_job_says_what_it_is(audited, tx, province):
    async with audited.begin() as session:
        session.add(unit(province, "a"))
    with bound_contextvars(job="sale.confirmed"):
        async with audited.begin() as session:
            session.add(unit(province, "b"))
    async with audited.begin() as session:
        audit.acting(session, "seed")
        session.add(unit(province, "c"))
    assert [(e.action, e.account_id) for e in await trail(tx)] == [
        ("system", None),
        ("sale.confirmed", None),
        ("seed", None),
    ]


async def test_each_unmasked_read_leaves_an_entry(audited, tx, province):
    caller = caller_for(Role.TECHNICIAN, province, technician_id=new_id())
    customers = [new_id(), new_id()]
    async with audited.begin(asked_by(caller, "customers_card")) as session:
        for customer in customers:
            audit.unmasked(
                session,
                caller,
                subject_kind="customer",
                subject_id=customer,
                purpose="visit 17",
                fields=["phone", "name"],
            )
    entries = await trail(tx)
    assert [entry.subject_id for entry in entries] == customers
    assert {entry.account_id for entry in entries} == {caller.account_id}
    assert entries[0].fields == ["name", "phone"]
    assert entries[0].purpose == "visit 17"
    assert entries[0].changes == []


async def test_an_unmasked_read_cannot_be_forgotten_on_a_session_without_a_commit(
    real_database, province
):
    async with real_database.read() as read:
        with pytest.raises(RuntimeError, match="Tx"):
            audit.unmasked(
                read,
                caller_for(Role.SUPERVISOR, province),
                subject_kind="customer",
                subject_id=new_id(),
                purpose="",
                fields=[],
            )


# --- append-only ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change", ["UPDATE audit_entry SET action = 'x'", "DELETE FROM audit_entry"]
)
async def test_the_trail_refuses_to_be_changed(audited, tx, province, change):
    async with audited.begin() as session:
        session.add(unit(province, "a"))
    with pytest.raises(IntegrityError, match="append-only"):
        async with tx.begin_nested():
            await tx.execute(text(change))
    assert len(await trail(tx)) == 1


# --- asking the trail -------------------------------------------------------------------------


async def entry(tx, **fields):
    whole = {"action": "tested", "org_path": "gd.", "changes": [], "changed_ids": []} | fields
    row = AuditEntry(**whole)
    tx.add(row)
    await tx.flush()
    return row


@pytest.fixture
async def auditor(app, tx, province):
    account = await make_account(tx, province)
    return bearer(app, caller_for(Role.ADMIN, province, account_id=account.id))


async def ask(http, headers, **query):
    answer = await http.get("/v1/audit", params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(body):
    return [item["id"] for item in body["items"]]


async def test_asked_by_account_and_time(http, tx, province, auditor):
    person = await make_account(tx, province, role=Role.SUPERVISOR, username="li.wei")
    noon = wall().replace(microsecond=0) - timedelta(days=90)
    rows = [
        await entry(tx, account_id=person.id, created_at=noon + timedelta(hours=n))
        for n in range(5)
    ]
    await entry(tx, account_id=new_id(), created_at=noon)
    body = await ask(
        http,
        auditor,
        account_id=person.id,
        since=(noon + timedelta(hours=1)).isoformat(),
        until=(noon + timedelta(hours=4)).isoformat(),
    )
    assert ids(body) == [str(row.id) for row in reversed(rows[1:4])], "newest first"
    assert body["items"][0]["username"] == "li.wei"


async def test_asked_whose_data_an_account_saw(http, tx, province, auditor):
    person = await make_account(tx, province, role=Role.SUPERVISOR)
    customer = new_id()
    seen = await entry(tx, account_id=person.id, subject_kind="customer", subject_id=customer)
    await entry(tx, account_id=person.id)
    assert ids(await ask(http, auditor, account_id=person.id, reads_only=True)) == [str(seen.id)]


async def test_asked_who_saw_or_changed_a_row(http, tx, province, auditor):
    customer = new_id()
    seen = await entry(tx, subject_kind="customer", subject_id=customer)
    changed = await entry(tx, changed_ids=[new_id(), customer])
    await entry(tx, changed_ids=[new_id()])
    assert ids(await ask(http, auditor, subject_id=customer)) == [str(changed.id), str(seen.id)]


async def test_looks_are_put_together_by_whom_and_at_whom(http, tx, province, auditor):
    person = await make_account(tx, province, role=Role.SUPERVISOR, username="li.wei")
    other = await make_account(tx, province, role=Role.SUPERVISOR)
    wang, li = new_id(), new_id()
    noon = wall().replace(microsecond=0) - timedelta(days=9)

    async def look(account, subject, hours, **more):
        at = noon + timedelta(hours=hours)
        fields = {"subject_kind": "customer", "subject_id": subject, "fields": ["name"]} | more
        await entry(tx, account_id=account.id, created_at=at, **fields)

    await look(person, wang, 0, purpose="work_order:1", device="pad-1")
    await look(person, wang, 2, purpose="work_order:2", fields=["name", "phone"])
    await look(person, li, 1)
    await look(person, li, 48)  # after what is asked about
    await look(other, wang, 3)
    await entry(tx, account_id=person.id, created_at=noon)  # a change is no look

    async def seen(**query):
        times = {"from": noon.isoformat(), "until": (noon + timedelta(days=1)).isoformat()}
        answer = await http.get("/v1/audit/reads", params=times | query, headers=auditor)
        assert answer.status_code == 200, answer.text
        assert answer.json()["more"] is False
        return answer.json()["items"]

    first, second = await seen(account=str(person.id))
    assert (first["subject_id"], first["looks"], first["username"]) == (str(wang), 2, "li.wei")
    assert first["fields"] == ["name", "phone"]
    assert first["purposes"] == ["work_order:1", "work_order:2"]
    assert first["devices"] == ["pad-1"]
    assert (second["subject_id"], second["looks"]) == (str(li), 1)
    by = await seen(customer=str(wang))
    assert [row["account_id"] for row in by] == [str(other.id), str(person.id)]
    assert len(await seen(customer=str(wang), account=str(other.id))) == 1


@pytest.mark.parametrize(
    ("role", "query", "status"),
    [
        (Role.ADMIN, {}, 422),
        (Role.ADMIN, {"account": str(new_id())}, 404),
        (Role.ADMIN, {"customer": str(new_id()), "from": "2020-01-01T00:00:00Z"}, 422),
        (Role.SUPERVISOR, {"customer": str(new_id())}, 403),
    ],
)
async def test_looks_are_told_to_administrators_who_say_what_they_want(
    http, app, tx, province, role, query, status
):
    headers = bearer(app, caller_for(role, province))
    times = {"from": "2026-03-01T00:00:00Z", "until": "2026-03-02T00:00:00Z"}
    answer = await http.get("/v1/audit/reads", params=times | query, headers=headers)
    assert answer.status_code == status


async def test_pages_of_the_trail_join_up(http, tx, province, auditor):
    person = await make_account(tx, province, role=Role.SUPERVISOR)
    moment = wall() - timedelta(days=2)
    rows = [
        # Several at the very same moment: the page's end must not lose any.
        await entry(tx, account_id=person.id, created_at=moment + timedelta(seconds=n // 3))
        for n in range(10)
    ]
    found: list[str] = []
    token: dict[str, str] = {}
    while True:
        body = await ask(http, auditor, account_id=person.id, size=4, **token)
        found += ids(body)
        if body["next_page_token"] is None:
            break
        token = {"page_token": body["next_page_token"]}
    assert found == [str(row.id) for row in reversed(rows)]


async def test_a_city_sees_its_own_trail_and_the_top_the_systems_too(http, app, tx, province):
    city = await make_org_unit(tx, code="sz", parent=province)
    admin = await make_account(tx, city)
    top = await make_account(tx, province)
    own = await entry(tx, org_path="gd.sz.", account_id=admin.id)
    above = await entry(tx, org_path="gd.", account_id=top.id)
    system = await entry(tx, org_path="")
    of_city = bearer(app, caller_for(Role.ADMIN, city, account_id=admin.id))
    of_top = bearer(app, caller_for(Role.ADMIN, province, account_id=top.id))
    assert ids(await ask(http, of_city)) == [str(own.id)]
    assert ids(await ask(http, of_top)) == [str(row.id) for row in (system, above, own)]
    query = {"account_id": str(top.id)}
    answer = await http.get("/v1/audit", params=query, headers=of_city)
    assert answer.status_code == 404


async def test_without_account_or_subject_a_month_at_most_is_walked_through(http, auditor):
    query = {"since": (wall() - timedelta(days=32)).isoformat()}
    answer = await http.get("/v1/audit", params=query, headers=auditor)
    assert answer.status_code == 422
    assert answer.json()["facts"]["errors"][0]["field"] == "since"
    naive = await http.get("/v1/audit", params={"since": "2026-03-02T09:00:00"}, headers=auditor)
    assert naive.status_code == 422
    bad = await http.get("/v1/audit", params={"page_token": "AAAA"}, headers=auditor)
    assert bad.status_code == 422


async def test_every_search_of_the_trail_runs_along_an_index(real_database):
    """On 200,000 entries; a search that reads them all would be too slow on millions."""
    async with real_database.begin() as tx:
        province = await make_org_unit(tx, code="gd")
        accounts = [await make_account(tx, province) for _ in range(20)]
        customer = new_id()
        await tx.execute(
            text(
                """
                INSERT INTO audit_entry (id, created_at, account_id, org_path, action, changed_ids,
                                         subject_kind, subject_id)
                SELECT gen_random_uuid(), now() - n * interval '20 seconds',
                       (CAST(:accounts AS uuid[]))[1 + n % 20], 'gd.', 'tested',
                       ARRAY[gen_random_uuid()], CASE WHEN n % 3 = 0 THEN 'customer' END,
                       CASE WHEN n % 3 = 0 THEN gen_random_uuid() END
                FROM generate_series(1, 200000) AS n
                """
            ),
            {"accounts": [account.id for account in accounts]},
        )
        await tx.execute(
            insert(AuditEntry),
            [{"action": "tested", "org_path": "gd.", "changed_ids": [customer]}],
        )
    async with real_database.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("VACUUM ANALYZE audit_entry"))
    caller = caller_for(Role.ADMIN, province)
    noon = wall() - timedelta(days=20)
    for search in (
        AuditSearch(account_id=accounts[3].id, since=noon, until=noon + timedelta(days=1)),
        AuditSearch(account_id=accounts[3].id, reads_only=True),
        AuditSearch(subject_id=customer),
        AuditSearch(subject_id=new_id()),
        AuditSearch(since=noon, until=noon + timedelta(days=1), after=(noon, new_id())),
    ):
        statement = queries.audit_search(caller, search, limit=51)
        for node in await plan_of(real_database, statement):
            assert node["Node Type"] != "Seq Scan", search
            read = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            assert read * node["Actual Loops"] < 10_000, (search, node)


@pytest.mark.unused_database
async def test_whose_data_an_account_saw_is_read_off_an_index_among_millions(tx, province):
    """Planned as for 5,000,000 entries: what a few hundred are like, told to be so many."""
    account = await make_account(tx, province)
    await tx.execute(
        text(
            "INSERT INTO audit_entry (id, created_at, account_id, org_path, action, subject_kind,"
            " subject_id) SELECT gen_random_uuid(), now() - n * interval '1 hour',"
            " CASE WHEN n % 20 = 0 THEN CAST(:account AS uuid) ELSE gen_random_uuid() END,"
            " 'gd.', 'tested', 'customer', CASE WHEN n % 3 = 0 THEN gen_random_uuid() END"
            " FROM generate_series(1, 600) AS n"
        ),
        {"account": account.id},
    )
    await tx.execute(text("ANALYZE audit_entry"))
    await tx.execute(
        text("UPDATE pg_class SET reltuples = 5000000 WHERE oid = 'audit_entry'::regclass")
    )
    given = {
        "account_id": account.id,
        "subject_id": new_id(),
        "since": wall() - timedelta(days=7),
        "until": wall(),
        "path": "gd.",
        "top": True,
        "most": 1000,
    }
    for statement, index in (
        (queries._SEEN_OF_ACCOUNT, "ix_audit_entry_seen"),
        (queries._SEEN_OF_SUBJECT, "ix_audit_entry_subject"),
        (queries._SEEN_OF_BOTH, "ix_audit_entry_subject"),
    ):
        explain = text(f"EXPLAIN {statement.text}")
        wanted = {name: given[name] for name in explain.compile().params}
        plan = "\n".join(await tx.scalars(explain, wanted))
        assert index in plan and "Seq Scan on audit_entry" not in plan, plan


async def plan_of(database, statement):
    """The nodes of the executed plan that read the trail's table or an index of it."""
    compiled = statement.compile(dialect=database.engine.dialect)
    explained = f"EXPLAIN (ANALYZE, FORMAT JSON) {compiled}"
    async with database.engine.connect() as connection:
        answer = await connection.exec_driver_sql(explained, compiled.params)
        waiting = [answer.scalar_one()[0]["Plan"]]
    found = []
    while waiting:
        node = waiting.pop()
        waiting += node.get("Plans", [])
        if "audit_entry" in node.get("Relation Name", node.get("Index Name", "")):
            found.append(node)
    assert found
    return found
