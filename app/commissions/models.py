"""The ledger of commissions, what is still to come, and what a person should look at."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.commissions.rules import EntryKind, FlagKind, FlagState
from app.core.db import Base, Row, text_enum


class CommissionEntry(Row, Base):
    """What a technician is credited for a sale, or what is taken back; append-only, in fen.

    `month` is the first day of the local month in which it was entered: a month that is over never
    changes. `cut_fen` is what the month's cap cut. A counter entry names what it counters;
    one with `sale_item_id` takes back that item's share of it, and the one without, the rest. What
    was taken back by mistake is given back by an entry that counters that one, and which stands in
    place of what was credited first.
    """

    __tablename__ = "commission_entry"
    __table_args__ = (
        # Each part is credited once, whoever else is at it, and taken back once.
        Index(
            "uq_commission_entry_part",
            "sale_id",
            "kind",
            unique=True,
            postgresql_where=text("counters_id IS NULL"),
        ),
        Index(
            "uq_commission_entry_counter",
            "counters_id",
            unique=True,
            postgresql_where=text("counters_id IS NOT NULL AND sale_item_id IS NULL"),
        ),
        Index(
            "uq_commission_entry_item",
            "counters_id",
            "sale_item_id",
            unique=True,
            postgresql_where=text("sale_item_id IS NOT NULL"),
        ),
        Index("ix_commission_entry_technician", "technician_id", "month", "id"),
        Index("ix_commission_entry_unit", "org_unit_id", "month", "technician_id"),
        CheckConstraint(
            "(kind IN ('taken_back', 'given_back')) = (counters_id IS NOT NULL)",
            name="a_counter_entry_counters",
        ),
        CheckConstraint("(kind = 'taken_back') = (fen < 0)", name="signs"),
    )

    sale_id: Mapped[UUID] = mapped_column(ForeignKey("sale.id"))
    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    kind: Mapped[EntryKind] = mapped_column(text_enum(EntryKind))
    at: Mapped[datetime]
    month: Mapped[date]
    fen: Mapped[int]
    cut_fen: Mapped[int]
    counters_id: Mapped[UUID | None] = mapped_column(ForeignKey("commission_entry.id"))
    sale_item_id: Mapped[UUID | None] = mapped_column(ForeignKey("sale_item.id"))


class CommissionDue(Base):
    """The second part of a sale's commission, until it is credited or the sale is taken back."""

    __tablename__ = "commission_due"
    __table_args__ = (
        Index("ix_commission_due_at", "due_at"),
        Index("ix_commission_due_technician", "technician_id"),
    )

    sale_id: Mapped[UUID] = mapped_column(ForeignKey("sale.id"), primary_key=True)
    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    fen: Mapped[int]
    due_at: Mapped[datetime]


class CommissionProgress(Base):
    """How far the ledger of sales has been read: one row."""

    __tablename__ = "commission_progress"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    read_at: Mapped[datetime]
    read_id: Mapped[UUID]


class CommissionFlag(Row, Base):
    """That somebody should look at a sale or at a technician's month; nothing is cut by it.

    `facts` are the numbers it rests on.
    """

    __tablename__ = "commission_flag"
    __table_args__ = (
        Index(
            "uq_commission_flag_sale",
            "sale_id",
            "kind",
            unique=True,
            postgresql_where=text("sale_id IS NOT NULL"),
        ),
        Index(
            "uq_commission_flag_month",
            "technician_id",
            "month",
            "kind",
            unique=True,
            postgresql_where=text("sale_id IS NULL"),
        ),
        Index("ix_commission_flag_list", "org_unit_id", "state", "at", "id"),
        CheckConstraint("(state = 'open') = (reviewed_at IS NULL)", name="reviewed_or_open"),
    )

    kind: Mapped[FlagKind] = mapped_column(text_enum(FlagKind))
    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    sale_id: Mapped[UUID | None] = mapped_column(ForeignKey("sale.id"))
    month: Mapped[date]
    at: Mapped[datetime]
    facts: Mapped[dict[str, Any]]
    state: Mapped[FlagState] = mapped_column(text_enum(FlagState))
    reviewed_at: Mapped[datetime | None]
    reviewed_by_id: Mapped[UUID | None]
    reason: Mapped[str | None]
