"""One row a check of a real name."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, text_enum
from app.real_name.rules import AgeGroup, DocumentKind, RealNameCode, RealNameState

# The search for what is to be looked up says it in the same words, for the partial index.
TO_LOOK_UP = text("state = 'unknown' AND next_look_at IS NOT NULL")


class RealNameCheck(Row, Base):
    """A check of a person's document at a customer's door; the phone makes the id, which is also
    the checking system's key.

    Of the number there is `id_hash`, its keyed hash under the key `id_key`, and `id_last4`. Nothing
    here tells how old anybody is but `age_group`. `asked_at` is business time and `device_at` the
    phone's; `checked_at` is when the outcome became known, and `next_look_at`, which is real time,
    when the checking system is asked what became of it.
    """

    __tablename__ = "real_name_check"
    __table_args__ = (
        Index("ix_real_name_check_customer", "customer_id", "asked_at"),
        Index("ix_real_name_check_due", "next_look_at", postgresql_where=TO_LOOK_UP),
        # What is forgotten when its time is over, and has not been yet.
        Index(
            "ix_real_name_check_swept",
            "created_at",
            "id",
            postgresql_where=text("id_hash IS NOT NULL"),
        ),
        CheckConstraint(
            "state = 'unknown' OR checked_at IS NOT NULL", name="an_outcome_has_its_time"
        ),
        CheckConstraint("state <> 'passed' OR valid_until IS NOT NULL", name="what_passed_ends"),
    )

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customer.id"))
    visit_id: Mapped[UUID] = mapped_column(ForeignKey("visit.id"), index=True)
    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    document: Mapped[DocumentKind] = mapped_column(text_enum(DocumentKind))
    id_key: Mapped[str | None]
    id_hash: Mapped[bytes | None]
    id_last4: Mapped[str | None]
    age_group: Mapped[AgeGroup | None] = mapped_column(text_enum(AgeGroup))
    state: Mapped[RealNameState] = mapped_column(text_enum(RealNameState))
    code: Mapped[RealNameCode | None] = mapped_column(text_enum(RealNameCode))
    said: Mapped[str | None]
    asked_at: Mapped[datetime]
    device_at: Mapped[datetime]
    checked_at: Mapped[datetime | None]
    valid_until: Mapped[datetime | None]
    next_look_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(server_default=text("1"))

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012
