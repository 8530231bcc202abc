"""The ledger of sales."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, text_enum
from app.sales.rules import SaleStep


class SaleEvent(Row, Base):
    """One step of a sale: what, when (server and device time), by which account. Append-only.

    `facts` holds ids of what the step belongs to, codes and amounts; never names, numbers of
    telephones or free words, since what is written here cannot be taken back. `created_at` is the
    moment at which it was entered, and not when its transaction began: who reads what is new goes
    by it. A reversal after one that was undone says in `facts`, as `again`, how many were.
    """

    __tablename__ = "sale_event"
    __table_args__ = (
        Index("ix_sale_event_sale", "sale_id", "at", "id"),
        # Whoever reckons by what is new reads these alone.
        Index(
            "ix_sale_event_new",
            "created_at",
            "id",
            postgresql_where=text(
                "step IN ('acknowledged', 'reversed', 'item_reversed', 'reversal_undone')"
            ),
        ),
        # The sale whose install an order is.
        Index(
            "ix_sale_event_install",
            text("(facts ->> 'work_order_id')"),
            postgresql_where=text("step = 'install_ordered'"),
        ),
        # Under two reports of one return, the second entry is refused here.
        Index(
            "uq_sale_event_reversed",
            "sale_id",
            text("(coalesce(facts ->> 'again', ''))"),
            unique=True,
            postgresql_where=text("step = 'reversed'"),
        ),
        Index(
            "uq_sale_event_item_reversed",
            "sale_id",
            text("(facts ->> 'item_id')"),
            unique=True,
            postgresql_where=text("step = 'item_reversed'"),
        ),
    )

    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    sale_id: Mapped[UUID] = mapped_column(ForeignKey("sale.id"))
    step: Mapped[SaleStep] = mapped_column(text_enum(SaleStep))
    at: Mapped[datetime]
    device_at: Mapped[datetime | None]
    account_id: Mapped[UUID | None]
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB)
