"""Many orders moved at once by a supervisor: previewed, carried out as a whole, and undone."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.core import jobs
from app.core.errors import SameIdOtherContent, plain
from app.dispatch import queries
from app.dispatch.models import BulkMove, DispatchPin
from app.dispatch.rules import BY_HAND, BulkKind, Candidate, Choice, Kind, PassedOver, Tried
from app.dispatch.rules.court import judge
from app.dispatch.rules.moves import Before, Command, Effect, Ground, Judged, Plan, Wish
from app.dispatch.rules.why_not import (
    MOST_ROWS,
    OVERRIDABLE,
    WHY_NOT_WORDS,
    MovesRefused,
    MoveUndone,
    NothingToMove,
    NotToBeUndone,
    WhyNot,
)
from app.dispatch.service.decisions import Decided, write_decisions
from app.dispatch.service.moving import Met, ground_of, meet
from app.dispatch.service.pins import Pinned, pin_all
from app.technicians import availability
from app.technicians.availability import NOTHING, DayOf, Promised
from app.workorders.rules import State, Step, UnplacedReason
from app.workorders.service import Moved, take_steps


async def preview(
    session: AsyncSession, command: Command, caller: Caller, *, override: bool, now: datetime
) -> tuple[Met, Plan]:
    """Judge a command as it would be if it were carried out now. Raises NoTarget or Invalid."""
    met = await meet(session, command, caller, now=now, locking=False)
    return met, judge(met.wishes, met.ground, override=override)


async def carry_out(
    tx: AsyncSession,
    move_id: UUID,
    command: Command,
    caller: Caller,
    *,
    reason: str,
    override: bool,
    pin: bool,
    content_hash: str,
    now: datetime,
) -> BulkMove:
    """Move all orders of a command, or none; the same sent again is answered like the first time.

    The orders stay locked until the transaction ends, and so do the days they leave and go to: of
    two commands over the same orders one waits, and is told what the other did. Raises
    MovesRefused, which names every row that cannot be done, NothingToMove, NoTarget, Invalid or
    SameIdOtherContent.
    """
    met = await meet(tx, command, caller, now=now, locking=True)
    known = await _known(tx, move_id, content_hash)
    if known is not None:
        return known
    plan = judge(met.wishes, met.ground, override=override)
    _check(plan, override=override)
    return await _write(
        tx,
        BulkMove(
            id=move_id,
            org_unit_id=caller.org_unit_id,
            account_id=caller.account_id,
            at=now,
            kind=BulkKind.TAKE_BACK if command.take_back else BulkKind.GIVE,
            reason=reason,
            content_hash=content_hash,
            left_out=[
                {"order_id": str(order.id), "reason": why.value} for order, why in met.left_out
            ],
        ),
        plan,
        met.ground,
        pin=pin and not command.take_back,
    )


async def undo(
    tx: AsyncSession,
    move_id: UUID,
    caller: Caller,
    *,
    undo_id: UUID,
    reason: str,
    override: bool,
    content_hash: str,
    now: datetime,
) -> BulkMove:
    """Put every order of a command back where it was, pins included, if nobody has touched one.

    What had been acknowledged is only assigned again: the technician's phone has dropped it since.
    An undoing can itself be undone. Raises NotFound, NotToBeUndone, MoveUndone, MovesRefused or
    SameIdOtherContent.
    """
    move = await queries.move(tx, move_id, caller)
    if move.kind is BulkKind.REORDER:
        raise NotToBeUndone(kind=move.kind)
    wishes = [_back(before, after) for before, after in zip(move.before, move.after, strict=True)]
    ids = [wish.order_id for wish in wishes]
    orders = await queries.orders_to_move(tx, caller, ids, size=MOST_ROWS, locking=True)
    known = await _known(tx, undo_id, content_hash)
    if known is not None:
        return known
    undone = await queries.undone_by(tx, [move_id])
    if undone:
        raise MoveUndone(undone_by=undone[move_id])
    ground = await ground_of(
        tx, wishes, {order.id: order for order in orders}, caller, now=now, locking=True
    )
    plan = judge(wishes, ground, override=override)
    _check(plan, override=override)
    return await _write(
        tx,
        BulkMove(
            id=undo_id,
            org_unit_id=move.org_unit_id,
            account_id=caller.account_id,
            at=now,
            kind=BulkKind.UNDO,
            reason=reason,
            content_hash=content_hash,
            left_out=[],
            undoes=move_id,
        ),
        plan,
        ground,
        pin=False,
    )


async def _known(tx: AsyncSession, move_id: UUID, content_hash: str) -> BulkMove | None:
    """Find a command that was carried out already. Raises SameIdOtherContent."""
    known = await tx.get(BulkMove, move_id)
    if known is not None and known.content_hash != content_hash:
        raise SameIdOtherContent(id=move_id)
    return known


def _check(plan: Plan, *, override: bool) -> None:
    refused = plan.refused(override=override)
    if refused:
        raise MovesRefused(
            refused=len(refused), rows=[_refusal(number, row) for number, row in refused]
        )
    if not any(row.moves for row in plan.rows):
        raise NothingToMove()


def _refusal(number: int, row: Judged) -> dict[str, Any]:
    order = row.order
    return {
        "row": number + 1,
        "order_id": row.wish.order_id,
        "state": order and order.state,
        "version": order and order.version,
        "holder_id": order and order.holder_id,
        "planned_day": order and order.planned_day,
        "reasons": [reason_said(why) for why in row.reasons],
    }


def reason_said(why: WhyNot) -> dict[str, Any]:
    """Say a reason in both languages, and whether a supervisor may insist against it."""
    words = WHY_NOT_WORDS[why]
    return {
        "reason": why.value,
        "zh": words.zh,
        "en": words.en,
        "overridable": why in OVERRIDABLE,
    }


def _back(before: Mapping[str, Any], after: Mapping[str, Any]) -> Wish:
    """Say that an order shall go back to where it was before a command."""
    technician_id, day = before["technician_id"], before["day"]
    return Wish(
        UUID(before["order_id"]),
        after["version"],
        technician_id and UUID(technician_id),
        day and date.fromisoformat(day),
        technician_id is None,
        Before(
            before["unplaced_reason"] and UnplacedReason(before["unplaced_reason"]),
            before["behind"] and UUID(before["behind"]),
            before["pin"],
        ),
    )


# --- writing --------------------------------------------------------------------------------------


async def _write(
    tx: AsyncSession, move: BulkMove, plan: Plan, ground: Ground, *, pin: bool
) -> BulkMove:
    """Do what a judged command says, and remember how it was before."""
    rows = _in_order_of_routes(plan, ground)
    pins = await queries.pins_of(tx, [row.wish.order_id for row in rows])
    behind = _predecessors(plan)
    versions = await take_steps(
        tx,
        [_step(row, move, pin=pin) for row in rows],
        now=move.at,
        account_id=move.account_id,
        reason=move.reason,
    )
    await availability.change(tx, _changes(rows))
    await availability.write_routes(tx, plan.routes)
    await pin_all(tx, _pinned(plan.rows if pin else rows, move, pin=pin))
    await write_decisions(
        tx, [_decided(row, move) for row in rows], at=move.at, account_id=move.account_id
    )
    move.before = [_before(row, behind, pins.get(row.wish.order_id)) for row in rows]
    move.after = [_after(row, versions) for row in rows]
    move.days = [_day(key, effect) for key, effect in sorted(plan.effects.items())]
    tx.add(move)
    await tx.flush()
    for row in rows:
        # It waited to be placed before the command, and does so again.
        if row.technician_id is None and row.wish.back_to and not row.wish.back_to.unplaced_reason:
            await jobs.tell(tx, "workorder.freed", order_id=row.wish.order_id)
    return move


def _in_order_of_routes(plan: Plan, ground: Ground) -> list[Judged]:
    """Put the rows that move something in the order in which their days had them, so that undoing
    puts each behind its neighbour again."""
    places = {order_id: at for at, order_id in enumerate(_flat(plan.before.values()))}
    return sorted(
        (row for row in plan.rows if row.moves),
        key=lambda row: (places.get(row.wish.order_id, len(places)), row.wish.order_id),
    )


def _flat(routes: Iterable[Sequence[UUID]]) -> Iterable[UUID]:
    for route in routes:
        yield from route


def _predecessors(plan: Plan) -> dict[UUID, UUID | None]:
    found: dict[UUID, UUID | None] = {}
    for route in plan.before.values():
        before: UUID | None = None
        for order_id in route:
            found[order_id] = before
            before = order_id
    return found


def _step(row: Judged, move: BulkMove, *, pin: bool) -> Moved:
    order = row.order
    assert order is not None
    facts: dict[str, Any] = {"move_id": move.id}
    if row.technician_id is None:
        back = row.wish.back_to
        reason = (back and back.unplaced_reason) or UnplacedReason.TAKEN_BACK
        return Moved(order.id, order.state, Step.UNPLACE, unplaced_reason=reason, facts=facts)
    facts |= {"technician_id": row.technician_id, "planned_day": row.day, "pinned": pin}
    return Moved(order.id, order.state, Step.ASSIGN, row.technician_id, row.day, facts=facts)


def _changes(rows: Iterable[Judged]) -> dict[DayOf, Promised]:
    changes: dict[DayOf, Promised] = {}

    def add(technician_id: UUID | None, day: date | None, minutes: int, orders: int) -> None:
        if technician_id is not None and day is not None:
            known = changes.get((technician_id, day), NOTHING)
            changes[technician_id, day] = Promised(known.minutes + minutes, known.orders + orders)

    for row in rows:
        order = row.order
        assert order is not None
        add(order.holder_id, order.planned_day, -order.minutes, -1)
        add(row.technician_id, row.day, order.minutes, 1)
    return changes


def _pinned(rows: Iterable[Judged], move: BulkMove, *, pin: bool) -> list[Pinned]:
    """Say what is pinned afterwards: all that was given, or what had been before it was moved."""
    found = []
    for row in rows:
        if row.technician_id is None or row.day is None:
            continue
        before = row.wish.back_to.pin if row.wish.back_to else None
        if pin:
            at, account_id, reason = move.at, move.account_id, move.reason
        elif before is not None:
            at, reason = datetime.fromisoformat(before["at"]), before["reason"]
            account_id = before["account_id"] and UUID(before["account_id"])
        else:
            continue
        found.append(Pinned(row.wish.order_id, row.technician_id, row.day, at, account_id, reason))
    return found


def _decided(row: Judged, move: BulkMove) -> Decided:
    order = row.order
    assert order is not None
    if row.technician_id is None:
        back = row.wish.back_to
        reason = (back and back.unplaced_reason) or UnplacedReason.TAKEN_BACK
        return Decided(order.id, order.grid_id, None, reason.value, move.reason)
    candidate = Candidate(row.technician_id, Kind.OTHER, 1, 0.0)
    known = set(PassedOver)
    why = next((PassedOver(one.value) for one in row.reasons if one.value in known), None)
    choice = Choice(candidate, row.day, None, [Tried(candidate, why)], 0)
    return Decided(order.id, order.grid_id, choice, BY_HAND, move.reason)


def _before(
    row: Judged, behind: Mapping[UUID, UUID | None], pin: DispatchPin | None
) -> dict[str, Any]:
    order = row.order
    assert order is not None
    said = {
        "order_id": order.id,
        "external_id": order.external_id,
        "technician_id": order.holder_id,
        "day": order.planned_day,
        "state": order.state,
        "unplaced_reason": order.unplaced_reason,
        "behind": behind.get(order.id),
        "pin": pin and {"at": pin.at, "account_id": pin.account_id, "reason": pin.reason},
    }
    written: dict[str, Any] = plain(said)
    return written


def _after(row: Judged, versions: Mapping[UUID, int]) -> dict[str, Any]:
    state = State.UNPLACED if row.technician_id is None else State.ASSIGNED
    written: dict[str, Any] = plain(
        {
            "order_id": row.wish.order_id,
            "technician_id": row.technician_id,
            "day": row.day,
            "state": state,
            "version": versions[row.wish.order_id],
            "insisted": [why.value for why in row.reasons],
        }
    )
    return written


def _day(key: DayOf, effect: Effect) -> dict[str, Any]:
    written: dict[str, Any] = plain({"technician_id": key[0], "day": key[1], **effect._asdict()})
    return written
