"""Phones and how they are woken and emptied, shifts as they are worked, and positions.

Revision: 0064, after 0063
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry

revision: str = "0064"
down_revision: str | None = "0063"
branch_labels: str | None = None
depends_on: str | None = None

MOMENT = sa.TIMESTAMP(timezone=True)
PROVIDER = sa.Enum(
    "huawei",
    "honor",
    "xiaomi",
    "oppo",
    "vivo",
    "meizu",
    "apns",
    "fcm",
    "unipush",
    name="pushprovider",
    native_enum=False,
    length=40,
)
END = sa.Enum("ended", "left_open", name="dutyend", native_enum=False, length=40)


def _row() -> list[sa.Column[Any]]:
    return [
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", MOMENT, server_default=sa.text("now()"), nullable=False),
    ]


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "device",
        *_row(),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("platform", sa.Text(), nullable=True),
        sa.Column("app_version", sa.Text(), nullable=True),
        sa.Column("push_provider", PROVIDER, nullable=True),
        sa.Column("push_token", sa.Text(), nullable=True),
        sa.Column("last_seen_at", MOMENT, nullable=False),
        sa.Column("news_at", MOMENT, nullable=True),
        sa.Column("push_at", MOMENT, nullable=True),
        sa.Column("push_tries", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_device_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device")),
        sa.UniqueConstraint("account_id", "name", name=op.f("uq_device_account_id_name")),
    )
    op.create_index(
        "ix_device_news",
        "device",
        ["news_at"],
        postgresql_where=sa.text("news_at IS NOT NULL"),
    )
    op.create_table(
        "device_wipe",
        *_row(),
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("asked_at", MOMENT, nullable=False),
        sa.Column("asked_by", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("confirmed_at", MOMENT, nullable=True),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("unsent", sa.BigInteger(), nullable=True),
        sa.Column("withdrawn_at", MOMENT, nullable=True),
        sa.Column("withdrawn_by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["device_id"], ["device.id"], name=op.f("fk_device_wipe_device_id")
        ),
        sa.ForeignKeyConstraint(["asked_by"], ["account.id"], name=op.f("fk_device_wipe_asked_by")),
        sa.ForeignKeyConstraint(
            ["withdrawn_by"], ["account.id"], name=op.f("fk_device_wipe_withdrawn_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device_wipe")),
    )
    op.create_index(
        "uq_device_wipe_open",
        "device_wipe",
        ["device_id"],
        unique=True,
        postgresql_where=sa.text("confirmed_at IS NULL AND withdrawn_at IS NULL"),
    )
    op.create_index("ix_device_wipe_device", "device_wipe", ["device_id", "asked_at"])
    op.create_table(
        "stream_process",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("alive_until", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stream_process")),
    )
    op.create_table(
        "device_stream",
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("process_id", sa.Uuid(), nullable=False),
        sa.Column("stream_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["device.id"], name=op.f("fk_device_stream_device_id")
        ),
        sa.PrimaryKeyConstraint("device_id", name=op.f("pk_device_stream")),
    )
    op.create_index(op.f("ix_device_stream_process_id"), "device_stream", ["process_id"])
    op.create_table(
        "push_mark",
        sa.Column("one", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("xid", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("one", name=op.f("ck_push_mark_one_row")),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_push_mark")),
    )
    # What was there before phones could be woken is no news.
    op.execute(
        "INSERT INTO push_mark (xid) SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
    )
    op.create_table(
        "duty",
        *_row(),
        sa.Column("technician_id", sa.Uuid(), nullable=False),
        sa.Column("device_at", MOMENT, nullable=False),
        sa.Column("began_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("end", END, nullable=True),
        sa.Column("consent_version", sa.BigInteger(), nullable=True),
        sa.Column("consent_from", MOMENT, nullable=True),
        sa.Column("consent_withdrawn_at", MOMENT, nullable=True),
        sa.CheckConstraint("ended_at >= began_at", name=op.f("ck_duty_times_in_order")),
        sa.ForeignKeyConstraint(
            ["technician_id"], ["technician.id"], name=op.f("fk_duty_technician_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_duty")),
    )
    op.create_index(
        "uq_duty_open",
        "duty",
        ["technician_id"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index("ix_duty_technician", "duty", ["technician_id", "began_at"])
    op.create_table(
        "position",
        sa.Column("technician_id", sa.Uuid(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("duty_id", sa.Uuid(), nullable=False),
        sa.Column("point", Geometry("POINT", srid=4326, spatial_index=False), nullable=False),
        sa.Column("accuracy_m", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["technician_id"], ["technician.id"], name=op.f("fk_position_technician_id")
        ),
        sa.PrimaryKeyConstraint("technician_id", "at", name=op.f("pk_position")),
    )
    op.create_index("ix_position_at", "position", ["at"], postgresql_using="brin")


def downgrade() -> None:
    """Take the change back."""
    for name in (
        "position",
        "duty",
        "push_mark",
        "device_stream",
        "stream_process",
        "device_wipe",
        "device",
    ):
        op.drop_table(name)
