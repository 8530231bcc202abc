"""Doorways of alerts, and of the addresses they are sent to."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request, status

from app.alerts import queries, rules, service
from app.alerts.models import AlertWebhook
from app.alerts.rules import AlertKind, DeliveryState
from app.alerts.schemas import (
    AlertNoteIn,
    AlertOut,
    AlertPage,
    DeliveryOut,
    DeliveryPage,
    WebhookChangeIn,
    WebhookIn,
    WebhookMadeOut,
    WebhookOut,
    WebhookPage,
)
from app.auth.callers import Caller, caller
from app.auth.queries import org_unit_within
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Language, Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.core.sealing import Sealer
from app.core.settings import Settings

router = Router(prefix="/v1", tags=["alerts"])

Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="alerts:read"))]
Keeper = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="alerts:take"))]
# Where data of the operator's goes is for the operator's administrators to say.
Setter = Annotated[Caller, Depends(caller(Role.ADMIN, scope="alerts:send"))]


def _listed(request: Request) -> frozenset[str]:
    settings: Settings = request.app.state.settings
    return rules.hosts_of(settings.webhook_hosts)


def _sealer(request: Request) -> Sealer:
    sealer: Sealer | None = request.app.state.webhook_keys
    if sealer is None:
        raise rules.WebhookKeysMissing(reason="YINGWEI_WEBHOOK_SECRET_KEYS")
    return sealer


Sealed = Annotated[Sealer, Depends(_sealer)]
Listed = Annotated[frozenset[str], Depends(_listed)]


@router.get("/alerts", operation_id="alerts_list")
async def listed(
    reader: Reader,
    read: Read,
    lang: Language,
    org_unit_id: Annotated[
        UUID | None, Query(description="With all units under it; left out, the caller's own.")
    ] = None,
    kind: AlertKind | None = None,
    every: Annotated[
        bool, Query(description="Also those somebody has taken up, or that are over.")
    ] = False,
    size: PageSize = 50,
    token: PageToken = None,
) -> AlertPage:
    """List what stands in the caller's units and nobody has taken up, the latest first.

    The stream of the board tells when it is another list.
    """
    unit = await org_unit_within(read, org_unit_id or reader.org_unit_id, reader)
    after = key_of(token, datetime, UUID) if token else None
    rows, last = cut(
        await queries.page(
            read, org_path=unit.path, kind=kind, every=every, after=after, size=size
        ),
        size,
    )
    return AlertPage(
        alerts=[AlertOut.of(row, lang) for row in rows],
        next_page_token=token_of(last.at, last.id) if last else None,
    )


@router.post("/alerts/{alert_id}/acknowledge", operation_id="alerts_acknowledge")
async def acknowledge(
    alert_id: UUID, body: AlertNoteIn, keeper: Keeper, tx: Tx, now: Now, lang: Language
) -> AlertOut:
    """Take an alert up with a word on what is done; whoever was first stays."""
    await service.acknowledge(tx, alert_id, keeper, note=body.note, now=now)
    [row] = await queries.these(tx, [alert_id])
    return AlertOut.of(row, lang)


# --- addresses ----------------------------------------------------------------------------------


@router.get("/alert-webhooks", operation_id="alert_webhooks_list")
async def webhooks(
    reader: Reader, read: Read, size: PageSize = 50, token: PageToken = None
) -> WebhookPage:
    """List the addresses that alerts of the caller's units are sent to, without their secrets."""
    after = key_of(token, UUID)[0] if token else None
    rows, last = cut(await queries.webhooks(read, reader, after=after, size=size), size)
    return WebhookPage(
        webhooks=[WebhookOut.model_validate(row) for row in rows],
        next_page_token=token_of(last.id) if last else None,
    )


@router.post(
    "/alert-webhooks", status_code=status.HTTP_201_CREATED, operation_id="alert_webhooks_add"
)
async def add(
    body: WebhookIn, setter: Setter, tx: Tx, now: Now, listed: Listed, sealer: Sealed
) -> WebhookMadeOut:
    """Have alerts of a unit and of those under it sent to an address, signed with its secret."""
    webhook, secret = await service.add_webhook(
        tx,
        setter,
        webhook_id=body.id,
        org_unit_id=body.org_unit_id,
        name=body.name,
        url=body.url,
        secret=body.secret,
        kinds=body.kinds,
        listed=listed,
        sealer=sealer,
        now=now,
    )
    return WebhookMadeOut.of(webhook, secret)


@router.get(
    "/alert-webhooks/{webhook_id}",
    response_model=WebhookOut,
    operation_id="alert_webhooks_one",
)
async def one(webhook_id: UUID, reader: Reader, read: Read) -> AlertWebhook:
    """Read one address."""
    return await queries.webhook_within(read, webhook_id, reader)


@router.put(
    "/alert-webhooks/{webhook_id}",
    response_model=WebhookOut,
    operation_id="alert_webhooks_change",
)
async def change(
    webhook_id: UUID, body: WebhookChangeIn, setter: Setter, tx: Tx, listed: Listed
) -> AlertWebhook:
    """Replace what is said of an address; its secret stays."""
    return await service.change_webhook(
        tx,
        setter,
        webhook_id,
        name=body.name,
        url=body.url,
        kinds=body.kinds,
        active=body.active,
        listed=listed,
    )


@router.delete(
    "/alert-webhooks/{webhook_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    operation_id="alert_webhooks_remove",
)
async def remove(webhook_id: UUID, setter: Setter, tx: Tx, now: Now) -> None:
    """Send nothing more to an address; what waits for it is given up."""
    await service.remove_webhook(tx, setter, webhook_id, now)


@router.post("/alert-webhooks/{webhook_id}/secret", operation_id="alert_webhooks_secret")
async def secret(webhook_id: UUID, setter: Setter, tx: Tx, sealer: Sealed) -> WebhookMadeOut:
    """Make another secret; what is sent from now on is signed with it alone."""
    webhook, made = await service.new_secret(tx, setter, webhook_id, sealer=sealer)
    return WebhookMadeOut.of(webhook, made)


@router.post(
    "/alert-webhooks/{webhook_id}/test",
    status_code=status.HTTP_202_ACCEPTED,
    operation_id="alert_webhooks_test",
)
async def test(webhook_id: UUID, setter: Setter, tx: Tx, now: Now, lang: Language) -> DeliveryOut:
    """Have a message sent that says it is a test, also to an address that is switched off.

    How it went is found among the deliveries.
    """
    return DeliveryOut.of(await service.test_webhook(tx, setter, webhook_id, now), lang)


@router.get("/alert-webhooks/{webhook_id}/deliveries", operation_id="alert_deliveries_list")
async def deliveries(
    webhook_id: UUID,
    reader: Reader,
    read: Read,
    lang: Language,
    state: DeliveryState | None = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> DeliveryPage:
    """List what an address was told or is to be told, the latest first, and why some was given
    up."""
    webhook = await queries.webhook_within(read, webhook_id, reader)
    after = key_of(token, UUID)[0] if token else None
    rows, last = cut(
        await queries.deliveries(read, webhook.id, state=state, after=after, size=size), size
    )
    return DeliveryPage(
        deliveries=[DeliveryOut.of(row, lang) for row in rows],
        next_page_token=token_of(last.id) if last else None,
    )


@router.post("/alert-deliveries/{delivery_id}/retry", operation_id="alert_deliveries_retry")
async def retry(delivery_id: UUID, setter: Setter, tx: Tx, lang: Language) -> DeliveryOut:
    """Take a delivery up again that was given up; the other side knows it by its id."""
    return DeliveryOut.of(await service.retry(tx, setter, delivery_id), lang)
