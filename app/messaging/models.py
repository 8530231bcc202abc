"""One row a message to a customer, and one a reply to it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, text_enum
from app.messaging.rules import FailReason, MessageKind, MessageState

# The search for what is due says it in the same words, so that the partial index serves it.
WAITING = text("state = 'waiting'")
FAILED = text("state = 'failed'")
REMEMBERED = text("ended_at IS NOT NULL AND recipient IS NOT NULL")
LISTED = text("position IS NOT NULL")
STILL_READ = text("sender IS NOT NULL")


class Message(Row, Base):
    """A message, delivered under its own id, which the provider takes once however often it comes.

    `asked_at` is business time; all others are real and by the database's clock, which all workers
    share. `recipient` (a telephone number) and `body` (what it says) are personal data and become
    null some time after the message was sent or given up. Older than `useful_seconds`, where that
    is said, it is not sent any more. `about` is the id of what it is about, such as an order.
    """

    __tablename__ = "message"
    __table_args__ = (
        Index("ix_message_due", "next_try_at", postgresql_where=WAITING),
        Index("ix_message_waiting", "org_unit_id", "created_at", postgresql_where=WAITING),
        Index("ix_message_failed", "org_unit_id", "ended_at", postgresql_where=FAILED),
        Index("ix_message_remembered", "ended_at", postgresql_where=REMEMBERED),
        Index("ix_message_about", "about", postgresql_where=text("about IS NOT NULL")),
    )

    kind: Mapped[MessageKind] = mapped_column(text_enum(MessageKind))
    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    about: Mapped[UUID | None]
    recipient: Mapped[str | None]
    body: Mapped[str | None]
    asked_at: Mapped[datetime]
    useful_seconds: Mapped[int | None]
    state: Mapped[MessageState] = mapped_column(text_enum(MessageState))
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    next_try_at: Mapped[datetime | None] = mapped_column(server_default=func.now())
    ended_at: Mapped[datetime | None]
    fail_reason: Mapped[FailReason | None] = mapped_column(text_enum(FailReason))
    last_error: Mapped[str | None]
    provider_id: Mapped[str | None]


class MessageReply(Row, Base):
    """What somebody sent back by text message, once however often the provider tells of it.

    `said_at` is the provider's time. `position` is where it stands in the provider's list, known
    once the list was read that far; what came by callback alone has none. `sender` (a telephone
    number) and `body` are personal data and become null like those of messages.
    """

    __tablename__ = "message_reply"
    __table_args__ = (
        Index("ix_message_reply_position", "position", postgresql_where=LISTED),
        Index("ix_message_reply_remembered", "created_at", postgresql_where=STILL_READ),
    )

    provider_id: Mapped[str] = mapped_column(unique=True)
    position: Mapped[int | None]
    sender: Mapped[str | None]
    body: Mapped[str | None]
    said_at: Mapped[datetime]
