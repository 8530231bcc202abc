"""The ids of changes in the lifecycle say when they were made, so that what is old can be ended.

Revision: 0054, after 0053
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0054"
down_revision: str | None = "0053"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.execute(
        """
        UPDATE lifecycle_change SET id = overlay(id::text PLACING
            regexp_replace(
                lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0'),
                '^(.{8})(.{4})$', '\\1-\\2-7'
            ) FROM 1)::uuid
        """
    )
    op.alter_column("lifecycle_change", "id", server_default=None)


def downgrade() -> None:
    """Take the change back; ids that say when they were made are as good as others."""
    op.alter_column("lifecycle_change", "id", server_default=sa.text("gen_random_uuid()"))
