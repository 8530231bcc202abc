"""Whoever is to hear of alerts: boards that are open, phones, and the addresses people have set."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.alerts import queries, rules
from app.alerts.queries import AlertRow
from app.alerts.rules import PRESSING, AlertEvent
from app.core import jobs
from app.core.db import new_id
from app.core.i18n import LANGS
from app.core.parameter_values import parameters_in_force


async def tell(tx: AsyncSession, event: AlertEvent, ids: Collection[UUID], now: datetime) -> None:
    """Have told what happened to alerts; it goes out once the transaction has committed."""
    alerts = {alert.id: alert for alert in await queries.these(tx, ids)}
    for path in {alert.org_unit_path for alert in alerts.values()}:
        await queries.tell_boards(tx, path)
    listening = await queries.listening(tx, ids)
    if listening:
        rows = [
            (webhook_id, alert_id, event, message(new_id(), event, now, shown(alerts[alert_id])))
            for alert_id, webhook_id in listening
        ]
        await queries.add_deliveries(tx, rows)
    if event in PRESSING:
        numbers = await parameters_in_force(tx)
        for path in {alert.org_unit_path for alert in alerts.values()}:
            levels = numbers.whole(rules.PUSH_LEVELS, now, path)
            await jobs.tell(tx, "alert.pressing", org_path=path, levels=levels)


def message(
    message_id: UUID, event: AlertEvent, at: datetime, data: dict[str, Any]
) -> dict[str, Any]:
    """Write what is sent to an address, in the shape that Standard Webhooks proposes."""
    return {
        "id": str(message_id),
        "type": event.value,
        "timestamp": at.isoformat(),
        "data": data,
    }


def shown(alert: AlertRow) -> dict[str, Any]:
    """Write an alert for others to read: no name of a person and nothing anybody wrote."""
    said = {lang: rules.said(alert.kind, alert.figure, alert.most, lang) for lang in LANGS}
    return {
        "alert_id": str(alert.id),
        "kind": alert.kind.value,
        "words": said,
        "org_unit": {
            "id": str(alert.org_unit_id),
            "code": alert.org_unit_code,
            "name_zh": alert.org_unit_name_zh,
            "name_en": alert.org_unit_name_en,
        },
        "subject": alert.subject,
        "figure": alert.figure,
        "most": alert.most,
        "raised_at": alert.at.isoformat(),
        "acknowledged_at": alert.acknowledged_at and alert.acknowledged_at.isoformat(),
        "ended_at": alert.ended_at and alert.ended_at.isoformat(),
    }
