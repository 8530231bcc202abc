"""What a sale names as reserved is that sale's, so that a visit may have more than one reservation.

Revision: 0105, after 0104
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0105"
down_revision: str | None = "0104"
branch_labels: str | None = None
depends_on: str | None = None

HELD = sa.text("state = 'held'")


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_index(
        "ix_install_reservation_open", "install_reservation", ["visit_id"], postgresql_where=HELD
    )
    op.drop_index("uq_install_reservation_open", table_name="install_reservation")


def downgrade() -> None:
    """Take the change back."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    # Of several of a visit the newest stays, as if it had taken the place of those before.
    op.execute(
        """
        WITH older AS (
            UPDATE install_reservation AS i SET state = 'released', ended_at = now()
            WHERE i.state = 'held' AND EXISTS (
                SELECT FROM install_reservation AS newer WHERE newer.visit_id = i.visit_id
                    AND newer.state = 'held' AND (newer.held_at, newer.id) > (i.held_at, i.id)
            )
            RETURNING i.id, i.hold_id
        ), at_once AS (
            UPDATE appointment_hold SET expires_at = now()
            FROM older WHERE appointment_hold.id = older.hold_id
        )
        UPDATE reserved_terminal AS r SET ended_at = now()
        FROM older WHERE r.reservation_id = older.id AND r.ended_at IS NULL
        """
    )
    op.create_index(
        "uq_install_reservation_open",
        "install_reservation",
        ["visit_id"],
        unique=True,
        postgresql_where=HELD,
    )
    op.drop_index("ix_install_reservation_open", table_name="install_reservation")
