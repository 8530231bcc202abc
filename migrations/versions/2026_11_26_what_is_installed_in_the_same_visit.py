"""What lines can do is remembered; minutes and terminals are reserved and installed at the door.

Revision: 0056, after 0055
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision: str = "0056"
down_revision: str | None = "0055"
branch_labels: str | None = None
depends_on: str | None = None

MOMENT = sa.TIMESTAMP(timezone=True)


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.add_column(
        "promise_rule",
        sa.Column("same_visit", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.add_column(
        "appointment_hold",
        sa.Column("terminals", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    )
    op.create_table(
        "serviceability_answer",
        sa.Column("service_address_id", sa.Uuid(), nullable=False),
        sa.Column("asked_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("port_free", sa.Boolean(), nullable=True),
        sa.Column("max_speed_mbps", sa.BigInteger(), nullable=True),
        sa.Column("olt_port", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["service_address_id"], ["service_address.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("service_address_id"),
    )
    op.create_table(
        "install_reservation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", MOMENT, server_default=sa.text("now()"), nullable=False),
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("visit_id", sa.Uuid(), nullable=False),
        sa.Column("technician_id", sa.Uuid(), nullable=False),
        sa.Column("hold_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("items", JSONB(), nullable=False),
        sa.Column("minutes", sa.BigInteger(), nullable=False),
        sa.Column("held_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["org_unit_id"], ["org_unit.id"]),
        sa.ForeignKeyConstraint(["visit_id"], ["visit.id"]),
        sa.ForeignKeyConstraint(["technician_id"], ["technician.id"]),
        sa.ForeignKeyConstraint(["hold_id"], ["appointment_hold.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    held = sa.text("state = 'held'")
    op.create_index(
        "uq_install_reservation_open",
        "install_reservation",
        ["visit_id"],
        unique=True,
        postgresql_where=held,
    )
    op.create_index(
        "ix_install_reservation_over",
        "install_reservation",
        ["expires_at"],
        postgresql_where=held,
    )
    op.create_table(
        "reserved_terminal",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", MOMENT, server_default=sa.text("now()"), nullable=False),
        sa.Column("reservation_id", sa.Uuid(), nullable=False),
        sa.Column("terminal_id", sa.Uuid(), nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["reservation_id"], ["install_reservation.id"]),
        sa.ForeignKeyConstraint(["terminal_id"], ["terminal.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "uq_reserved_terminal_open",
        "reserved_terminal",
        ["terminal_id"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index("ix_reserved_terminal_reservation", "reserved_terminal", ["reservation_id"])
    op.create_table(
        "same_visit_install",
        sa.Column("sale_id", sa.Uuid(), nullable=False),
        sa.Column("work_order_id", sa.Uuid(), nullable=False),
        sa.Column("visit_id", sa.Uuid(), nullable=False),
        sa.Column("technician_id", sa.Uuid(), nullable=False),
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("reservation_id", sa.Uuid(), nullable=False),
        sa.Column("accepted_at", MOMENT, nullable=False),
        sa.Column("activated_at", MOMENT, nullable=True),
        sa.Column("gone_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["sale_id"], ["sale.id"]),
        sa.ForeignKeyConstraint(["work_order_id"], ["work_order.id"]),
        sa.ForeignKeyConstraint(["visit_id"], ["visit.id"]),
        sa.ForeignKeyConstraint(["technician_id"], ["technician.id"]),
        sa.ForeignKeyConstraint(["org_unit_id"], ["org_unit.id"]),
        sa.ForeignKeyConstraint(["reservation_id"], ["install_reservation.id"]),
        sa.PrimaryKeyConstraint("sale_id"),
        sa.UniqueConstraint("work_order_id"),
    )
    op.create_index(
        "ix_same_visit_install_unit", "same_visit_install", ["org_unit_id", "accepted_at"]
    )
    op.create_index(
        "ix_same_visit_install_open",
        "same_visit_install",
        ["accepted_at"],
        postgresql_where=sa.text("activated_at IS NULL AND gone_at IS NULL"),
    )
    op.create_index("ix_same_visit_install_reservation", "same_visit_install", ["reservation_id"])
    op.add_column("sale", sa.Column("reservation_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_sale_reservation_id_install_reservation"),
        "sale",
        "install_reservation",
        ["reservation_id"],
        ["id"],
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_column("sale", "reservation_id")
    op.drop_table("same_visit_install")
    op.drop_table("reserved_terminal")
    op.drop_table("install_reservation")
    op.drop_table("serviceability_answer")
    op.drop_column("appointment_hold", "terminals")
    op.drop_column("promise_rule", "same_visit")
