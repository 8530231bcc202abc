"""Check-ins are judged, and an order's visits are found.

Revision: 0030, after 0029
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0030"
down_revision: str | None = "0029"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.add_column("visit", sa.Column("check_in_speed_kmh", sa.Double(), nullable=True))
    op.add_column(
        "visit", sa.Column("check_in_device_at", sa.TIMESTAMP(timezone=True), nullable=True)
    )
    op.add_column(
        "visit",
        sa.Column(
            "check_in_marks",
            postgresql.ARRAY(sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
    )
    op.create_index("ix_visit_order", "visit", ["work_order_id", "travel_started_at"])
    op.create_index(
        "ix_visit_marked",
        "visit",
        ["checked_in_at", "id"],
        postgresql_where=sa.text("check_in_marks <> '{}'"),
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_index("ix_visit_marked", "visit")
    op.drop_index("ix_visit_order", "visit")
    for column in ("check_in_marks", "check_in_device_at", "check_in_speed_kmh"):
        op.drop_column("visit", column)
