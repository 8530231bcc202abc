"""One row a sale to be delivered, every callback that came, and what is to change in an order."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, text_enum
from app.ordering.delivery import (
    ChangeKind,
    ChangeState,
    CloseReason,
    Endpoint,
    GiveUpReason,
    SyncState,
    Trying,
)
from app.ordering.rules import Cause, Failure

# Deliveries that go on by themselves; the search for those that are due says it in the same words,
# so that the partial index serves it.
STILL_OPEN = text("state IN ('waiting', 'sending', 'delivered')")
# Deliveries that failed and have not arrived, or whose order ended so that somebody has to judge: a
# person has to look, or it is tried again.
IN_TROUBLE = text(
    "last_cause IS NOT NULL AND state IN ('waiting', 'sending', 'parked', 'finished')"
)
# Orders that do not move until somebody over there does something.
STUCK = text("state = 'delivered' AND remote_state IN ('held', 'pending')")


class OrderSync(Row, Base):
    """The delivery of one sale: attempts, next try, what the other side calls it and says of it.

    Times are real and by the database's clock, which all workers share. `attempts` counts every
    attempt begun; `tries_not_sent` and `tries_unknown` count how they failed since the start or
    since a person took it up again. `stands_since` is since when it has been known that the order
    is held or pending over there, null where it is neither. `last_tried_at` is when the last
    attempt ended or, while nobody has told that it did, began. `doubles` are orders of the other
    side that carry our id beside `remote_id`: a person must have them cancelled. `corrections` are
    the values that a person has put in place of what the sale says; the sale itself stays as it was
    agreed.
    """

    __tablename__ = "order_sync"
    __table_args__ = (
        Index("uq_order_sync_sale", "sale_id", unique=True),
        Index(
            "ix_order_sync_due",
            "state",
            "next_try_at",
            postgresql_where=STILL_OPEN,
        ),
        Index("ix_order_sync_remote", "remote_id"),
        Index(
            "ix_order_sync_trouble",
            "org_unit_id",
            "created_at",
            "id",
            postgresql_where=IN_TROUBLE,
        ),
        Index("ix_order_sync_stuck", "org_unit_id", "created_at", "id", postgresql_where=STUCK),
    )

    sale_id: Mapped[UUID] = mapped_column(ForeignKey("sale.id"))
    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"), index=True)
    state: Mapped[SyncState] = mapped_column(text_enum(SyncState))
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    tries_not_sent: Mapped[int] = mapped_column(server_default=text("0"))
    tries_unknown: Mapped[int] = mapped_column(server_default=text("0"))
    next_try_at: Mapped[datetime | None]
    last_tried_at: Mapped[datetime | None]
    last_error: Mapped[str | None]
    last_cause: Mapped[Cause | None] = mapped_column(text_enum(Cause))
    corrections: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    given_up_reason: Mapped[GiveUpReason | None] = mapped_column(text_enum(GiveUpReason))
    given_up_note: Mapped[str | None]
    given_up_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    given_up_at: Mapped[datetime | None]
    remote_id: Mapped[str | None]
    remote_href: Mapped[str | None]
    remote_state: Mapped[str | None]
    remote_state_at: Mapped[datetime | None]
    stands_since: Mapped[datetime | None]
    doubles: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    body: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    version: Mapped[int] = mapped_column(server_default=text("1"))

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class OrderAttempt(Row, Base):
    """An attempt that failed, as it ended; what went well is told by the delivery itself.

    `at` is real time by the database's clock. `sent_as` is the X-Request-Id that the other side
    has in its log.
    """

    __tablename__ = "order_attempt"
    __table_args__ = (Index("ix_order_attempt_sync", "order_sync_id", "at"),)

    order_sync_id: Mapped[UUID] = mapped_column(ForeignKey("order_sync.id"))
    number: Mapped[int]
    trying: Mapped[Trying] = mapped_column(text_enum(Trying))
    at: Mapped[datetime]
    failure: Mapped[Failure] = mapped_column(text_enum(Failure))
    cause: Mapped[Cause] = mapped_column(text_enum(Cause))
    answered: Mapped[int | None]
    said: Mapped[str | None]
    sent_as: Mapped[str | None]


class OrderCorrection(Row, Base):
    """What a person put in place of what a sale says, with what was sent before.

    `changes` are the values by the name of the field, each as it was and as it is to be; whoever
    corrects makes the id. `at` is business time.
    """

    __tablename__ = "order_correction"
    __table_args__ = (Index("ix_order_correction_sync", "order_sync_id", "at"),)

    order_sync_id: Mapped[UUID] = mapped_column(ForeignKey("order_sync.id"))
    at: Mapped[datetime]
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    reason: Mapped[str]
    changes: Mapped[dict[str, Any]]
    body_before: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))


class OrderCallback(Row, Base):
    """An event the ordering system sent, kept as it came; the same event id counts once."""

    __tablename__ = "order_callback"
    __table_args__ = (
        Index("uq_order_callback_event", "event_id", unique=True),
        # What is forgotten when its time is over, and has not been yet.
        Index("ix_order_callback_swept", "created_at", "id", postgresql_where=text("body <> '{}'")),
    )

    event_id: Mapped[str]
    event_type: Mapped[str]
    event_time: Mapped[datetime | None]
    received_at: Mapped[datetime]
    order_sync_id: Mapped[UUID | None] = mapped_column(ForeignKey("order_sync.id"), index=True)
    body: Mapped[dict[str, Any]]
    verdict: Mapped[str]


# Changes that go on by themselves, in the words of the partial indexes that serve them.
CHANGE_OPEN = text("state IN ('waiting', 'sending', 'sent')")
# Those that came to nothing and that nobody has dealt with.
CHANGE_FAILED = text("state IN ('refused', 'given_up') AND closed_at IS NULL")


class OrderChange(Row, Base):
    """A wish to cancel or to amend the order of a sale, its way to the other side and its end.

    `sale_item_id` is the item that is to be taken out of the order, of an amendment for that alone,
    and `appointment_hold_id` the slot that is told, of one because the appointment was moved.
    Whoever asks makes the id; `asked_by` is null for what this system asks by itself. Times of
    tries are real and by the database's clock. `sent` is a cancellation that the other side has
    taken and not yet decided. One that came to nothing waits for a person until it is closed
    (business time): with a reason, or since it was asked for again, by the change `replaced_by`.
    """

    __tablename__ = "order_change"
    __table_args__ = (
        Index("uq_order_change_open", "sale_id", unique=True, postgresql_where=CHANGE_OPEN),
        Index("ix_order_change_due", "next_try_at", postgresql_where=CHANGE_OPEN),
        Index("ix_order_change_sale", "sale_id", "asked_at"),
        Index("ix_order_change_remote", "remote_id"),
        Index(
            "ix_order_change_failed",
            "org_unit_id",
            "created_at",
            "id",
            postgresql_where=CHANGE_FAILED,
        ),
        Index(
            "ix_order_change_item",
            "sale_item_id",
            postgresql_where=text("sale_item_id IS NOT NULL"),
        ),
    )

    sale_id: Mapped[UUID] = mapped_column(ForeignKey("sale.id"))
    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"), index=True)
    kind: Mapped[ChangeKind] = mapped_column(text_enum(ChangeKind))
    sale_item_id: Mapped[UUID | None] = mapped_column(ForeignKey("sale_item.id"))
    appointment_hold_id: Mapped[UUID | None] = mapped_column(ForeignKey("appointment_hold.id"))
    state: Mapped[ChangeState] = mapped_column(text_enum(ChangeState))
    reason: Mapped[str]
    note: Mapped[str | None]
    requested_start: Mapped[datetime | None]
    asked_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    asked_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    tries_not_sent: Mapped[int] = mapped_column(server_default=text("0"))
    tries_unknown: Mapped[int] = mapped_column(server_default=text("0"))
    next_try_at: Mapped[datetime | None]
    last_tried_at: Mapped[datetime | None]
    last_error: Mapped[str | None]
    remote_id: Mapped[str | None]
    remote_state: Mapped[str | None]
    ended_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    closed_reason: Mapped[CloseReason | None] = mapped_column(text_enum(CloseReason))
    closed_note: Mapped[str | None]
    replaced_by: Mapped[UUID | None] = mapped_column(ForeignKey("order_change.id"))
    version: Mapped[int] = mapped_column(server_default=text("1"))

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class CallbackTurnedAway(Base):
    """How many callers in a minute (business time) could not show that they were the ordering
    system."""

    __tablename__ = "callback_turned_away"

    minute: Mapped[datetime] = mapped_column(primary_key=True)
    number: Mapped[int]


class OrderingEndpoint(Base):
    """The breaker of one endpoint of the other side; a row only where it was ever open.

    Open until `open_until`; after that one worker at a time tries it out, until `probing_until` at
    the latest, and what comes of that closes it or opens it again for longer.
    """

    __tablename__ = "ordering_endpoint"

    name: Mapped[Endpoint] = mapped_column(text_enum(Endpoint), primary_key=True)
    opened_at: Mapped[datetime | None]
    open_until: Mapped[datetime | None]
    probing_until: Mapped[datetime | None]
    pause_seconds: Mapped[float] = mapped_column(server_default=text("0"))
    times_opened: Mapped[int] = mapped_column(server_default=text("0"))
    last_error: Mapped[str | None]


class OrderingPace(Base):
    """Until when the turns of sending to one ordering system are taken, by whichever process, in
    real time; a row only where so many requests a second are set."""

    __tablename__ = "ordering_pace"

    base_url: Mapped[str] = mapped_column(primary_key=True)
    taken_until: Mapped[datetime]


class OrderingListener(Row, Base):
    """Our listener on the hub of one ordering system; `remote_id` is what that calls it.

    Since `failing_since` (real time) nobody could say that it is registered there.
    """

    __tablename__ = "ordering_listener"
    __table_args__ = (Index("uq_ordering_listener_base", "base_url", unique=True),)

    base_url: Mapped[str]
    callback: Mapped[str]
    remote_id: Mapped[str | None]
    registered_at: Mapped[datetime | None]
    checked_at: Mapped[datetime | None]
    next_try_at: Mapped[datetime]
    last_error: Mapped[str | None]
    failing_since: Mapped[datetime | None]
