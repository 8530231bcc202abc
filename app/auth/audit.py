"""The audit trail: one entry for each transaction that changed rows, and for each unmasked read.

`record` is hung into `Database.before_commit`. What the ORM flushes is collected by itself; what
goes past it (COPY, Core statements) says so with `note`. Names of columns are kept, values only of
columns marked so in the models: the trail must not become a second store of personal data.
"""

import re
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy import Table, event, inspect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransaction, UOWTransaction
from starlette.requests import HTTPConnection
from structlog.contextvars import get_contextvars

from app.auth.rules import Caller
from app.core.db import Base, fetched, new_id
from app.core.errors import plain

# Tables that are records of what happened themselves, or counters that follow from other rows: a
# list of their rows would tell nobody anything new.
LOGS = frozenset(
    {
        "audit_entry",
        "refresh_token",
        "login_guard",
        "work_order_event",
        "appointment_change",
        "dispatch_decision",
        "suggestion_decision",
        "suggestion",
        "suggestion_answer",
        "order_callback",
        "callback_turned_away",
        "sale_event",
        "order_attempt",
        "technician_day",
        "terminal_move",
        "point_locality",
        "fault_report",
        "outage_rate",
        "outage_rhythm",
        "plan_event",
        "night",
        "lifecycle_change",
        "lifecycle_run",
    }
)

# So many ids an entry names for a table and operation; `count` tells how many there were.
IDS_NAMED = 1000

_TRAIL = "audit"
_DEVICE = re.compile(r"[A-Za-z0-9._:\-]{1,64}")
# Every transaction that changes anything ends with it, so it does not go through the session.
_INSERT = """
INSERT INTO audit_entry (id, account_id, role, org_path, action, changes, changed_ids, subject_kind,
                         subject_id, purpose, fields, request_id, address, device)
VALUES (%(id)s, %(account_id)s, %(role)s, %(org_path)s, %(action)s, %(changes)s, %(changed_ids)s,
        %(subject_kind)s, %(subject_id)s, %(purpose)s, %(fields)s, %(request_id)s, %(address)s,
        %(device)s)
RETURNING id
"""


@dataclass(slots=True)
class Change:
    """Rows of one table changed alike: how many, which (as far as named), which columns."""

    table: str
    operation: str
    count: int
    ids: list[Any]
    columns: set[str] = field(default_factory=set)
    values: dict[str, list[Any]] = field(default_factory=dict)


@dataclass(slots=True)
class Trail:
    """What one session's transaction has done so far."""

    changes: list[Change] = field(default_factory=list)
    reads: list[dict[str, Any]] = field(default_factory=list)
    action: str | None = None
    actor: Caller | None = None
    # How long `changes` and `reads` were when each savepoint began, to forget what is rolled back
    # to it.
    savepoints: dict[SessionTransaction, tuple[int, int]] = field(default_factory=dict)


def note(
    tx: AsyncSession,
    *,
    table: str,
    operation: str,
    ids: Sequence[UUID] = (),
    count: int | None = None,
    columns: Iterable[str] = (),
    values: Mapping[str, list[Any]] | None = None,
) -> None:
    """Tell the trail of a change made past the ORM, by COPY or a Core statement.

    `operation` is insert, update or delete, or a word of the business such as "signed-in"; `count`
    is the number of rows where not all `ids` are known; `values` is [old, new] by column, of one
    row, and never of personal data.
    """
    number = len(ids) if count is None else count
    named = list(ids[:IDS_NAMED])
    _trail(tx.sync_session).changes.append(
        Change(table, operation, number, named, set(columns), dict(values or {}))
    )


def unmasked(
    tx: AsyncSession,
    caller: Caller,
    *,
    subject_kind: str,
    subject_id: UUID,
    purpose: str,
    fields: Iterable[str],
) -> None:
    """Tell the trail that a caller is shown a subject's personal data without masks, and why; it
    may be another one than whose transaction it is.

    Needs a `Tx`, since the entry is written with the commit: raises RuntimeError on a `Read`.
    """
    options = tx.sync_session.get_bind().get_execution_options()
    if options.get("isolation_level") == "AUTOCOMMIT":
        raise RuntimeError("an unmasked read leaves an audit entry, so it needs a Tx")
    _trail(tx.sync_session).reads.append(
        {
            **_account(caller),
            "subject_kind": subject_kind,
            "subject_id": subject_id,
            "purpose": purpose,
            "fields": sorted(fields),
        }
    )


def acting(tx: AsyncSession, action: str, actor: Caller | None = None) -> None:
    """Say what a transaction is for, and for whom, where no proved request tells it.

    For jobs, the command line, and signing in itself.
    """
    trail = _trail(tx.sync_session)
    trail.action, trail.actor = action, actor


async def record(session: AsyncSession, request: HTTPConnection | None) -> None:
    """Write what a transaction changed and read unmasked, if anything, just before it commits."""
    await session.flush()
    trail: Trail | None = session.info.pop(_TRAIL, None)
    if trail is None or not (trail.changes or trail.reads):
        return
    common = _who(trail, request)
    rows = [_entry(common, **read) for read in trail.reads]
    if trail.changes:
        changes = _merged(trail.changes)
        rows.append(
            _entry(
                common,
                changes=Jsonb([_written(change) for change in changes]),
                changed_ids=[key for c in changes for key in c.ids if isinstance(key, UUID)],
            )
        )
    for row in rows:
        await fetched(session, _INSERT, row)


