"""One row a phone, one a wipe that was asked for, and which process has whose stream open."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, text_enum
from app.devices.rules import PushProvider

OPEN = text("confirmed_at IS NULL AND withdrawn_at IS NULL")


class Device(Row, Base):
    """A phone as an account uses it: what the header `X-Device-Id` calls it, once an account.

    `session_id` is the sign-in that it was last heard with. `push_token` is what its maker's
    service knows it by. `news_at` tells since when it should be woken, by the database's clock,
    and `push_at` before when it is not to be.
    """

    __tablename__ = "device"
    __table_args__ = (
        UniqueConstraint("account_id", "name"),
        Index("ix_device_news", "news_at", postgresql_where=text("news_at IS NOT NULL")),
    )

    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    name: Mapped[str]
    session_id: Mapped[UUID | None]
    platform: Mapped[str | None]
    app_version: Mapped[str | None]
    push_provider: Mapped[PushProvider | None] = mapped_column(text_enum(PushProvider))
    push_token: Mapped[str | None]
    last_seen_at: Mapped[datetime]
    news_at: Mapped[datetime | None]
    push_at: Mapped[datetime | None]
    push_tries: Mapped[int] = mapped_column(server_default=text("0"))


class DeviceWipe(Row, Base):
    """That a phone is to be emptied; only one is open at a time.

    `session_id` is the sign-in by which the phone said that it was done, which has ended with that;
    `unsent` is how many actions it had to give up.
    """

    __tablename__ = "device_wipe"
    __table_args__ = (
        Index("uq_device_wipe_open", "device_id", unique=True, postgresql_where=OPEN),
        Index("ix_device_wipe_device", "device_id", "asked_at"),
    )

    device_id: Mapped[UUID] = mapped_column(ForeignKey("device.id"))
    asked_at: Mapped[datetime]
    asked_by: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    reason: Mapped[str]
    confirmed_at: Mapped[datetime | None]
    session_id: Mapped[UUID | None]
    unsent: Mapped[int | None]
    withdrawn_at: Mapped[datetime | None]
    withdrawn_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))


class StreamProcess(Base):
    """An API process with open streams, and until when, by the database's clock, it is thought to
    be alive unless it says so again."""

    __tablename__ = "stream_process"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    alive_until: Mapped[datetime]


class DeviceStream(Base):
    """The one stream of a phone, and which process has it: the newest wins."""

    __tablename__ = "device_stream"

    device_id: Mapped[UUID] = mapped_column(ForeignKey("device.id"), primary_key=True)
    process_id: Mapped[UUID] = mapped_column(index=True)
    stream_id: Mapped[UUID]
