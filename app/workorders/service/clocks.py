"""The clocks of orders' promises: stopped for a cause that is shown, and started again.

Whoever stops a clock holds the orders' row locks. Until when an order is due is worked out anew at
every stop and start, from when it was due at first; so the time to work in stays what was promised.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import new_id
from app.core.errors import Problem, SameIdOtherContent, plain
from app.promises import queries as promises
from app.promises.rules import (
    FROM_THE_DOOR,
    CauseDoesNotStop,
    ClockStandsAlready,
    NoSuchTime,
    Proof,
    ProofKind,
    Span,
    StopCause,
    StopRule,
    check_proof,
    stop_rule_for,
    uncovered,
)
from app.workorders.models import ClockStop, WorkOrder, WorkOrderEvent
from app.workorders.rules import Step
from app.workorders.service.running import Running, running, settle


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A stop as it is asked for: since when, why, and what shows it. Moments are aware.

    Without `ended_at` it goes on until it is ended, but not beyond `latest` nor beyond what the
    rule for its cause allows. `device_at` is what a phone's clock said when it began.
    """

    cause: StopCause
    proof: Proof
    at: datetime
    ended_at: datetime | None = None
    latest: datetime | None = None
    id: UUID | None = None
    account_id: UUID | None = None
    technician_id: UUID | None = None
    device_at: datetime | None = None
    note: str = ""

    @property
    def content(self) -> str:
        """Hash what was asked, so that the same stop asked for again is known (SHA-256)."""
        said = [self.cause, self.proof.kind, self.proof.id, self.proof.reference]
        when = [one and one.timestamp() for one in (self.at, self.ended_at, self.latest)]
        return hashlib.sha256(json.dumps(plain([*said, *when, self.note])).encode()).hexdigest()


async def stop(
    tx: AsyncSession, order: WorkOrder, asked: Stop, *, now: datetime, told: bool = True
) -> ClockStop:
    """Stop the clock of an order that the transaction holds locked; the history tells of it.

    The same stop asked for again is answered like the first. Of a time that is covered by other
    stops only the rest is added; a stop from the door that stands open gives way to the new one.
    With `told` false the caller tells the history itself. Raises CauseDoesNotStop, EvidenceNeeded,
    ClockStandsAlready, NoSuchTime, and SameIdOtherContent for a used id.
    """
    fate = (await stop_all(tx, [order], asked, now=now, told=told))[order.id]
    if isinstance(fate, Problem):
        raise fate
    return fate


async def stop_all(
    tx: AsyncSession, orders: Sequence[WorkOrder], asked: Stop, *, now: datetime, told: bool = True
) -> dict[UUID, ClockStop | Problem]:
    """Stop the clocks of many locked orders for one cause, each as `stop` does.

    What stands in the way of one order is its answer, and the others are stopped all the same. It
    costs a few statements, however many orders there are. Every order gets a stop of its own id.
    """
    dated = await promises.stop_rules(tx)
    fates: dict[UUID, ClockStop | Problem] = {}
    made: list[tuple[Running, list[ClockStop]]] = []
    for each in await running(tx, orders):
        try:
            known = _asked_before(each, asked)
            if known is not None:
                fates[each.order.id] = known
                continue
            rule = _rule(dated, each, asked)
            parts = _parts(each, asked, rule)
        except Problem as problem:
            fates[each.order.id] = problem
            continue
        fates[each.order.id] = parts[-1]
        made.append((each, parts))
    # What was ended to make room goes first: the database wants no two stops at one time.
    await tx.flush()
    for each, parts in made:
        tx.add_all(parts)
        each.stops.extend(parts)
    await settle(tx, [each for each, _ in made])
    if told:
        for each, parts in made:
            facts = {
                "clock_stop_id": parts[-1].id,
                "began_at": parts[0].began_at,
                "until": parts[-1].span.ends,
                "due_at": each.order.due_at,
                "proof": asked.proof.kind,
                "reference": asked.proof.reference,
            }
            tx.add(_event(each.order, Step.STOP_CLOCK, asked, facts, now))
    await tx.flush()
    return fates


def _asked_before(each: Running, asked: Stop) -> ClockStop | None:
    for one in each.stops:
        if asked.id is not None and one.id == asked.id:
            if one.content_hash != asked.content:
                raise SameIdOtherContent(id=asked.id)
            return one
    return None


def _rule(dated: Iterable[StopRule], each: Running, asked: Stop) -> StopRule:
    day = asked.at.astimezone(each.unit.zone).date()
    work_type, path = each.order.work_type, each.unit.path
    rule = stop_rule_for(dated, asked.cause, work_type, path, day)
    if rule is None:
        known = list(dated)
        allowed = [
            cause.value for cause in StopCause if stop_rule_for(known, cause, work_type, path, day)
        ]
        raise CauseDoesNotStop(cause=asked.cause, work_type=work_type, causes=allowed)
    check_proof(rule, asked.proof)
    return rule


