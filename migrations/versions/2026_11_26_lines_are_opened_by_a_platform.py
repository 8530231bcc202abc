"""Activations of lines, and orders that go without one for a stated cause.

Revision: 0028, after 0027
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision: str = "0028"
down_revision: str | None = "0027"
branch_labels: str | None = None
depends_on: str | None = None

OPEN = "state IN ('asked', 'under_way', 'unknown')"


def _common() -> list[sa.Column[Any]]:
    now = sa.text("now()")
    return [
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("work_order_id", sa.Uuid(), nullable=False),
        sa.Column("visit_id", sa.Uuid(), nullable=False),
        sa.Column("technician_id", sa.Uuid(), nullable=False),
        sa.Column("device_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=now, nullable=False),
    ]


def _keys(table: str) -> list[sa.Constraint]:
    return [
        *(
            sa.ForeignKeyConstraint(
                [f"{other}_id"], [f"{other}.id"], name=op.f(f"fk_{table}_{other}_id")
            )
            for other in ("org_unit", "work_order", "visit", "technician")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
    ]


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.create_table(
        "activation",
        sa.Column("loid", sa.Text(), nullable=True),
        sa.Column("service_number", sa.Text(), nullable=True),
        sa.Column("serial_number", sa.Text(), nullable=False),
        sa.Column("order_number", sa.Text(), nullable=False),
        sa.Column("offering_code", sa.Text(), nullable=True),
        sa.Column("speed_mbps", sa.BigInteger(), nullable=True),
        sa.Column("asked_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=True),
        sa.Column("said", sa.Text(), nullable=True),
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "next_try_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=True,
        ),
        sa.Column("ended_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        *_common(),
        *_keys("activation"),
    )
    op.create_index(
        "uq_activation_one_open_per_order",
        "activation",
        ["work_order_id"],
        unique=True,
        postgresql_where=sa.text(OPEN),
    )
    op.create_index("ix_activation_order", "activation", ["work_order_id", "asked_at"])
    op.create_index(
        "ix_activation_due", "activation", ["next_try_at"], postgresql_where=sa.text(OPEN)
    )
    op.create_table(
        "activation_override",
        sa.Column("cause", sa.String(length=40), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("at", sa.TIMESTAMP(timezone=True), nullable=False),
        *_common(),
        *_keys("activation_override"),
    )
    op.create_index("ix_activation_override_order", "activation_override", ["work_order_id"])
    op.create_index(
        "ix_activation_override_unit", "activation_override", ["org_unit_id", "at", "id"]
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_table("activation_override")
    op.drop_table("activation")
