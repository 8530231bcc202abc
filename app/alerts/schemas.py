"""Wire shapes of alerts and of the addresses they are sent to."""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from app.alerts.models import AlertDelivery, AlertWebhook
from app.alerts.queries import AlertRow
from app.alerts.rules import (
    GIVEN_UP_WORDS,
    AlertEvent,
    AlertKind,
    DeliveryState,
    GivenUp,
    said,
)
from app.core.http import Answer, Input
from app.core.i18n import Lang

Address = Annotated[str, StringConstraints(min_length=8, max_length=2000)]
ShortName = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Secret = Annotated[str, StringConstraints(max_length=100, pattern=r"^whsec_[A-Za-z0-9+/=]+$")]
Kinds = Annotated[list[AlertKind], Field(min_length=1, max_length=len(AlertKind))]

_A_WEBHOOK: dict[str, Any] = {
    "name": "值班群",
    "url": "https://hooks.example.org/yingwei/alerts",
    "kinds": ["order_lag", "orders_failed"],
}


class AlertOut(Answer):
    """That something is not as it should be in a unit."""

    id: UUID
    kind: AlertKind
    words: str = Field(max_length=500, description="What it is, in the language asked for.")
    org_unit_id: UUID
    org_unit_code: str = Field(max_length=64)
    subject: str = Field(
        max_length=200, description="What it is about where a unit has several; empty otherwise."
    )
    figure: float = Field(description="What was found at the last look.")
    most: float = Field(description="The limit it has passed.")
    at: datetime = Field(description="When it was raised.")
    told_at: datetime = Field(description="When it was last told.")
    ended_at: datetime | None = Field(description="When a look found it no more.")
    acknowledged_at: datetime | None
    acknowledged_by: UUID | None = Field(description="The account that took it up.")
    acknowledged_by_name: str | None = Field(max_length=200, description="Its name.")
    note: str | None = Field(max_length=500, description="What they said is done about it.")

    @classmethod
    def of(cls, row: AlertRow, lang: Lang) -> Self:
        """Write an alert in one language."""
        return cls(**row._asdict(), words=said(row.kind, row.figure, row.most, lang))


class AlertPage(Answer):
    """A page of alerts, the latest first."""

    alerts: Annotated[list[AlertOut], Field(max_length=200)]
    next_page_token: str | None = Field(max_length=400)


class AlertNoteIn(Input):
    """A word on what is done about an alert."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"note": "已联系订购系统值班"}]})

    note: str = Field(min_length=1, max_length=500)


class WebhookIn(Input):
    """An address that alerts are to be sent to."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"id": "01a201e0-ce9b-700a-8787-fd19ea2237ac", **_A_WEBHOOK}]
        }
    )

    id: UUID = Field(description="Made by whoever asks, a UUIDv7.")
    org_unit_id: UUID | None = Field(
        default=None, description="Its alerts and those of units under it; null: the caller's own."
    )
    name: ShortName
    url: Address
    secret: Secret | None = Field(
        default=None,
        description="`whsec_` and 24 to 64 bytes in base64; left out, one is made and shown once.",
    )
    kinds: Kinds | None = Field(default=None, description="Null: all, also those to come.")


class WebhookChangeIn(Input):
    """What is to be said of an address from now on."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_A_WEBHOOK, "active": False}]})

    name: ShortName
    url: Address
    kinds: Kinds | None
    active: bool = Field(description="False: nothing is sent but tests.")


class WebhookOut(Answer):
    """An address that alerts are sent to; its secret is not shown."""

    id: UUID
    org_unit_id: UUID
    name: str = Field(max_length=100)
    url: str = Field(max_length=2000)
    kinds: Annotated[list[AlertKind], Field(max_length=len(AlertKind))] | None
    active: bool
    last_sent_at: datetime | None = Field(description="When something last arrived; real time.")
    failures: int = Field(ge=0, description="What was given up since then.")


class WebhookMadeOut(WebhookOut):
    """An address, and its secret where that was made just now."""

    secret: str | None = Field(max_length=100, description="Keep it: it is not shown again.")

    @classmethod
    def of(cls, webhook: AlertWebhook, secret: str | None) -> Self:
        """Write an address with the secret that was made for it."""
        return cls(**WebhookOut.model_validate(webhook).model_dump(), secret=secret)


class WebhookPage(Answer):
    """A page of addresses, in the order in which they were made."""

    webhooks: Annotated[list[WebhookOut], Field(max_length=200)]
    next_page_token: str | None = Field(max_length=400)


class DeliveryOut(Answer):
    """That an address is told something, and how that went; times are real."""

    id: UUID = Field(description="The header `webhook-id` carries it, the same with every try.")
    webhook_id: UUID
    alert_id: UUID | None = Field(description="Null for a test.")
    event: AlertEvent
    state: DeliveryState
    attempts: int = Field(ge=0)
    next_try_at: datetime | None = Field(description="Null once it is over.")
    ended_at: datetime | None
    given_up: GivenUp | None
    given_up_words: str | None = Field(max_length=200)
    answered: int | None = Field(description="The status of the last answer.")
    last_error: str | None = Field(max_length=500)
    body: dict[str, Any] = Field(description="What is sent.")

    @classmethod
    def of(cls, delivery: AlertDelivery, lang: Lang) -> Self:
        """Write a delivery in one language."""
        words = delivery.given_up and GIVEN_UP_WORDS[delivery.given_up].say(lang)
        fields = {name: getattr(delivery, name) for name in _OF_DELIVERY}
        return cls(**fields, given_up_words=words)


_OF_DELIVERY = DeliveryOut.model_fields.keys() - {"given_up_words"}


class DeliveryPage(Answer):
    """A page of what an address was told, the latest first."""

    deliveries: Annotated[list[DeliveryOut], Field(max_length=200)]
    next_page_token: str | None = Field(max_length=400)
