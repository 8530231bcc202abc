"""Reads of alerts and of the addresses they are sent to, and set-based writes of both."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.alerts.models import WAITING, Alert, AlertDelivery, AlertWebhook
from app.alerts.rules import AlertEvent, AlertKind, DeliveryState, Found, Open
from app.auth.callers import Caller, subtree
from app.core.db import fetched, new_id
from app.core.errors import NotFound


async def alone(tx: AsyncSession) -> None:
    """Let nobody else look for alerts until the transaction ends."""
    key = {"key": "alerts.stand"}
    await fetched(tx, "SELECT pg_advisory_xact_lock(hashtextextended(%(key)s, 0))::text", key)


async def open_of(tx: AsyncSession, kinds: Collection[AlertKind]) -> list[Open]:
    """Read the alerts of some kinds that are not over."""
    rows = await fetched(tx, _OPEN, {"kinds": [kind.value for kind in kinds]})
    return [Open(row[0], AlertKind(row[1]), *row[2:]) for row in rows]


_OPEN = """
SELECT id, kind, org_unit_id, subject, told_at, acknowledged_at IS NOT NULL FROM alert
 WHERE ended_at IS NULL AND kind = ANY(%(kinds)s)
"""


async def top_units(session: AsyncSession) -> list[UUID]:
    """Name the units that have none above them: what concerns the whole installation is theirs."""
    rows = await fetched(session, "SELECT id FROM org_unit WHERE parent_id IS NULL", {})
    return [row[0] for row in rows]


async def paths(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, str]:
    """Read where some units stand in the organisation."""
    given = {"ids": list(ids)}
    return dict(
        await fetched(session, "SELECT id, path FROM org_unit WHERE id = ANY(%(ids)s)", given)
    )


async def raise_(tx: AsyncSession, found: Sequence[Found], now: datetime) -> list[UUID]:
    """Write new alerts down, and return their ids."""
    ids = [new_id() for _ in found]
    given = {
        "ids": ids,
        "units": [one.org_unit_id for one in found],
        "kinds": [one.kind.value for one in found],
        "subjects": [one.subject for one in found],
        "figures": [one.figure for one in found],
        "limits": [one.most for one in found],
        "now": now,
    }
    await fetched(tx, _RAISE, given)
    return ids


_RAISE = """
INSERT INTO alert (id, org_unit_id, kind, subject, figure, most, at, told_at)
SELECT id, org_unit_id, kind, subject, figure, most, %(now)s, %(now)s
  FROM unnest(%(ids)s::uuid[], %(units)s::uuid[], %(kinds)s::text[], %(subjects)s::text[],
              %(figures)s::float8[], %(limits)s::float8[])
    AS o (id, org_unit_id, kind, subject, figure, most)
RETURNING id
"""


async def go_on(
    tx: AsyncSession,
    standing: Sequence[tuple[UUID, Found]],
    again: Collection[UUID],
    ended: Collection[UUID],
    now: datetime,
) -> None:
    """Write down what is found now of alerts that stand, which are told again, and which are over.

    What has not changed is not written.
    """
    given = {
        "ids": [alert_id for alert_id, _ in standing],
        "figures": [found.figure for _, found in standing],
        "limits": [found.most for _, found in standing],
        "again": list(again),
        "ended": list(ended),
        "now": now,
    }
    await fetched(tx, _GO_ON, given)


_GO_ON = """
WITH over AS (
    UPDATE alert SET ended_at = %(now)s WHERE id = ANY(%(ended)s::uuid[])
)
UPDATE alert AS a SET figure = o.figure, most = o.most,
       told_at = CASE WHEN a.id = ANY(%(again)s::uuid[]) THEN %(now)s ELSE a.told_at END
  FROM unnest(%(ids)s::uuid[], %(figures)s::float8[], %(limits)s::float8[]) AS o (id, figure, most)
 WHERE a.id = o.id AND (a.id = ANY(%(again)s::uuid[]) OR (a.figure, a.most) <> (o.figure, o.most))
RETURNING a.id
"""


class AlertRow(NamedTuple):
    """An alert with the names of its unit and of who took it up."""

    id: UUID
    kind: AlertKind
    subject: str
    org_unit_id: UUID
    org_unit_code: str
    org_unit_name_zh: str
    org_unit_name_en: str
    org_unit_path: str
    figure: float
    most: float
    at: datetime
    told_at: datetime
    ended_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: UUID | None
    acknowledged_by_name: str | None
    note: str | None


_ROWS = """
SELECT a.id, a.kind, a.subject, u.id, u.code, u.name_zh, u.name_en, u.path, a.figure, a.most,
       a.at, a.told_at, a.ended_at, a.acknowledged_at, a.acknowledged_by, c.username, a.note
  FROM alert AS a JOIN org_unit AS u ON u.id = a.org_unit_id
  LEFT JOIN account AS c ON c.id = a.acknowledged_by
