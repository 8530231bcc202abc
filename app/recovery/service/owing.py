"""What becomes due back, and why: said by another system, left by an order, or by a service that
changed.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.rules import Caller
from app.core import jobs
from app.core.db import new_id
from app.core.errors import NotFound
from app.core.parameter_values import parameters_in_force
from app.customers import queries as customers
from app.recovery import rules
from app.recovery.models import Recovery, RecoveryRequest, SubscriptionChange
from app.recovery.queries import owing as queries
from app.recovery.queries.owing import Household
from app.terminals import queries as terminals
from app.terminals.models import DueBack, Terminal
from app.terminals.rules import DueCause, DueState, Pool, TerminalKind
from app.workorders.models import WorkOrder
from app.worktypes.rules import WorkType


class Due(NamedTuple):
    """One terminal that becomes due back."""

    kind: TerminalKind
    cause: DueCause


async def owe(
    tx: AsyncSession,
    household: Household,
    due: Mapping[str, Due],
    *,
    now: datetime,
    request_id: UUID | None = None,
) -> Recovery | None:
    """Let terminals be due back from now on, by serial number, in the customer's one pick-up.

    What is due already stays as it is. The worker is told, so that an order fetches them. None when
    nothing has become due.
    """
    if not due:
        return None
    parameters = await parameters_in_force(tx)
    days = parameters.number(rules.PICK_UP_DAYS, now, household.org_path)
    due_at = now + timedelta(days=days)
    recovery = await _open_of(tx, household, due_at, now)
    adding = insert(DueBack).values(
        [
            {
                "id": new_id(),
                "org_unit_id": household.org_unit_id,
                "customer_id": household.customer_id,
                "recovery_id": recovery.id,
                "request_id": request_id,
                "serial_number": serial,
                "kind": one.kind,
                "cause": one.cause,
                "since": now,
                "due_at": due_at,
                "state": DueState.OPEN,
            }
            for serial, one in sorted(due.items())
        ]
    )
    added = adding.on_conflict_do_nothing(
        index_elements=["serial_number"], index_where=DueBack.state == DueState.OPEN
    ).returning(DueBack.id)
    ids = (await tx.scalars(added)).all()
    if not ids:
        return None
    audit.note(tx, table="due_back", operation="insert", ids=ids)
    await jobs.tell(tx, "recovery.asked", recovery_id=recovery.id)
    return recovery


async def _open_of(
    tx: AsyncSession, household: Household, due_at: datetime, now: datetime
) -> Recovery:
    """Lock the customer's open pick-up; make it if there is none."""
    making = insert(Recovery).values(
        id=new_id(),
        org_unit_id=household.org_unit_id,
        customer_id=household.customer_id,
        since=now,
        due_at=due_at,
    )
    await tx.execute(
        making.on_conflict_do_nothing(
            index_elements=["customer_id"], index_where=Recovery.closed_at.is_(None)
        )
    )
    return (
        await tx.scalars(
            select(Recovery)
            .where(Recovery.customer_id == household.customer_id, Recovery.closed_at.is_(None))
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    ).one()


# --- said by another system -----------------------------------------------------------------------


async def request(
    tx: AsyncSession,
    caller: Caller,
    *,
    source: str,
    external_id: str,
    customer_code: str | None,
    service_number: str | None,
    cause: DueCause,
    named: Mapping[str, TerminalKind],
    now: datetime,
) -> tuple[UUID, UUID]:
    """Take in that a customer has to give terminals back; return the ids of request and customer.

    Without serial numbers it is all of the wanted kinds that stands there, at the line where a
    line is named; a serial number that is booked elsewhere is not due, and one that nobody knows
    is. The same request again is the same. Raises NotFound for a customer outside the caller's
    subtree, and SameRequestOtherContent.
    """
    said = [customer_code, service_number, cause.value, sorted(named.items())]
    content_hash = hashlib.sha256(orjson.dumps(said)).hexdigest()
    found = await customers.find(tx, caller, code=customer_code, service_number=service_number)
    if not found:
        raise NotFound()
    customer_id = found[0]
    household = (await queries.households(tx, [customer_id], now))[customer_id]
    asked = RecoveryRequest(
        id=new_id(),
        org_unit_id=household.org_unit_id,
        customer_id=customer_id,
        source=source,
        external_id=external_id,
        content_hash=content_hash,
        received_at=now,
    )
    columns = {name: getattr(asked, name) for name in _REQUEST}
    writing = insert(RecoveryRequest).values(**columns).on_conflict_do_nothing()
    if (await tx.scalars(writing.returning(RecoveryRequest.id))).first() is None:
        known = (
            await tx.scalars(
                select(RecoveryRequest).where(
                    RecoveryRequest.source == source, RecoveryRequest.external_id == external_id
                )
            )
        ).one()
        if known.content_hash != content_hash:
            raise rules.SameRequestOtherContent(source=source, external_id=external_id)
        return known.id, known.customer_id
    if named:
        due = await _named(tx, household, named, cause)
    else:
        wanted = await _wanted(tx, household, now)
        due = {
            one.serial_number: Due(one.kind, cause)
            for one in household.standing
            if one.kind in wanted
            and (
                None in (service_number, one.service_number) or service_number == one.service_number
            )
        }
    await owe(tx, household, due, now=now, request_id=asked.id)
    return asked.id, customer_id


_REQUEST = (
    "id",
    "org_unit_id",
    "customer_id",
    "source",
    "external_id",
    "content_hash",
    "received_at",
)


async def _named(
    tx: AsyncSession, household: Household, named: Mapping[str, TerminalKind], cause: DueCause
) -> dict[str, Due]:
    """Keep of the serial numbers those that stand at the customer's, or that nobody knows."""
    rows = await tx.scalars(select(Terminal).where(Terminal.serial_number.in_(named)))
    known = {row.serial_number: row for row in rows}
    due = {}
    for serial, kind in named.items():
        terminal = known.get(serial)
        if terminal is None:
            due[serial] = Due(kind, cause)
        elif terminal.pool is Pool.CUSTOMER and terminal.customer_id in (
            None,
            household.customer_id,
        ):
            due[serial] = Due(terminal.kind, cause)
    return due


async def _wanted(tx: AsyncSession, household: Household, now: datetime) -> frozenset[TerminalKind]:
    """Say which kinds of terminal have to be given back there once they are not needed."""
    parameters = await parameters_in_force(tx)
    return frozenset(
        kind
        for kind, parameter in rules.WANTED.items()
        if parameters.number(parameter, now, household.org_path) >= 0.5
    )


# --- left by an order -----------------------------------------------------------------------------


async def left_by(tx: AsyncSession, order: WorkOrder, *, now: datetime) -> Recovery | None:
    """Let be due what a completed order has left at the customer's and is not needed there.

    After a removal that is what nothing else needs; after other work it is the older of two
    devices of which a line has one.
    """
    if order.customer_id is None or order.source == rules.SOURCE:
        return None
    household = (await queries.households(tx, [order.customer_id], now))[order.customer_id]
    wanted = await _wanted(tx, household, now)
    at_line = await terminals.standing_at(tx, order.customer_id, order.service_number)
    moved = await terminals.moved_for(tx, order.id)
    if order.work_type is WorkType.REMOVE:
        running = [
            service
            for number, service in household.running.items()
            if number != order.service_number
        ]
        needed = rules.needed(running, await queries.needs(tx))
        due = {
            one.serial_number: Due(one.kind, DueCause.REMOVAL)
            for one in household.standing
            if one.serial_number in at_line
            and one.kind in wanted
            and (
                one.kind not in needed
                or (order.service_number and one.service_number == order.service_number)
            )
        }
    elif order.service_number is not None:
        replaced = frozenset(moved.fitted.values()) & rules.ONE_A_LINE & wanted
        due = {
            one.serial_number: Due(one.kind, DueCause.SWAP)
            for one in household.standing
            if one.service_number == order.service_number
            and one.kind in replaced
            and one.serial_number not in moved.fitted
        }
    else:
        due = {}
    return await owe(tx, household, due, now=now)


# --- by a service that changed --------------------------------------------------------------------


async def look_at_changes(tx: AsyncSession, *, now: datetime, size: int) -> int:
    """Let be due what services came with that have ended or become another; return how many were
    looked at.
    """
    changes = await queries.changed(tx, now=now, size=size)
    if not changes:
        return 0
    needs = await queries.needs(tx)
    homes = await queries.households(tx, {change.customer_id for change in changes}, now)
    due: dict[UUID, dict[str, Due]] = {}
    for change in changes:
        home = homes[change.customer_id]
        kinds = rules.no_longer_needed(change.was, home.running.values(), needs)
        kinds &= await _wanted(tx, home, now)
        cause = rules.cause_of(change.was, None if change.ended else change.becomes)
        for one in home.standing:
            if one.kind in kinds and one.service_number in (None, change.service_number):
                due.setdefault(home.customer_id, {})[one.serial_number] = Due(one.kind, cause)
    # By customer, so that two workers lock pick-ups in one order.
    for customer_id in sorted(due):
        await owe(tx, homes[customer_id], due[customer_id], now=now)
    seen = [change.subscription_id for change in changes]
    await tx.execute(delete(SubscriptionChange).where(SubscriptionChange.subscription_id.in_(seen)))
    return len(changes)