def _parts(each: Running, asked: Stop, rule: StopRule) -> list[ClockStop]:
    order = each.order
    most = asked.at + timedelta(hours=rule.most_hours)
    ends_by = min(asked.latest or most, most)
    until = asked.ended_at or ends_by
    too_late = order.completed_at is not None and until > order.completed_at
    if not order.reported_at <= asked.at <= until <= most or too_late:
        errors = [{"field": "ended_at", "message": "not within the time in which it can lie"}]
        raise NoSuchTime(most_hours=rule.most_hours, errors=errors)
    open_one = each.open_at(asked.at)
    if open_one is not None and open_one.proof_kind in FROM_THE_DOOR:
        open_one.ended_at = asked.at
    parts = uncovered(Span(asked.at, until), each.spans)
    if not parts:
        over = next(one for one in each.counting if one.span.begins <= asked.at < one.span.ends)
        raise ClockStandsAlready(stop_id=over.id, cause=over.cause)
    first_due_at = each.first_due
    return [
        ClockStop(
            id=asked.id if asked.id is not None and number == len(parts) else new_id(),
            work_order_id=order.id,
            cause=asked.cause,
            rule_code=rule.code,
            exempts=rule.exempts,
            began_at=part.begins,
            ends_by=part.ends,
            # Only what reaches to its very end can go on until somebody ends it.
            ended_at=part.ends if asked.ended_at is not None or part.ends < until else None,
            proof_kind=asked.proof.kind,
            proof_id=asked.proof.id,
            reference=asked.proof.reference,
            note=asked.note,
            account_id=asked.account_id,
            technician_id=asked.technician_id,
            device_began_at=asked.device_at,
            first_due_at=first_due_at,
            content_hash=asked.content,
        )
        for number, part in enumerate(parts, start=1)
    ]


async def start(
    tx: AsyncSession,
    order: WorkOrder,
    *,
    at: datetime,
    now: datetime,
    stop_id: UUID | None = None,
    proof_id: UUID | None = None,
    proofs: Collection[ProofKind] = (),
    account_id: UUID | None = None,
    technician_id: UUID | None = None,
    device_at: datetime | None = None,
    told: bool = True,
) -> ClockStop | None:
    """Let the clock of a locked order run again: end the stop that stands open.

    With `stop_id`, `proof_id` or kinds of `proofs` only such a stop is ended. Returns the stop, or
    None when there was none to end; one that has ended by itself stays as it is.
    """
    ended = await start_all(
        tx,
        [order],
        at=at,
        now=now,
        stop_id=stop_id,
        proof_id=proof_id,
        proofs=proofs,
        account_id=account_id,
        technician_id=technician_id,
        device_at=device_at,
        told=told,
    )
    return ended.get(order.id)


async def start_all(
    tx: AsyncSession,
    orders: Sequence[WorkOrder],
    *,
    at: datetime,
    now: datetime,
    stop_id: UUID | None = None,
    proof_id: UUID | None = None,
    proofs: Collection[ProofKind] = (),
    account_id: UUID | None = None,
    technician_id: UUID | None = None,
    device_at: datetime | None = None,
    told: bool = True,
) -> dict[UUID, ClockStop]:
    """Let the clocks of many locked orders run again, each as `start` does; return what ended."""
    ended: list[tuple[Running, ClockStop]] = []
    for each in await running(tx, orders):
        meant = (
            one
            for one in each.still_open(at)
            if (stop_id is None or one.id == stop_id)
            and (proof_id is None or one.proof_id == proof_id)
            and (not proofs or one.proof_kind in proofs)
        )
        open_one = next(meant, None)
        if open_one is None:
            continue
        open_one.ended_at, open_one.ended_by_id = max(at, open_one.began_at), account_id
        open_one.device_ended_at = device_at
        ended.append((each, open_one))
    await settle(tx, [each for each, _ in ended])
    if told:
        for each, open_one in ended:
            facts = {
                "clock_stop_id": open_one.id,
                "began_at": open_one.began_at,
                "until": open_one.ended_at,
                "due_at": each.order.due_at,
            }
            tx.add(
                WorkOrderEvent(
                    work_order_id=each.order.id,
                    at=now,
                    device_at=device_at,
                    account_id=account_id,
                    technician_id=technician_id,
                    step=Step.START_CLOCK,
                    from_state=each.order.state,
                    to_state=each.order.state,
                    reason=open_one.cause.value,
                    facts=plain(facts),
                )
            )
    await tx.flush()
    return {each.order.id: one for each, one in ended}


def _event(
    order: WorkOrder, step: Step, asked: Stop, facts: Mapping[str, Any], now: datetime
) -> WorkOrderEvent:
    return WorkOrderEvent(
        work_order_id=order.id,
        at=now,
        device_at=asked.device_at,
        account_id=asked.account_id,
        technician_id=asked.technician_id,
        step=step,
        from_state=order.state,
        to_state=order.state,
        reason=asked.cause.value,
        facts=plain(facts),
    )
