"""How Alembic reaches the database, and what it compares.

The database is, in this order: `config.attributes["url"]` (given by code), `-x url=...` on the
command line, `DATABASE_URL`.
"""

from time import sleep
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from geoalchemy2 import alembic_helpers
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from app.core.db import psycopg_url
from app.core.settings import Settings
from app.tables import metadata

# A migration that waits for a lock makes everyone queue behind it, so it gives up early and is
# run again; the work itself may take its time.
PATIENCE = "SET lock_timeout = '5s'; SET statement_timeout = 0"
# Any number will do: two deployments that migrate at once take turns by it.
TURN = 0x79696E67776569

# What the database made for itself: what an extension owns (PostGIS brings tables), and partitions,
# which follow their parent and come and go by the month.
NOT_OURS = text(
    """
    SELECT relname FROM pg_class
    WHERE relkind IN ('r', 'p') AND (
        relispartition
        OR EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass
                   AND objid = pg_class.oid AND deptype = 'e'))
    """
)


def url() -> str:
    """The address of the database to migrate, in SQLAlchemy's form."""
    given = context.config.attributes.get("url") or context.get_x_argument(as_dictionary=True).get(
        "url"
    )
    return psycopg_url(given or Settings().database_url)


def render_item(kind: str, item: Any, autogenerating: AutogenContext) -> str | Literal[False]:
    """Write geometry columns with the import they need."""
    written = alembic_helpers.render_item(kind, item, autogenerating)  # type: ignore[no-untyped-call]
    rendered: str | Literal[False] = written
    return rendered


def migrate(connection: Connection) -> None:
    """Run the asked command over one connection."""
    not_ours = set(connection.scalars(NOT_OURS))
    # Alembic would leave a transaction that it finds open to us, and commit nothing.
    connection.commit()

    def ours(name: str | None, kind: str, parents: Any) -> bool:
        # Procrastinate's tables come from its own schema file, by a migration that runs it.
        return kind != "table" or not (
            name is None or name in not_ours or name.startswith("procrastinate_")
        )

    context.configure(
        connection=connection,
        target_metadata=metadata,
        include_name=ours,
        render_item=render_item,
        compare_type=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def online() -> None:
    """Migrate a database that is there."""
    # No pool: nothing may stay connected when a test drops or copies the database afterwards.
    engine = create_engine(url(), poolclass=NullPool)
    with engine.connect() as connection:
        # An index that is built beside the work waits for whoever has a snapshot, and so would wait
        # for those who wait for their turn: they let go between their tries.
        while not connection.scalar(text("SELECT pg_try_advisory_lock(:turn)"), {"turn": TURN}):
            connection.commit()
            sleep(0.5)
        connection.execute(text(PATIENCE))
        connection.commit()
        migrate(connection)


def offline() -> None:
    """Print the SQL instead (`alembic upgrade head --sql`), for review and for squawk."""
    context.configure(
        url=url(), target_metadata=metadata, literal_binds=True, transaction_per_migration=True
    )
    context.execute(PATIENCE)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    offline()
else:
    online()
