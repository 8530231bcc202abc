"""Which offering a contact of another channel was about, and until when to keep silent of it.

Revision: 0072, after 0071
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0072"
down_revision: str | None = "0071"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("interaction", sa.Column("offering_code", sa.Text()))
    op.add_column("interaction", sa.Column("later_on", sa.Date()))
    op.add_column("contact_reservation", sa.Column("offering_code", sa.Text()))
    op.add_column(
        "contact_reservation",
        sa.Column(
            "by_account_manager", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
    )


def downgrade() -> None:
    """Undo the change."""
    op.drop_column("contact_reservation", "by_account_manager")
    op.drop_column("contact_reservation", "offering_code")
    op.drop_column("interaction", "later_on")
    op.drop_column("interaction", "offering_code")
