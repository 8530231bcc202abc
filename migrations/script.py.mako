"""${message[:1].upper()}${message[1:]}.

A migration lets the code of the day before live on: add, fill in batches, then tighten, each a
revision of its own. What locks a table waits at most the time env.py allows, then gives up.
"""
from alembic import op
import sqlalchemy as sa
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    """Apply."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """Take back."""
    ${downgrades if downgrades else "pass"}
