"""Activations, each asked for once, and the orders that go without one for a stated cause."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.activation.rules import ActivationCode, ActivationState, OverrideCause
from app.core.db import Base, Row, text_enum

# The search for what is due says it in the same words, so that the partial index serves it.
STILL_OPEN = text("state IN ('asked', 'under_way', 'unknown')")


class Activation(Row, Base):
    """One ask for a line to be opened; the phone makes the id, which is also the platform's key.

    `asked_at` is business time and `device_at` the phone's; all others are real and by the
    database's clock, which all workers share. `code` says what stands in the way, `said` are the
    platform's own words. `attempts` counts exchanges begun.
    """

    __tablename__ = "activation"
    __table_args__ = (
        # Two asks for one order at once would race at the platform.
        Index(
            "uq_activation_one_open_per_order",
            "work_order_id",
            unique=True,
            postgresql_where=STILL_OPEN,
        ),
        Index("ix_activation_order", "work_order_id", "asked_at"),
        Index("ix_activation_due", "next_try_at", postgresql_where=STILL_OPEN),
    )

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    work_order_id: Mapped[UUID] = mapped_column(ForeignKey("work_order.id"))
    visit_id: Mapped[UUID] = mapped_column(ForeignKey("visit.id"))
    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    loid: Mapped[str | None]
    service_number: Mapped[str | None]
    serial_number: Mapped[str]
    order_number: Mapped[str]
    offering_code: Mapped[str | None]
    speed_mbps: Mapped[int | None]
    asked_at: Mapped[datetime]
    device_at: Mapped[datetime]
    state: Mapped[ActivationState] = mapped_column(text_enum(ActivationState))
    code: Mapped[ActivationCode | None] = mapped_column(text_enum(ActivationCode))
    said: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    next_try_at: Mapped[datetime | None] = mapped_column(server_default=func.now())
    ended_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(server_default=text("1"))

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class ActivationOverride(Row, Base):
    """A technician's word that an order goes without activation; the phone makes the id."""

    __tablename__ = "activation_override"
    __table_args__ = (
        Index("ix_activation_override_order", "work_order_id"),
        Index("ix_activation_override_unit", "org_unit_id", "at", "id"),
    )

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    work_order_id: Mapped[UUID] = mapped_column(ForeignKey("work_order.id"))
    visit_id: Mapped[UUID] = mapped_column(ForeignKey("visit.id"))
    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    cause: Mapped[OverrideCause] = mapped_column(text_enum(OverrideCause))
    note: Mapped[str | None]
    at: Mapped[datetime]
    device_at: Mapped[datetime]
