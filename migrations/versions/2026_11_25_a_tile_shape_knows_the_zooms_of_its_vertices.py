"""A tile shape knows from which zoom on each of its vertices is drawn.

Nothing has written the table before this revision; what a process may have written meanwhile is
drawn anew by the worker.

Revision: 0008, after 0007
"""

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | None = None
depends_on: str | None = None


def shape(name: str, kind: str, dimension: int) -> sa.Column[Geometry]:
    """Make a geometry column of the table."""
    made = Geometry(
        geometry_type=kind,
        srid=3857,
        dimension=dimension,
        spatial_index=False,
        from_text="ST_GeomFromEWKT",
        name="geometry",
        nullable=False,
    )
    return sa.Column(name, made, nullable=False)


def upgrade() -> None:
    """Apply the change."""
    op.execute("DELETE FROM grid_tile_shape")
    op.drop_index("ix_grid_tile_shape_coarse", table_name="grid_tile_shape")
    op.drop_column("grid_tile_shape", "fine")
    op.drop_column("grid_tile_shape", "coarse")
    op.add_column("grid_tile_shape", shape("shape", "MULTIPOLYGONM", 3))
    op.create_index(
        "ix_grid_tile_shape_shape",
        "grid_tile_shape",
        ["coordsys", "shape"],
        unique=False,
        postgresql_using="gist",
    )


def downgrade() -> None:
    """Take the change back."""
    op.execute("DELETE FROM grid_tile_shape")
    op.drop_index("ix_grid_tile_shape_shape", table_name="grid_tile_shape")
    op.drop_column("grid_tile_shape", "shape")
    op.add_column("grid_tile_shape", shape("fine", "MULTIPOLYGON", 2))
    op.add_column("grid_tile_shape", shape("coarse", "MULTIPOLYGON", 2))
    op.create_index(
        "ix_grid_tile_shape_coarse",
        "grid_tile_shape",
        ["coordsys", "coarse"],
        unique=False,
        postgresql_using="gist",
    )
