"""What customers were asked and replied by message is kept with the request, not with the message.

Revision: 0078, after 0077
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0078"
down_revision: str | None = "0077"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("consent_request", sa.Column("message_id", sa.Uuid(), nullable=True))
    op.add_column("consent_request", sa.Column("asked_text", sa.Text(), nullable=True))
    op.add_column("consent_request", sa.Column("reply_text", sa.Text(), nullable=True))
    op.create_foreign_key(
        op.f("fk_consent_request_message_id"), "consent_request", "message", ["message_id"], ["id"]
    )


def downgrade() -> None:
    """Undo the change."""
    for column in ("reply_text", "asked_text", "message_id"):
        op.drop_column("consent_request", column)
