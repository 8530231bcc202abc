"""Sales and their items."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, text_enum
from app.sales.rules import ConsentKind, Discount, SaleState


class Sale(Row, Base):
    """A sale made in a visit; the phone makes the id, which is also the ordering system's
    `externalId`. `reservation_id` names what was reserved to install it in the same visit, and
    `appointment_hold_id` the slot that was booked to install it another time.

    `place_code` and `place_address` are the customer's address as it was when the sale was
    confirmed: a later change of that does not alter what was sold. Null of sales before that was
    kept, and where no address was known."""

    __tablename__ = "sale"
    __table_args__ = (
        Index("ix_sale_org", "org_unit_id", "created_at", "id"),
        Index("ix_sale_technician", "technician_id", "created_at"),
        Index(
            "ix_sale_confirmed",
            "confirmed_at",
            postgresql_where=text("confirmed_at IS NOT NULL"),
        ),
        # Confirmed sales leave this state within seconds; who stays is looked for by it.
        Index("ix_sale_undelivered", "confirmed_at", postgresql_where=text("state = 'confirmed'")),
        # Those whose slot may have to be given back.
        Index(
            "ix_sale_appointment",
            "appointment_hold_id",
            postgresql_where=text("appointment_hold_id IS NOT NULL"),
        ),
        CheckConstraint(
            "state IN ('draft', 'cancelled') OR (consent_kind IS NOT NULL"
            " AND consent_hash IS NOT NULL"
            " AND (confirmed_at IS NOT NULL OR state = 'second_confirmation'))",
            name="no_sale_without_consent",
        ),
    )

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    visit_id: Mapped[UUID] = mapped_column(ForeignKey("visit.id"), index=True)
    work_order_id: Mapped[UUID] = mapped_column(ForeignKey("work_order.id"))
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customer.id"), index=True)
    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    state: Mapped[SaleState] = mapped_column(text_enum(SaleState))
    content_hash: Mapped[str]
    made_at: Mapped[datetime]
    device_at: Mapped[datetime | None]
    consent_kind: Mapped[ConsentKind | None] = mapped_column(text_enum(ConsentKind))
    consent_evidence: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    consent_hash: Mapped[str | None]
    confirmed_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    acknowledged_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    rejected_reason: Mapped[str | None]
    reversed_at: Mapped[datetime | None]
    note: Mapped[str | None]
    reservation_id: Mapped[UUID | None] = mapped_column(ForeignKey("install_reservation.id"))
    appointment_hold_id: Mapped[UUID | None] = mapped_column(ForeignKey("appointment_hold.id"))
    place_code: Mapped[str | None]
    place_address: Mapped[str | None]
    version: Mapped[int] = mapped_column(server_default=text("1"))

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class SaleItem(Row, Base):
    """One offering sold, with the price it had in the catalogue when it was sold.

    `reversed_at` is when it was taken back alone, while the rest of the sale stands, and
    `removed_at` when the ordering system took it out of an order that was still under way. Where it
    was sold on special terms, `discount_percent` is what they take off the monthly price for the
    first `discount_months` months; the price is without that.
    """

    __tablename__ = "sale_item"
    __table_args__ = (
        Index("ix_sale_item_sale", "sale_id"),
        CheckConstraint("quantity > 0", name="some"),
        CheckConstraint(
            "num_nulls(special_terms_id, discount_percent, discount_months) IN (0, 3)",
            name="terms_as_a_whole",
        ),
        CheckConstraint("special_terms_id IS NULL OR quantity = 1", name="terms_for_one"),
    )

    sale_id: Mapped[UUID] = mapped_column(ForeignKey("sale.id"))
    position: Mapped[int] = mapped_column(server_default=text("1"))
    offering_id: Mapped[UUID] = mapped_column(ForeignKey("product_offering.id"))
    offering_code: Mapped[str]
    quantity: Mapped[int]
    monthly_price_fen: Mapped[int]
    one_off_price_fen: Mapped[int]
    commission_fen: Mapped[int]
    contract_months: Mapped[int | None]
    suggestion_id: Mapped[UUID | None]
    reversed_at: Mapped[datetime | None]
    removed_at: Mapped[datetime | None]
    special_terms_id: Mapped[UUID | None] = mapped_column(ForeignKey("special_terms.id"))
    discount_percent: Mapped[float | None]
    discount_months: Mapped[int | None]

    @property
    def discount(self) -> Discount | None:
        """What its customer pays less; None where they pay the price of the catalogue."""
        return Discount.of(self.discount_percent, self.discount_months)

    @property
    def discounted_monthly_price_fen(self) -> int | None:
        """What one costs a month while the discount lasts; None without one."""
        return self.discount.price_fen(self.monthly_price_fen) if self.discount else None
