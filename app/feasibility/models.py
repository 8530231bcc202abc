"""Reservations of minutes and terminals, and the installs that came of sales at doors."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, text_enum
from app.feasibility.rules import ReservationState


class InstallReservation(Row, Base):
    """Minutes of a technician's day and terminals of their van, kept for a sale in a visit.

    The phone makes the id. The minutes are those of a hold in the slot `now`, so that all who read
    the day see them; `items` are codes and quantities. What a sale names is that sale's; of those
    that none names, one counts at a time.
    """

    __tablename__ = "install_reservation"
    __table_args__ = (
        Index(
            "ix_install_reservation_open",
            "visit_id",
            postgresql_where=text("state = 'held'"),
        ),
        Index(
            "ix_install_reservation_over",
            "expires_at",
            postgresql_where=text("state = 'held'"),
        ),
    )

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    visit_id: Mapped[UUID] = mapped_column(ForeignKey("visit.id"))
    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    hold_id: Mapped[UUID] = mapped_column(ForeignKey("appointment_hold.id"))
    state: Mapped[ReservationState] = mapped_column(text_enum(ReservationState))
    content_hash: Mapped[str]
    items: Mapped[list[dict[str, Any]]]
    minutes: Mapped[int]
    held_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class ReservedTerminal(Row, Base):
    """A terminal that is kept for a reservation, and then for its order until that one is closed.

    Whoever it is lent to meanwhile: one serial number is kept for one at a time.
    """

    __tablename__ = "reserved_terminal"
    __table_args__ = (
        Index(
            "uq_reserved_terminal_open",
            "terminal_id",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("ix_reserved_terminal_reservation", "reservation_id"),
    )

    reservation_id: Mapped[UUID] = mapped_column(ForeignKey("install_reservation.id"))
    terminal_id: Mapped[UUID] = mapped_column(ForeignKey("terminal.id"))
    ended_at: Mapped[datetime | None]


class SameVisitInstall(Base):
    """That a sale is installed by whoever sold it, and in which order; one for a sale.

    `accepted_at` is when the customer's consent arrived, from when two hours run; `activated_at` is
    when the service was live, and `gone_at` when the install was called off instead.
    """

    __tablename__ = "same_visit_install"
    __table_args__ = (
        Index("ix_same_visit_install_unit", "org_unit_id", "accepted_at"),
        Index("ix_same_visit_install_reservation", "reservation_id"),
        Index(
            "ix_same_visit_install_open",
            "accepted_at",
            postgresql_where=text("activated_at IS NULL AND gone_at IS NULL"),
        ),
    )

    sale_id: Mapped[UUID] = mapped_column(ForeignKey("sale.id"), primary_key=True)
    work_order_id: Mapped[UUID] = mapped_column(ForeignKey("work_order.id"), unique=True)
    visit_id: Mapped[UUID] = mapped_column(ForeignKey("visit.id"))
    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    reservation_id: Mapped[UUID] = mapped_column(ForeignKey("install_reservation.id"))
    accepted_at: Mapped[datetime]
    activated_at: Mapped[datetime | None]
    gone_at: Mapped[datetime | None]
