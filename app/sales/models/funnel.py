"""What became of the visits of a day, added up at night."""

from datetime import date
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, text_enum
from app.worktypes.rules import WorkType


class SaleFunnelDay(Base):
    """Visits that completed an order on a local day of its org unit, and what was offered and sold
    in them, whenever that was; `rules.funnel` says what each number counts."""

    __tablename__ = "sale_funnel_day"

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    work_type: Mapped[WorkType] = mapped_column(text_enum(WorkType), primary_key=True)
    completed: Mapped[int]
    no_customer: Mapped[int]
    held_back: Mapped[int]
    visits_suggested: Mapped[int]
    offers_shown: Mapped[int]
    offers_pitched: Mapped[int]
    offers_answered: Mapped[int]
    offers_accepted: Mapped[int]
    visits_confirmed: Mapped[int]
    sales_put_together: Mapped[int]
    sales_consented: Mapped[int]
    sales_confirmed: Mapped[int]
    sales_installed: Mapped[int]
    sales_acknowledged: Mapped[int]
    sales_activated: Mapped[int]
    sales_reversed: Mapped[int]
