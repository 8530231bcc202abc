"""Which version of the app is the lowest that is served, from when on."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row


class AppRelease(Row, Base):
    """From `valid_from` on, `lowest_version` is the lowest of a platform that is served; the new
    one is had at `get_it_at`. It was announced when the row was made."""

    __tablename__ = "app_release"
    __table_args__ = (UniqueConstraint("platform", "valid_from"),)

    platform: Mapped[str]
    lowest_version: Mapped[str]
    valid_from: Mapped[datetime]
    get_it_at: Mapped[str]
    announced_at: Mapped[datetime]
    set_by: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
