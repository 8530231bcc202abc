"""Who holds a customer's contact slot now, and the slots that other channels have asked for."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, text_enum
from app.customers.rules import Channel
from app.suggestions.rules.contacts import ContactOutcome, SlotState


class ContactSlot(Base):
    """Somebody is about to speak to this customer of an offer, so nobody else may start.

    One row a customer, written under the customer's row lock, for the visit in which offers are on
    a technician's screen, for the reservation of another channel, or for the order to whose door
    `technician_id` has taken offers ahead, as long as they hold it. It ends by itself at
    `held_until`, and earlier when something was pitched (the contact ledger counts from then on),
    or when nothing will be.
    """

    __tablename__ = "contact_slot"
    __table_args__ = (
        CheckConstraint(
            "num_nonnulls(visit_id, reservation_id, work_order_id) = 1", name="one_holder"
        ),
        CheckConstraint(
            "(work_order_id IS NULL) = (technician_id IS NULL)", name="ahead_by_somebody"
        ),
    )

    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customer.id"), primary_key=True)
    visit_id: Mapped[UUID | None] = mapped_column(ForeignKey("visit.id"), index=True)
    reservation_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("contact_reservation.id"), index=True
    )
    work_order_id: Mapped[UUID | None] = mapped_column(ForeignKey("work_order.id"), index=True)
    technician_id: Mapped[UUID | None] = mapped_column(ForeignKey("technician.id"))
    held_until: Mapped[datetime]


class ContactReservation(Row, Base):
    """A slot that another channel than a visit asked for and got; the channel makes the id.

    It stays after the contact, so that each of the channel's steps can be asked a second time.
    `offering_code` null names no offering. `by_account_manager` tells that it is the customer's
    account manager who speaks. `contact_id` is the contact in the ledger, which also has the day a
    customer named, and `contacted_at` when it was.
    """

    __tablename__ = "contact_reservation"
    __table_args__ = (
        Index("ix_contact_reservation_customer", "customer_id", "reserved_at"),
        CheckConstraint(
            "(state = 'confirmed') = (contact_id IS NOT NULL)", name="confirmed_is_a_contact"
        ),
    )

    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customer.id"))
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    channel: Mapped[Channel] = mapped_column(text_enum(Channel))
    subject: Mapped[str]
    offering_code: Mapped[str | None]
    by_account_manager: Mapped[bool] = mapped_column(server_default=text("false"))
    state: Mapped[SlotState] = mapped_column(text_enum(SlotState))
    reserved_at: Mapped[datetime]
    held_until: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    contacted_at: Mapped[datetime | None]
    outcome: Mapped[ContactOutcome | None] = mapped_column(text_enum(ContactOutcome))
    contact_id: Mapped[UUID | None] = mapped_column(ForeignKey("interaction.id"))
