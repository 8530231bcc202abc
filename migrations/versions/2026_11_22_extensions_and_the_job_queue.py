"""PostGIS, exclusion constraints over ids, and the job queue's own tables.

Revision: 0001, the first
"""

from alembic import op
from procrastinate.schema import SchemaManager

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("CREATE EXTENSION IF NOT EXISTS postgis")
    op.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
    # The queue's schema is many statements with percent signs, so it goes to the driver as it is.
    op.get_bind().execution_options(no_parameters=True).exec_driver_sql(SchemaManager.get_schema())


def downgrade() -> None:
    """There is nothing before the first tables; drop the database instead."""
    raise NotImplementedError("drop the database instead")