def _who(trail: Trail, request: HTTPConnection | None) -> dict[str, Any]:
    scope = request.scope if request is not None else {}
    route = scope.get("route")
    asked = getattr(route, "operation_id", None) or getattr(route, "name", None)
    # What the worker calls the job it is running.
    job = get_contextvars().get("job")
    actor: Caller | None = trail.actor or scope.get("caller")
    return {
        **_account(actor),
        "action": trail.action or asked or job or "system",
        "request_id": scope.get("request_id"),
        "address": address_of(request),
        "device": device_of(scope),
    }


def _account(actor: Caller | None) -> dict[str, Any]:
    return {
        "account_id": actor.account_id if actor else None,
        "role": actor.role.value if actor else None,
        "org_path": actor.org_path if actor else "",
    }


def device_of(scope: MutableMapping[str, Any]) -> str | None:
    """Return what a client says its device is called; anything but a plain word is left out."""
    for name, value in scope.get("headers") or ():
        if name == b"x-device-id":
            said: str = value.decode("latin-1")
            return said if _DEVICE.fullmatch(said) else None
    return None


def address_of(request: HTTPConnection | None) -> str | None:
    """Return the client's network address as the server saw it (or a proxy it trusts said)."""
    return request.client.host if request is not None and request.client else None


def _entry(common: dict[str, Any], **facts: Any) -> dict[str, Any]:
    blank: dict[str, Any] = {
        "changes": Jsonb([]),
        "changed_ids": [],
        "subject_kind": None,
        "subject_id": None,
        "purpose": None,
        "fields": None,
    }
    return {"id": new_id(), **common, **blank, **facts}


def _merged(changes: list[Change]) -> list[Change]:
    """Put changes of one table and operation together; an insert swallows its own row's updates."""
    merged: dict[tuple[str, str], Change] = {}
    seen: set[tuple[str, str, Any]] = set()
    for change in changes:
        table, operation = change.table, change.operation
        again = [
            key
            for key in change.ids
            if (table, operation, key) in seen
            or (operation == "update" and (table, "insert", key) in seen)
        ]
        if operation == "update" and again and (table, "insert", again[0]) in seen:
            continue
        seen.update((table, operation, key) for key in change.ids)
        whole = merged.setdefault((table, operation), Change(table, operation, 0, []))
        whole.count += change.count - len(again)
        whole.columns |= change.columns
        for key in change.ids:
            if len(whole.ids) < IDS_NAMED and key not in again:
                whole.ids.append(key)
        for column, (old, now) in change.values.items():
            first = whole.values.get(column, [old, now])[0]
            whole.values[column] = [first, now]
    return list(merged.values())


def _written(change: Change) -> dict[str, Any]:
    written: dict[str, Any] = {
        "table": change.table,
        "operation": change.operation,
        "count": change.count,
        "ids": plain(change.ids),
    }
    if change.columns:
        written["columns"] = sorted(change.columns)
    # Old and new values belong to one row; of several, the columns' names must do.
    if change.values and change.count == 1:
        written["values"] = plain(change.values)
    return written


# --- collecting what the ORM does -----------------------------------------------------------------


def _trail(session: Session) -> Trail:
    trail: Trail = session.info.setdefault(_TRAIL, Trail())
    return trail


@event.listens_for(Session, "after_flush")
def _collect(session: Session, _flush: UOWTransaction) -> None:
    """Note each row that a flush inserted, changed or deleted; histories are still there."""
    for row in session.new:
        _add(session, row, "insert")
    for row in session.dirty:
        _add(session, row, "update")
    for row in session.deleted:
        _add(session, row, "delete")


def _add(session: Session, row: Any, operation: str) -> None:
    mapper = inspect(row).mapper
    table = mapper.local_table
    if not isinstance(row, Base) or not isinstance(table, Table) or table.name in LOGS:
        return
    key = mapper.primary_key_from_instance(row)
    change = Change(
        table.name, operation, 1, [key[0] if len(key) == 1 else " ".join(map(str, key))]
    )
    if operation == "update":
        state = inspect(row)
        for name in state.committed_state:
            history = state.attrs[name].history
            if name == "version" or name not in mapper.columns or not history.has_changes():
                continue
            change.columns.add(name)
            if mapper.columns[name].info.get("values_audited"):
                old = history.deleted[0] if history.deleted else None
                change.values[name] = [old, history.added[0] if history.added else None]
        if not change.columns:
            return
    _trail(session).changes.append(change)


@event.listens_for(Session, "after_transaction_create")
def _mark(session: Session, transaction: SessionTransaction) -> None:
    """Remember where the trail stood when a savepoint was set."""
    if transaction.nested:
        trail = _trail(session)
        trail.savepoints[transaction] = len(trail.changes), len(trail.reads)


@event.listens_for(Session, "after_soft_rollback")
def _forget(session: Session, transaction: SessionTransaction) -> None:
    """Forget what a rolled-back savepoint had changed, or all when the whole is rolled back."""
    trail: Trail | None = session.info.get(_TRAIL)
    if trail is None:
        return
    if transaction.nested:
        changes, reads = trail.savepoints.pop(transaction, (0, 0))
        del trail.changes[changes:], trail.reads[reads:]
    elif transaction.parent is None:
        session.info.pop(_TRAIL)
