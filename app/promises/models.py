"""The dated promise rules."""

from datetime import date, time

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, text_enum
from app.worktypes.rules import WorkType


class PromiseRule(Row, Base):
    """What an org unit's customers are promised for a work type, from one day to another."""

    __tablename__ = "promise_rule"
    __table_args__ = (Index("ix_promise_rule_type", "work_type", "org_path", "valid_from"),)

    code: Mapped[str] = mapped_column(unique=True)
    org_path: Mapped[str] = mapped_column(server_default=text("''"))
    work_type: Mapped[WorkType] = mapped_column(text_enum(WorkType))
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
    cut_off: Mapped[time | None]
    due_time: Mapped[time]
    hours_after: Mapped[float]
    compensation_fen: Mapped[int]
    compensation_per: Mapped[str]
    compensation_cap_fen: Mapped[int]
