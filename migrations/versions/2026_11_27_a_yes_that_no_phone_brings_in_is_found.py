"""What customers agreed to by message and no phone has confirmed is found by when they did.

Revision: 0093, after 0092
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0093"
down_revision: str | None = "0092"
branch_labels: str | None = None
depends_on: str | None = None

AGREED_BY_REPLY = sa.text("state = 'agreed' AND kind = 'sms_reply' AND purpose = 'consent'")


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_index(
        "ix_consent_request_agreed",
        "consent_request",
        ["answered_at"],
        postgresql_where=AGREED_BY_REPLY,
    )


def downgrade() -> None:
    """Undo the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_index("ix_consent_request_agreed", table_name="consent_request")
