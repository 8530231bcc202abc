"""Hearing: callbacks of the other side, many at once where they are plain.

Those that are plain are kept and have their effect together; the others are heard one by one. Every
row that is changed is locked before the events are kept, so that no two who hear the same event can
wait for each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import wall
from app.core.db import fetched, new_id
from app.core.parameter_values import parameters_in_force
from app.ordering import delivery, queries
from app.ordering.delivery import SyncState
from app.ordering.models import CHANGE_OPEN, OrderCallback, OrderSync
from app.ordering.order import RemoteEvent, RemoteOrder
from app.ordering.rules import RemoteState, Source, Verdict
from app.ordering.service import changing
from app.ordering.service.judging import Judged, Known, judge
from app.ordering.service.settling import learn
from app.ordering.service.standing import STANDS_SINCE
from app.sales import service as sales
from app.sales.service import News


@dataclass(frozen=True)
class Heard:
    """A callback that was proved and could be read: what it says, and its body as it came."""

    event: RemoteEvent
    body: bytes

    def about(self) -> str:
        """Name what it is about: events of one thing are heard one after the other."""
        if self.event.order is not None:
            return self.event.order.external_id or self.event.order.id
        assert self.event.cancellation is not None
        return self.event.cancellation.order_id or self.event.cancellation.id


class HeardAs(StrEnum):
    """What became of a callback among many."""

    KEPT = "kept"
    KNOWN = "known"  # the same event came before
    ODD = "odd"  # no plain case: `hear` takes it
    OUT_OF_REACH = "out_of_reach"  # somebody holds its order at this moment, or it is not ours


async def hear_many(tx: AsyncSession, heard: Sequence[Heard], now: datetime) -> dict[str, HeardAs]:
    """Take in callbacks that are about different orders; returns by the events' ids what became of
    each. `now` is business time."""
    told = {one.event.id: HeardAs.ODD for one in heard}
    by_sale = {sale_id: one for one in heard if (sale_id := _sale_of(one.event)) is not None}
    if not by_sale:
        return told
    told |= {one.event.id: HeardAs.OUT_OF_REACH for one in by_sale.values()}
    plain = []
    locked = await fetched(tx, _LOCK, {"sales": sorted(by_sale)})
    for sync_id, sale_id, given_up, *standing in locked:
        one = by_sale[sale_id]
        told[one.event.id] = HeardAs.ODD
        assert one.event.order is not None
        seen = one.event.order
        judged = judge(_known(*standing), seen, one.event.at, Source.EVENT)
        # What somebody has to look at is no plain case.
        odd = judged.verdict is Verdict.CONTRADICTS or seen.state is RemoteState.PARTIAL
        if not (odd or given_up):
            plain.append(_Plain(one, sync_id, sale_id, judged))
    if not plain:
        return told
    # One order of keeping them for all, so that no two can wait for each other.
    plain.sort(key=lambda each: each.heard.event.id)
    fresh = await _written(tx, plain)
    news = {
        each.sale_id: News(each.judged.news, each.heard.event.order.reason)
        for each in plain
        if each.judged.news and each.heard.event.order and fresh.get(each.heard.event.id)
    }
    await sales.follow_many(tx, news, at=now)
    return told | {
        event_id: HeardAs.KEPT if is_new else HeardAs.KNOWN for event_id, is_new in fresh.items()
    }


@dataclass(frozen=True)
class _Plain:
    heard: Heard
    sync_id: UUID
    sale_id: UUID
    judged: Judged


def _known(
    state: str,
    remote_id: str | None,
    href: str | None,
    remote_state: str | None,
    remote_at: datetime | None,
) -> Known:
    as_state = RemoteState(remote_state) if remote_state else None
    return Known(SyncState(state), remote_id, href, as_state, remote_at)


def _sale_of(event: RemoteEvent) -> UUID | None:
    if event.order is None or not event.order.external_id:
        return None
    try:
        return UUID(event.order.external_id)
    except ValueError:
        return None


async def _written(tx: AsyncSession, plain: Sequence[_Plain]) -> dict[str, bool]:
    """Keep events with their effects; tells of each that was taken whether it was a new one."""
    parameters = await parameters_in_force(tx)
    soonest = parameters.number(delivery.POLL_SOONEST, wall())
    judged = [each.judged for each in plain]
    after = [each.after for each in judged]
    events = [each.heard.event for each in plain]
    rows = await fetched(
        tx,
        _HEAR_MANY,
        {
            "ids": [new_id() for _ in plain],
            "event_ids": [event.id for event in events],
            "kinds": [event.kind for event in events],
            "times": [event.at for event in events],
            "bodies": [each.heard.body.decode() for each in plain],
            "verdicts": [each.verdict or "no_state" for each in judged],
            "syncs": [each.sync_id for each in plain],
            "sales": [each.sale_id for each in plain],
            "changes": [each.changes for each in judged],
            "states": [each.state for each in after],
            "arrived": [each.arrived for each in judged],
            "remote_ids": [each.remote_id for each in after],
            "hrefs": [each.remote_href for each in after],
            "remote_states": [each.remote_state for each in after],
            "remote_ats": [each.remote_state_at for each in after],
            "again": [each.again for each in judged],
            "soonest": soonest,
            "latest": max(soonest, parameters.number(delivery.POLL_LATEST, wall())),
        },
    )
    return dict(rows)


_LOCK = """
SELECT id, sale_id, given_up_at IS NOT NULL,
       state, remote_id, remote_href, remote_state, remote_state_at
  FROM order_sync WHERE sale_id = ANY(%(sales)b::uuid[])
 ORDER BY sale_id FOR UPDATE SKIP LOCKED
