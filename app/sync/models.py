"""What has changed for whom, and what phones did while they were offline."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, literal_column, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, text_enum
from app.sync.rules import ActionVerdict, Judgement, Kind


class SyncRow(Base):
    """That something may have changed for a technician, and which transaction wrote it last.

    It says where to look and nothing else: whether a row is still the technician's, and what they
    may see of it, is asked of the row when they pull. Triggers on the tables keep it, so there is
    one line for a thing however often it changes. `technician_id` of zeros stands for everybody.
    It has no foreign keys: what is gone is told of, too.
    """

    __tablename__ = "sync_row"
    __table_args__ = (
        Index("ix_sync_row_news", "technician_id", "xid"),
        # Whose phones have a customer, of all that have something.
        Index("ix_sync_row_customer", "row_id", postgresql_where=text("kind = 'customer'")),
        Index("ix_sync_row_old", "xid"),
    )

    technician_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[Kind] = mapped_column(text_enum(Kind), primary_key=True)
    row_id: Mapped[UUID] = mapped_column(primary_key=True)
    xid: Mapped[int]


class SyncLoaded(Base):
    """A customer whom a load has changed, under the transaction it was, and of whom phones are to
    be told; gone as soon as they are."""

    __tablename__ = "sync_loaded"

    xid: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    customer_id: Mapped[UUID] = mapped_column(primary_key=True)


class SyncTier(Base):
    """A customer whose tier has changed while a phone has something to offer them, under the
    transaction that changed it; gone as soon as phones are told."""

    __tablename__ = "sync_tier"

    xid: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    customer_id: Mapped[UUID] = mapped_column(primary_key=True)


class SyncMoment(Base):
    """Which transaction was about to be written at a moment: a clock for cursors.

    The first one that is kept bounds which cursors are still understood; the last one says up to
    when it is written down what has left phones by the mere passing of time.
    """

    __tablename__ = "sync_moment"

    xid: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[datetime]


class SyncUnit(Base):
    """By which numbers the phones of an org unit were last told what to keep, and how long, and for
    which tiers which levers are the account manager's.

    A number is changed from a date on, perhaps one that has passed, and by a new version of the
    product as well. Comparing it with what phones were told by finds every change once. `stale`
    says that other numbers were found to be in force, and that phones are about to be told, and
    `offers_due` that they are yet to be told whose their offers are.
    """

    __tablename__ = "sync_unit"

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"), primary_key=True)
    grace_hours: Mapped[float]
    closed_days: Mapped[float]
    sales_days: Mapped[float]
    offline_hours: Mapped[float]
    managers: Mapped[str] = mapped_column(server_default=text("'{}'"))
    stale: Mapped[bool] = mapped_column(server_default=text("false"))
    offers_due: Mapped[bool] = mapped_column(server_default=text("false"))


class SyncEpoch(Base):
    """In which life of the database cursors were made: one row.

    Numbers of transactions begin anew where a dump is restored. That is known by the cluster's and
    the database's own numbers, which no dump carries; both stay the same when a standby takes over,
    and then `timeline` is another one. The standby gives out numbers from where it was, which may
    be some that the old primary has given out, too. So cursors of the epoch `before` up to `until`
    are gone on from, but none later than from `since`, before which no number was given out twice.
    `earlier` are the epochs from which the one before went on, and so on: their numbers, each with
    such bounds.
    """

    __tablename__ = "sync_epoch"
    __table_args__ = (CheckConstraint("one", name="one_row"),)

    one: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    epoch: Mapped[int]
    cluster: Mapped[int]
    database: Mapped[int]
    timeline: Mapped[int | None]
    before: Mapped[int | None]
    since: Mapped[int | None]
    until: Mapped[int | None]
    earlier: Mapped[list[list[int]]] = mapped_column(JSONB(), server_default=text("'[]'::jsonb"))
    began_at: Mapped[datetime]


class PushMark(Base):
    """Up to which transaction phones were looked for that should be woken: one row."""

    __tablename__ = "push_mark"
    __table_args__ = (CheckConstraint("one", name="one_row"),)

    one: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    xid: Mapped[int]


class SyncAction(Row, Base):
    """Something that was done on a phone, perhaps hours ago, and what became of it; append-only.

    The phone makes the id. `payload` is what the doorway of its `type` would have been sent,
    without the codes in it; `content_hash` is of all that came. Of a verdict that is not
    `applied`, `code` and `facts` are those of the refusal. `work_order_id` is the order it was
    about, as far as that is known; `judgement` what a completion or a sale is worth that came too
    late, and `moved_to` whose order it was by then.
    """

    __tablename__ = "sync_action"
    __table_args__ = (
        Index("ix_sync_action_technician", "technician_id", "received_at"),
        Index(
            "ix_sync_action_conflict",
            "work_order_id",
            postgresql_where=text("verdict = 'conflict' AND work_order_id IS NOT NULL"),
        ),
        Index("ix_sync_action_received", "received_at"),
        # What is forgotten when its time is over, and has not been yet.
        Index(
            "ix_sync_action_swept",
            "created_at",
            "id",
            postgresql_where=text("payload <> '{}' OR facts IS NOT NULL"),
        ),
        # Whoever erases a customer finds all that was done for them, by whatever it names.
        Index(
            "ix_sync_action_about",
            literal_column("sync_about(work_order_id, payload)").label("about"),
        ),
    )

    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    account_id: Mapped[UUID]
    device: Mapped[str | None]
    type: Mapped[str]
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB())
    base_version: Mapped[int | None]
    device_at: Mapped[datetime]
    received_at: Mapped[datetime]
    content_hash: Mapped[str]
    verdict: Mapped[ActionVerdict] = mapped_column(text_enum(ActionVerdict))
    code: Mapped[str | None]
    words_zh: Mapped[str | None]
    words_en: Mapped[str | None]
    facts: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    work_order_id: Mapped[UUID | None]
    judgement: Mapped[Judgement | None] = mapped_column(text_enum(Judgement))
    moved_to: Mapped[UUID | None]
