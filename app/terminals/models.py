"""Terminals by serial number."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, text_enum
from app.terminals.rules import Pool, TerminalKind


class Terminal(Row, Base):
    """One device; `technician_id` holds it while in a van, `customer_id` while at a customer's."""

    __tablename__ = "terminal"
    __table_args__ = (
        CheckConstraint(
            "(pool = 'van') = (technician_id IS NOT NULL)"
            " AND (pool = 'customer') = (customer_id IS NOT NULL)",
            name="booked_where_it_is",
        ),
        Index("ix_terminal_van", "technician_id", "kind"),
        Index("ix_terminal_customer", "customer_id"),
    )

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    serial_number: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[TerminalKind] = mapped_column(text_enum(TerminalKind))
    model: Mapped[str]
    pool: Mapped[Pool] = mapped_column(text_enum(Pool))
    technician_id: Mapped[UUID | None] = mapped_column(ForeignKey("technician.id"))
    customer_id: Mapped[UUID | None] = mapped_column(ForeignKey("customer.id"))
    version: Mapped[int] = mapped_column(server_default=text("1"))

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012