"""
# An end that somebody waits for who wished to change the order is no plain case; whoever wishes
# that holds the delivery, so it can be told now.
_HEAR_MANY = f"""
WITH told AS (
    SELECT * FROM unnest(%(ids)b::uuid[], %(event_ids)b::text[], %(kinds)b::text[],
            %(times)b::timestamptz[], %(bodies)b::text[], %(verdicts)b::text[], %(syncs)b::uuid[],
            %(sales)b::uuid[], %(changes)b::bool[], %(states)b::text[], %(arrived)b::bool[],
            %(remote_ids)b::text[], %(hrefs)b::text[], %(remote_states)b::text[],
            %(remote_ats)b::timestamptz[], %(again)b::text[])
        AS t (id, event_id, kind, at, body, verdict, sync_id, sale_id, changes, state, arrived,
              remote_id, href, remote_state, remote_at, again)
), plain AS (
    SELECT * FROM told WHERE again <> 'never' OR NOT EXISTS (
        SELECT FROM order_change WHERE sale_id = told.sale_id AND {CHANGE_OPEN})
), fresh AS (
    INSERT INTO order_callback (id, event_id, event_type, event_time, received_at, order_sync_id,
                                body, verdict)
    SELECT id, event_id, kind, at, clock_timestamp(), sync_id, body::jsonb, verdict
      FROM plain ORDER BY event_id
    ON CONFLICT (event_id) DO NOTHING RETURNING event_id
), followed AS (
    UPDATE order_sync o
       SET state = p.state, remote_id = p.remote_id, remote_href = p.href,
           remote_state = p.remote_state, remote_state_at = p.remote_at,
           stands_since = {STANDS_SINCE.format(state="p.remote_state")},
           last_error = CASE WHEN p.arrived OR p.again = 'never' THEN NULL ELSE o.last_error END,
           last_cause = CASE WHEN p.arrived OR p.again = 'never' THEN NULL ELSE o.last_cause END,
           next_try_at = CASE p.again
               WHEN 'as_it_was' THEN o.next_try_at
               WHEN 'now' THEN clock_timestamp()
               WHEN 'poll' THEN clock_timestamp() + least(
                   greatest((clock_timestamp() - o.created_at) / 4,
                            make_interval(secs => %(soonest)s)),
                   make_interval(secs => %(latest)s))
               END,
           version = o.version + 1
      FROM plain p JOIN fresh USING (event_id)
     WHERE o.id = p.sync_id AND p.changes
)
SELECT p.event_id, f.event_id IS NOT NULL FROM plain p LEFT JOIN fresh f USING (event_id)
"""  # noqa: S608 - the condition is a constant of ours


# --- one by one -----------------------------------------------------------------------------------


async def hear(tx: AsyncSession, event: RemoteEvent, body: dict[str, Any], now: datetime) -> str:
    """Take in a callback and say what became of it; the same event a second time changes nothing.

    Events of orders that are not ours are kept too, as `not_ours`, for whoever wonders.
    """
    sync = await _sync_of(tx, event.order) if event.order is not None else None
    callback = await _kept(tx, event, body)
    if callback is None:
        return "duplicate"
    if event.cancellation is not None:
        callback.order_sync_id, callback.verdict = await changing.hear(tx, event.cancellation, now)
    elif sync is None:
        callback.verdict = "not_ours"
    else:
        assert event.order is not None
        callback.order_sync_id = sync.id
        seen, at = event.order, event.at
        verdict = await learn(tx, sync, seen, outcome_at=at, source=Source.EVENT, now=now)
        callback.verdict = verdict.value if verdict else "no_state"
    return callback.verdict


async def _kept(tx: AsyncSession, event: RemoteEvent, body: dict[str, Any]) -> OrderCallback | None:
    """Keep a callback as it came; None when it is known."""
    return (
        await tx.scalars(
            upsert(OrderCallback)
            .values(
                id=new_id(),
                event_id=event.id,
                event_type=event.kind,
                event_time=event.at,
                received_at=func.clock_timestamp(),
                body=body,
                verdict="received",
            )
            .on_conflict_do_nothing(index_elements=[OrderCallback.event_id])
            .returning(OrderCallback)
        )
    ).one_or_none()


async def _sync_of(tx: AsyncSession, seen: RemoteOrder) -> OrderSync | None:
    """Find the delivery an order belongs to: by our id, which it carries, else by theirs."""
    if seen.external_id:
        try:
            return await queries.for_change(tx, UUID(seen.external_id))
        except ValueError:
            return None
    return await queries.for_change_by_remote(tx, seen.id)
