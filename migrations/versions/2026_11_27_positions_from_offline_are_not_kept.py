"""What phones have pushed of positions is not kept: neither exactly, nor without consent.

Only that a batch came, and the hash by which the same one is known again, stays of it.

Revision: 0081, after 0080
"""

from alembic import op

revision: str = "0081"
down_revision: str | None = "0080"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Empty what was kept; nobody waits for these rows, which are written once and read rarely."""
    op.execute(
        "UPDATE sync_action SET payload = '{}'"
        " WHERE type = 'my_positions_report' AND payload <> '{}'"
    )


def downgrade() -> None:
    """Nothing: what was emptied is gone, and rows that keep their payload are read as well."""