"""
_THESE = f"{_ROWS} WHERE a.id = ANY(%(ids)s) ORDER BY a.at, a.id"
_LISTED = """
   AND starts_with(u.path, %(path)s) AND (%(kind)s::text IS NULL OR a.kind = %(kind)s)
   AND (%(at)s::timestamptz IS NULL OR (a.at, a.id) < (%(at)s, %(id)s))
 ORDER BY a.at DESC, a.id DESC LIMIT %(most)s
"""
# Few stand at a time, and the index of those that do is all that is read for them.
_STANDING = f"{_ROWS} WHERE a.ended_at IS NULL AND a.acknowledged_at IS NULL {_LISTED}"
_ALL = f"{_ROWS} WHERE true {_LISTED}"


def _row(row: Sequence[Any]) -> AlertRow:
    return AlertRow(row[0], AlertKind(row[1]), *row[2:])


async def these(session: AsyncSession, ids: Collection[UUID]) -> list[AlertRow]:
    """Read some alerts, the oldest first."""
    return [_row(row) for row in await fetched(session, _THESE, {"ids": list(ids)})]


async def page(
    read: AsyncSession,
    *,
    org_path: str,
    kind: AlertKind | None,
    every: bool,
    after: tuple[datetime, UUID] | None,
    size: int,
) -> list[AlertRow]:
    """Read alerts of a subtree, the latest first, and one more: those that stand and nobody has
    taken up, or with `every` all."""
    at, id_ = after or (None, None)
    given = {
        "path": org_path,
        "kind": kind and kind.value,
        "at": at,
        "id": id_,
        "most": size + 1,
    }
    return [_row(row) for row in await fetched(read, _ALL if every else _STANDING, given)]


async def alert_for_change(tx: AsyncSession, alert_id: UUID, caller: Caller) -> Alert:
    """Return an alert of the caller's subtree, held for a change. Raises NotFound."""
    found = select(Alert).where(Alert.id == alert_id, subtree(Alert.org_unit_id, caller))
    alert = await tx.scalar(found.with_for_update())
    if alert is None:
        raise NotFound()
    return alert


# --- addresses ----------------------------------------------------------------------------------


async def listening(tx: AsyncSession, alert_ids: Collection[UUID]) -> list[tuple[UUID, UUID]]:
    """Say which addresses are to be told of which alerts: (alert, webhook) each.

    An address is not told that it cannot be reached itself.
    """
    rows = await fetched(tx, _LISTENING, {"ids": list(alert_ids)})
    return [(alert_id, webhook_id) for alert_id, webhook_id in rows]


_LISTENING = """
SELECT a.id, w.id FROM alert AS a JOIN org_unit AS u ON u.id = a.org_unit_id
  JOIN org_unit AS above ON starts_with(u.path, above.path)
  JOIN alert_webhook AS w ON w.org_unit_id = above.id
 WHERE a.id = ANY(%(ids)s) AND w.active AND w.removed_at IS NULL
   AND (w.kinds IS NULL OR a.kind = ANY(w.kinds)) AND a.subject <> w.id::text
"""


async def webhook_within(
    session: AsyncSession, webhook_id: UUID, caller: Caller, *, held: bool = False
) -> AlertWebhook:
    """Return an address of the caller's subtree, held for a change or not. Raises NotFound."""
    found = select(AlertWebhook).where(
        AlertWebhook.id == webhook_id,
        AlertWebhook.removed_at.is_(None),
        subtree(AlertWebhook.org_unit_id, caller),
    )
    webhook = await session.scalar(found.with_for_update(key_share=True) if held else found)
    if webhook is None:
        raise NotFound()
    return webhook


async def webhooks(
    read: AsyncSession, caller: Caller, *, after: UUID | None, size: int
) -> Sequence[AlertWebhook]:
    """Read the addresses of the caller's subtree in the order in which they were made, and one
    more."""
    found = select(AlertWebhook).where(
        AlertWebhook.removed_at.is_(None), subtree(AlertWebhook.org_unit_id, caller)
    )
    if after is not None:
        found = found.where(AlertWebhook.id > after)
    return (await read.scalars(found.order_by(AlertWebhook.id).limit(size + 1))).all()


async def any_webhook(read: AsyncSession) -> bool:
    """Tell whether alerts are sent to any address."""
    return bool(await read.scalar(select(exists().where(AlertWebhook.removed_at.is_(None)))))


async def webhooks_for_change(tx: AsyncSession) -> Sequence[AlertWebhook]:
    """Lock all addresses, also those that were removed, but for what somebody else has locked."""
    found = select(AlertWebhook).order_by(AlertWebhook.id).with_for_update(skip_locked=True)
    return (await tx.scalars(found)).all()


async def count_of_unit(tx: AsyncSession, org_unit_id: UUID) -> int:
    """Count the addresses of a unit, which nobody adds to until the transaction ends."""
    given = {"unit": org_unit_id}
    await fetched(tx, "SELECT id FROM org_unit WHERE id = %(unit)s FOR NO KEY UPDATE", given)
    ((count,),) = await fetched(tx, _COUNT, given)
    return int(count)


