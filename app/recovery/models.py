"""Pick-ups of what customers have to give back, who asked for them, and what makes them due."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row


class Recovery(Row, Base):
    """All that one customer has to give back, fetched together; what is due later joins it.

    `due_at` is the first deadline of what is open. `work_order_id` is the order that fetches it,
    the `orders`-th that was made for it; `taken_by_id` has taken it on the way.
    """

    __tablename__ = "recovery"
    __table_args__ = (
        Index(
            "uq_recovery_one_open",
            "customer_id",
            unique=True,
            postgresql_where=text("closed_at IS NULL"),
        ),
        Index(
            "ix_recovery_open",
            "org_unit_id",
            "due_at",
            "id",
            postgresql_where=text("closed_at IS NULL"),
        ),
        Index("ix_recovery_unit", "org_unit_id", "due_at", "id"),
        Index("ix_recovery_work_order", "work_order_id"),
    )

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customer.id"))
    since: Mapped[datetime]
    due_at: Mapped[datetime]
    work_order_id: Mapped[UUID | None] = mapped_column(ForeignKey("work_order.id"))
    orders: Mapped[int] = mapped_column(server_default=text("0"))
    taken_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("technician.id"))
    taken_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]


class RecoveryRequest(Row, Base):
    """What another system has said is due back; sent again, it is answered like the first time."""

    __tablename__ = "recovery_request"
    __table_args__ = (Index("uq_recovery_request_external", "source", "external_id", unique=True),)

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customer.id"))
    source: Mapped[str]
    external_id: Mapped[str]
    content_hash: Mapped[str]
    received_at: Mapped[datetime]


class SubscriptionChange(Base):
    """A service that ended or became another, until it is seen what is due back by it.

    A trigger of the table of subscriptions writes it, whoever changes one. It keeps what the
    service was before the first change that nobody has looked at yet; `ready_on` is the local day
    on which it ended or ends; one that became another is looked at right away.
    """

    __tablename__ = "subscription_change"
    __table_args__ = (Index("ix_subscription_change_ready", "ready_on"),)

    subscription_id: Mapped[UUID] = mapped_column(primary_key=True)
    offering_code: Mapped[str]
    category: Mapped[str]
    monthly_price_fen: Mapped[int]
    speed_mbps: Mapped[int | None]
    changed_at: Mapped[datetime]
    ready_on: Mapped[date | None]
