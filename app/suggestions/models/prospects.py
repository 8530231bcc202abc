"""People met at work who are no customers: what they told of themselves and of who serves them."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, text_enum
from app.customers.rules import ConsentProof


class Prospect(Row, Base):
    """Somebody a technician met in a visit; the phone makes the id. Money is in fen.

    Name and number stand here only with what shows that they agreed to it. The grid is that of the
    order in whose visit it was. `until` is when their contract with `competitor` ends, and
    `forgotten_at` is set once they have asked to be forgotten.
    """

    __tablename__ = "prospect"
    __table_args__ = (
        CheckConstraint(
            "consent IS NOT NULL OR (name IS NULL AND phone IS NULL)", name="named_with_consent"
        ),
        # Whoever erases a customer finds what they said before they were one.
        Index("ix_prospect_phone", "phone", postgresql_where=text("phone IS NOT NULL")),
        # What is forgotten when its time is over, and has not been yet.
        Index("ix_prospect_swept", "created_at", "id", postgresql_where=text("address <> ''")),
    )

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    grid_id: Mapped[UUID | None] = mapped_column(ForeignKey("grid.id"))
    visit_id: Mapped[UUID] = mapped_column(ForeignKey("visit.id"))
    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    address: Mapped[str]
    name: Mapped[str | None]
    phone: Mapped[str | None]
    consent: Mapped[ConsentProof | None] = mapped_column(text_enum(ConsentProof))
    competitor: Mapped[str | None]
    offer: Mapped[str | None]
    monthly_price_fen: Mapped[int | None]
    until: Mapped[date | None]
    at: Mapped[datetime]
    device_at: Mapped[datetime]
    forgotten_at: Mapped[datetime | None]
