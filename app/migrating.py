"""Migrations as functions: bring a database up to date, and tell whether models and they agree."""

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from app.core.cluster import Cluster
from app.core.db import psycopg_url
from app.tables import metadata

ROOT = Path(__file__).resolve().parent.parent


def _config(url: str) -> Config:
    config = Config(str(ROOT / "alembic.ini"))
    config.attributes["url"] = url
    return config


def upgrade(database_url: str) -> None:
    """Apply the migrations that a database does not have yet."""
    command.upgrade(_config(database_url), "head")


def drift(database_url: str) -> list[str]:
    """List where the models differ from a database that the migrations have made."""
    upgrade(database_url)
    engine = create_engine(psycopg_url(database_url), poolclass=NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"include_object": ours, "compare_type": True, "target_metadata": metadata},
        )
        return [repr(difference) for difference in compare_metadata(context, metadata)]


def drift_in_fresh_cluster() -> list[str]:
    """The same on a database made for the purpose and thrown away afterwards."""
    with Cluster.throw_away() as cluster:
        return drift(cluster.create_database("drift"))


def ours(obj: object, name: str | None, kind: str, reflected: bool, compare_to: object) -> bool:
    """Leave out what belongs to the job queue and to PostGIS; they bring their own schema."""
    return not (
        kind == "table"
        and reflected
        and name is not None
        and name.startswith(("procrastinate_", "spatial_ref_sys", "alembic_version"))
    )
