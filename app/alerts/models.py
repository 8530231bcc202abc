"""One row an alert, one an address that alerts are sent to, and one for each time it is told."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.alerts.rules import AlertEvent, AlertKind, DeliveryState, GivenUp
from app.core.db import Base, Row, text_enum

# The searches say it in the same words, so that the partial indexes serve them.
OPEN = text("ended_at IS NULL")
WAITING = text("state = 'waiting'")


class Alert(Row, Base):
    """That something is not as it should be in a unit; one of its kind and subject at a time.

    `figure` is what was found at the last look and `most` the limit that it has passed; what both
    count is said by the kind. `told_at` is when it was last told. Times are business time. It ends
    when a look finds it no more.
    """

    __tablename__ = "alert"
    __table_args__ = (
        Index(
            "uq_alert_open", "org_unit_id", "kind", "subject", unique=True, postgresql_where=OPEN
        ),
        Index("ix_alert_list", "at", "id"),
    )

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    kind: Mapped[AlertKind] = mapped_column(text_enum(AlertKind))
    subject: Mapped[str]
    at: Mapped[datetime]
    figure: Mapped[float]
    most: Mapped[float]
    told_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    note: Mapped[str | None]


class AlertWebhook(Row, Base):
    """An address that alerts of a unit and of those under it are sent to.

    `kinds` null means all. `secret` signs what is sent; it is shown once and kept sealed with a key
    that is a setting, or as it is where that was not set when it was made: then the worker seals it
    as soon as there is one.
    `failures` counts what was given up since something last arrived.
    """

    __tablename__ = "alert_webhook"
    __table_args__ = (Index("ix_alert_webhook_unit", "org_unit_id"),)

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    name: Mapped[str]
    url: Mapped[str]
    secret: Mapped[str]
    kinds: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    last_sent_at: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    removed_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(server_default=text("1"))

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class AlertDelivery(Row, Base):
    """That an address is to be told something, delivered under its own id, by which the other side
    knows what it was told before. Times are real and by the database's clock."""

    __tablename__ = "alert_delivery"
    __table_args__ = (
        Index("ix_alert_delivery_due", "next_try_at", postgresql_where=WAITING),
        Index("ix_alert_delivery_webhook", "webhook_id", "id"),
        Index("ix_alert_delivery_alert", "alert_id"),
    )

    webhook_id: Mapped[UUID] = mapped_column(ForeignKey("alert_webhook.id"))
    alert_id: Mapped[UUID | None] = mapped_column(ForeignKey("alert.id"))
    event: Mapped[AlertEvent] = mapped_column(text_enum(AlertEvent))
    body: Mapped[dict[str, Any]] = mapped_column(JSONB)
    state: Mapped[DeliveryState] = mapped_column(text_enum(DeliveryState))
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    next_try_at: Mapped[datetime | None] = mapped_column(server_default=func.now())
    ended_at: Mapped[datetime | None]
    given_up: Mapped[GivenUp | None] = mapped_column(text_enum(GivenUp))
    answered: Mapped[int | None]
    last_error: Mapped[str | None]
