"""The addresses that alerts are sent to: set, changed, tried out and removed."""

import base64
import secrets
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.alerts import queries, rules
from app.alerts.models import AlertDelivery, AlertWebhook
from app.alerts.rules import AlertEvent, AlertKind, DeliveryNotGivenUp, DeliveryState
from app.alerts.service import finding
from app.alerts.service.telling import message
from app.auth import audit
from app.auth.callers import Caller
from app.auth.queries import org_unit_within
from app.core import signing
from app.core.db import new_id, shared_now
from app.core.errors import Invalid, SameIdOtherContent
from app.core.log import log
from app.core.parameter_values import parameters_in_force
from app.core.sealing import CannotBeOpened, Sealer, is_sealed

SECRET_BYTES = 32


async def add_webhook(
    tx: AsyncSession,
    caller: Caller,
    *,
    webhook_id: UUID,
    org_unit_id: UUID | None,
    name: str,
    url: str,
    secret: str | None,
    kinds: Collection[AlertKind] | None,
    listed: frozenset[str],
    sealer: Sealer,
    now: datetime,
) -> tuple[AlertWebhook, str | None]:
    """Have alerts of a unit (None: the caller's own) and of those under it sent to an address.

    `listed` are the hosts that an operator allows beside public ones, and `sealer` is what the
    secret is kept with. Answers with the secret as
    well where one was made: nobody can read it afterwards. The same again changes nothing, and
    makes no secret. Raises WebhookAddressRefused, TooManyWebhooks, Invalid, NotFound and
    SameIdOtherContent.
    """
    rules.check_address(url, listed)
    unit = await org_unit_within(tx, org_unit_id or caller.org_unit_id, caller)
    count = await queries.count_of_unit(tx, unit.id)
    known = await tx.get(AlertWebhook, webhook_id)
    wanted = _kinds(kinds)
    if known is not None:
        if (known.org_unit_id, known.name, known.url, known.kinds) != (unit.id, name, url, wanted):
            raise SameIdOtherContent(id=webhook_id)
        return known, None
    numbers = await parameters_in_force(tx)
    most = numbers.whole(rules.MOST_WEBHOOKS, now, unit.path)
    if count >= most:
        raise rules.TooManyWebhooks(most=most)
    signs = _checked(secret) if secret else _secret()
    webhook = AlertWebhook(
        id=webhook_id,
        org_unit_id=unit.id,
        name=name,
        url=url,
        secret=sealer.seal(signs, str(webhook_id)),
        kinds=wanted,
        active=True,
        failures=0,
    )
    tx.add(webhook)
    await tx.flush()
    return webhook, None if secret else signs


async def change_webhook(
    tx: AsyncSession,
    caller: Caller,
    webhook_id: UUID,
    *,
    name: str,
    url: str,
    kinds: Collection[AlertKind] | None,
    active: bool,
    listed: frozenset[str],
) -> AlertWebhook:
    """Replace what is said of an address. Raises NotFound and WebhookAddressRefused."""
    rules.check_address(url, listed)
    webhook = await queries.webhook_within(tx, webhook_id, caller, held=True)
    webhook.name, webhook.url, webhook.kinds = name, url, _kinds(kinds)
    webhook.active = active
    await tx.flush()
    return webhook


async def new_secret(
    tx: AsyncSession, caller: Caller, webhook_id: UUID, *, sealer: Sealer
) -> tuple[AlertWebhook, str]:
    """Make another secret for an address; what is sent from now on is signed with it alone.

    Raises NotFound.
    """
    webhook = await queries.webhook_within(tx, webhook_id, caller, held=True)
    made = _secret()
    webhook.secret = sealer.seal(made, str(webhook.id))
    await tx.flush()
    return webhook, made


async def seal_secrets(tx: AsyncSession, sealer: Sealer) -> None:
    """Seal secrets that are kept as they are, and those of an older key with the one that seals
    now; what another worker is at is left to it, and what cannot be opened stays as it is."""
    for webhook in await queries.webhooks_for_change(tx):
        if sealer.is_newest(webhook.secret):
            continue
        try:
            webhook.secret = sealer.seal(
                opened(webhook.secret, webhook.id, sealer), str(webhook.id)
            )
        except CannotBeOpened as error:
            log.warning("a webhook's secret is lost", webhook=str(webhook.id), reason=str(error))


async def remove_webhook(tx: AsyncSession, caller: Caller, webhook_id: UUID, now: datetime) -> None:
    """Send nothing more to an address; what waits for it is given up. Raises NotFound."""
    webhook = await queries.webhook_within(tx, webhook_id, caller, held=True)
    webhook.removed_at, webhook.active = now, False
    await tx.flush()
    await finding.end(tx, AlertKind.WEBHOOK_FAILING, str(webhook.id), now=now)


async def test_webhook(
    tx: AsyncSession, caller: Caller, webhook_id: UUID, now: datetime
) -> AlertDelivery:
    """Have a message sent that says it is a test, also to an address that is switched off.

    Raises NotFound.
    """
    webhook = await queries.webhook_within(tx, webhook_id, caller)
    body = message(new_id(), AlertEvent.TEST, now, {"webhook_id": str(webhook.id)})
    [delivery_id] = await queries.add_deliveries(tx, [(webhook.id, None, AlertEvent.TEST, body)])
    audit.note(tx, table="alert_delivery", operation="insert", ids=[delivery_id])
    return await tx.get_one(AlertDelivery, delivery_id)


async def retry(tx: AsyncSession, caller: Caller, delivery_id: UUID) -> AlertDelivery:
    """Take a delivery up again that was given up; the other side knows it by its id.

    Raises NotFound, and DeliveryNotGivenUp for one that arrived or is tried still.
    """
    delivery = await queries.given_up_within(tx, delivery_id, caller)
    if delivery.state is not DeliveryState.GIVEN_UP:
        raise DeliveryNotGivenUp(state=delivery.state)
    delivery.state, delivery.attempts = DeliveryState.WAITING, 0
    delivery.next_try_at = await shared_now(tx)
    delivery.ended_at = delivery.given_up = None
    await tx.flush()
    return delivery


def opened(secret: str, webhook_id: UUID, sealer: Sealer | None) -> str:
    """Give the secret of an address as it signs. Raises CannotBeOpened."""
    if not is_sealed(secret):
        return secret
    if sealer is None:
        raise CannotBeOpened("YINGWEI_WEBHOOK_SECRET_KEYS is not set")
    return sealer.opened(secret, str(webhook_id))


def _secret() -> str:
    made = base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    return signing.PREFIX + made


def _checked(secret: str) -> str:
    try:
        signing.secret_of(secret)
    except ValueError as error:
        raise Invalid(errors=[{"field": "secret", "message": str(error)}]) from error
    return secret


def _kinds(kinds: Collection[AlertKind] | None) -> list[str] | None:
    return None if kinds is None else sorted(kind.value for kind in kinds)