_COUNT = """
SELECT count(*) FROM alert_webhook WHERE org_unit_id = %(unit)s AND removed_at IS NULL
"""


# --- deliveries ---------------------------------------------------------------------------------


class Due(NamedTuple):
    """What is to be told to an address now; `attempt` is which try it is."""

    id: UUID
    webhook_id: UUID
    body: dict[str, Any]
    attempt: int
    url: str
    secret: str
    wanted: bool


async def take_due(tx: AsyncSession, *, most: int, taken_for: timedelta) -> list[Due]:
    """Take up to so many deliveries that are due, each for one worker, and count the attempt.

    Whoever takes one has so long for it; should they die, it is taken up again after that.
    """
    given = {"most": most, "seconds": taken_for.total_seconds()}
    rows = await fetched(tx, _DUE, given)
    return [Due(*row) for row in rows]


_DUE = """
WITH due AS (
    SELECT id FROM alert_delivery WHERE state = 'waiting' AND next_try_at <= clock_timestamp()
     ORDER BY next_try_at LIMIT %(most)s FOR UPDATE SKIP LOCKED
)
UPDATE alert_delivery AS d
   SET attempts = d.attempts + 1,
       next_try_at = clock_timestamp() + make_interval(secs => %(seconds)s)
  FROM due, alert_webhook AS w
 WHERE d.id = due.id AND w.id = d.webhook_id
RETURNING d.id, d.webhook_id, d.body, d.attempts, w.url, w.secret,
          w.removed_at IS NULL AND (w.active OR d.event = 'alert.test')
"""


async def delivery_for_change(tx: AsyncSession, delivery_id: UUID) -> AlertDelivery | None:
    """Return a delivery that is not over, held for a change."""
    found = select(AlertDelivery).where(AlertDelivery.id == delivery_id, WAITING)
    return await tx.scalar(found.with_for_update())


async def given_up_within(tx: AsyncSession, delivery_id: UUID, caller: Caller) -> AlertDelivery:
    """Return a delivery to an address of the caller's subtree, held for a change.

    Raises NotFound.
    """
    found = (
        select(AlertDelivery)
        .join(AlertWebhook, AlertWebhook.id == AlertDelivery.webhook_id)
        .where(
            AlertDelivery.id == delivery_id,
            AlertWebhook.removed_at.is_(None),
            subtree(AlertWebhook.org_unit_id, caller),
        )
    )
    delivery = await tx.scalar(found.with_for_update(of=AlertDelivery))
    if delivery is None:
        raise NotFound()
    return delivery


async def deliveries(
    read: AsyncSession,
    webhook_id: UUID,
    *,
    state: DeliveryState | None,
    after: UUID | None,
    size: int,
) -> Sequence[AlertDelivery]:
    """Read what an address was told or was to be told, the latest first, and one more."""
    found = select(AlertDelivery).where(AlertDelivery.webhook_id == webhook_id)
    if state is not None:
        found = found.where(AlertDelivery.state == state)
    if after is not None:
        found = found.where(AlertDelivery.id < after)
    return (await read.scalars(found.order_by(AlertDelivery.id.desc()).limit(size + 1))).all()


async def add_deliveries(
    tx: AsyncSession, rows: Sequence[tuple[UUID, UUID | None, AlertEvent, dict[str, Any]]]
) -> list[UUID]:
    """Write down what is to be told: (webhook, alert, event, body) each; returns their ids."""
    ids = [UUID(body["id"]) for *_, body in rows]
    given = {
        "ids": ids,
        "webhooks": [webhook_id for webhook_id, *_ in rows],
        "alerts": [alert_id for _, alert_id, *_ in rows],
        "events": [event.value for _, _, event, _ in rows],
        "bodies": [orjson.dumps(body).decode() for *_, body in rows],
    }
    await fetched(tx, _ADD, given)
    return ids


_ADD = """
INSERT INTO alert_delivery (id, webhook_id, alert_id, event, body, state)
SELECT id, webhook_id, alert_id, event, body, 'waiting'
  FROM unnest(%(ids)s::uuid[], %(webhooks)s::uuid[], %(alerts)s::uuid[], %(events)s::text[],
              %(bodies)s::jsonb[]) AS o (id, webhook_id, alert_id, event, body)
RETURNING id
"""


async def tell_boards(tx: AsyncSession, path: str) -> None:
    """Tell whoever watches the board of a unit, or of one above it, that its alerts are others; it
    is heard when the transaction commits."""
    await fetched(tx, _TELL_BOARDS, {"path": path})


_TELL_BOARDS = """
SELECT pg_notify('changes', json_build_object(
    'id', nextval('change_id')::text, 'path', %(path)s::text, 'technicians', '{}'::text[],
    'orders', '{}'::text[], 'unplaced', false, 'alerts', true)::text)::text
"""
