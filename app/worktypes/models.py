"""Templates of work types, version after version."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, text_enum
from app.worktypes.rules import WorkType


class WorkTemplate(Row, Base):
    """One version of a work type's template, for an org unit's subtree from a local day on.

    A version is never rewritten: orders that began with it keep it. `content` is what
    `worktypes.rules.Template` holds; `set_by` is the account that made the version, if one did.
    """

    __tablename__ = "work_template"
    __table_args__ = (Index("uq_work_template_version", "code", "version", unique=True),)

    code: Mapped[str]
    version: Mapped[int]
    org_path: Mapped[str] = mapped_column(server_default=text("''"))
    work_type: Mapped[WorkType] = mapped_column(text_enum(WorkType))
    valid_from: Mapped[date]
    content: Mapped[dict[str, Any]] = mapped_column(JSONB())
    set_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
