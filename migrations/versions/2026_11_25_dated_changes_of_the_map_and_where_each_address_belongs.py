"""Dated changes of the map and where each address belongs.

Revision: 0004, after 0003
"""

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry
from sqlalchemy.dialects import postgresql

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "grid_edition",
        sa.Column("one", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("edition", sa.Uuid(), nullable=False),
        sa.CheckConstraint("one", name=op.f("ck_grid_edition_one_row")),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_grid_edition")),
    )
    op.create_table(
        "grid_change",
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "import",
                "reshape",
                "split",
                "merge",
                "move_border",
                "retire",
                "list",
                name="changekind",
                native_enum=False,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("grid_ids", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("asked", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("told", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("addresses", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["org_unit_id"], ["org_unit.id"], name=op.f("fk_grid_change_org_unit_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grid_change")),
    )
    op.create_index(
        "ix_grid_change_grids", "grid_change", ["grid_ids"], unique=False, postgresql_using="gin"
    )
    op.create_index("ix_grid_change_list", "grid_change", ["org_unit_id", "at", "id"], unique=False)
    op.create_table(
        "grid_expansion",
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column(
            "figure",
            sa.Enum(
                "covered_customers",
                "covered_share",
                "covered_grids",
                "contracted_grids",
                "blocks",
                name="expansionfigure",
                native_enum=False,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("target", sa.Double(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["org_unit_id"], ["org_unit.id"], name=op.f("fk_grid_expansion_org_unit_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grid_expansion")),
    )
    op.create_index(
        "uq_grid_expansion_figure",
        "grid_expansion",
        ["org_unit_id", "figure", "due_on"],
        unique=True,
    )
    op.create_table(
        "grid_contract",
        sa.Column("grid_id", sa.Uuid(), nullable=False),
        sa.Column(
            "stage",
            sa.Enum(
                "none",
                "pilot",
                "covered",
                "contracted",
                name="gridstage",
                native_enum=False,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("holder", sa.Text(), nullable=True),
        sa.Column("target_customers", sa.BigInteger(), nullable=True),
        sa.Column("target_monthly_sales", sa.BigInteger(), nullable=True),
        sa.Column("target_on", sa.Date(), nullable=True),
        sa.Column("note", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        postgresql.ExcludeConstraint(
            (sa.column("grid_id"), "="),
            (sa.text("daterange(valid_from, valid_to)"), "&&"),
            using="gist",
            name="ex_grid_contract_one_at_a_time",
        ),
        sa.CheckConstraint(
            "valid_to IS NULL OR valid_to >= valid_from",
            name=op.f("ck_grid_contract_dates_in_order"),
        ),
        sa.ForeignKeyConstraint(["grid_id"], ["grid.id"], name=op.f("fk_grid_contract_grid_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grid_contract")),
    )
    op.create_table(
        "grid_list_entry",
        sa.Column("grid_id", sa.Uuid(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "prefix", "building", "compound", name="listkind", native_enum=False, length=40
            ),
            nullable=False,
        ),
        sa.Column("district_path", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("building", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("valid_from", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("valid_to", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("change_id", sa.Uuid(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        postgresql.ExcludeConstraint(
            (sa.column("kind"), "="),
            (sa.column("district_path"), "="),
            (sa.column("name"), "="),
            (sa.column("building"), "="),
            (sa.text("tstzrange(valid_from, valid_to)"), "&&"),
            using="gist",
            name="ex_grid_list_entry_one_grid",
        ),
        sa.CheckConstraint(
            "(kind = 'building') = (building <> '')", name=op.f("ck_grid_list_entry_building_named")
        ),
        sa.CheckConstraint(
            "valid_to IS NULL OR valid_to >= valid_from",
            name=op.f("ck_grid_list_entry_times_in_order"),
        ),
        sa.ForeignKeyConstraint(
            ["change_id"], ["grid_change.id"], name=op.f("fk_grid_list_entry_change_id")
        ),
        sa.ForeignKeyConstraint(["grid_id"], ["grid.id"], name=op.f("fk_grid_list_entry_grid_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grid_list_entry")),
    )
    op.create_index(
        "ix_grid_list_entry_grid", "grid_list_entry", ["grid_id", "valid_from"], unique=False
    )
    op.create_table(
        "address_grid",
        sa.Column("service_address_id", sa.Uuid(), nullable=False),
        sa.Column("grid_id", sa.Uuid(), nullable=True),
        sa.Column("drawn_grid_id", sa.Uuid(), nullable=True),
        sa.Column("listed", sa.Boolean(), nullable=False),
        sa.Column("near_border", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["drawn_grid_id"], ["grid.id"], name=op.f("fk_address_grid_drawn_grid_id")
        ),
        sa.ForeignKeyConstraint(["grid_id"], ["grid.id"], name=op.f("fk_address_grid_grid_id")),
        sa.ForeignKeyConstraint(
            ["service_address_id"],
            ["service_address.id"],
            name=op.f("fk_address_grid_service_address_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("service_address_id", name=op.f("pk_address_grid")),
    )
    op.create_index(
        "ix_address_grid_disagreeing",
        "address_grid",
        ["grid_id"],
        unique=False,
        postgresql_where=sa.text("listed AND drawn_grid_id IS DISTINCT FROM grid_id"),
    )
    op.create_index("ix_address_grid_grid", "address_grid", ["grid_id"], unique=False)
    op.create_table(
        "address_to_locate",
        sa.Column("service_address_id", sa.Uuid(), nullable=False),
        sa.Column("grid_change_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["grid_change_id"], ["grid_change.id"], name=op.f("fk_address_to_locate_grid_change_id")
        ),
        sa.ForeignKeyConstraint(
            ["service_address_id"],
            ["service_address.id"],
            name=op.f("fk_address_to_locate_service_address_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("service_address_id", name=op.f("pk_address_to_locate")),
    )
    op.create_index(
        "ix_address_to_locate_change",
        "address_to_locate",
        ["grid_change_id"],
        unique=False,
        postgresql_where=sa.text("grid_change_id IS NOT NULL"),
    )
    op.create_table(
        "grid_tile_shape",
        sa.Column("grid_id", sa.Uuid(), nullable=False),
        sa.Column(
            "coordsys",
            sa.Enum("wgs84", "gcj02", "bd09", name="coordsys", native_enum=False, length=40),
            nullable=False,
        ),
        sa.Column("boundary_id", sa.Uuid(), nullable=False),
        sa.Column(
            "fine",
            Geometry(
                geometry_type="MULTIPOLYGON",
                srid=3857,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.Column(
            "coarse",
            Geometry(
                geometry_type="MULTIPOLYGON",
                srid=3857,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["boundary_id"], ["grid_boundary.id"], name=op.f("fk_grid_tile_shape_boundary_id")
        ),
        sa.ForeignKeyConstraint(["grid_id"], ["grid.id"], name=op.f("fk_grid_tile_shape_grid_id")),
        sa.PrimaryKeyConstraint("grid_id", "coordsys", name=op.f("pk_grid_tile_shape")),
    )
    op.create_index(
        "ix_grid_tile_shape_coarse",
        "grid_tile_shape",
        ["coordsys", "coarse"],
        unique=False,
        postgresql_using="gist",
    )
    op.add_column("grid_boundary", sa.Column("change_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_grid_boundary_change_id"), "grid_boundary", "grid_change", ["change_id"], ["id"]
    )
    op.add_column(
        "grid_membership",
        sa.Column("ratio", sa.BigInteger(), server_default=sa.text("100"), nullable=False),
    )
    op.create_index(
        "ix_service_address_compound",
        "service_address",
        [sa.literal_column("replace(locality, ' ', '')")],
        unique=False,
    )
    op.create_index(
        "ix_service_address_point",
        "service_address",
        ["point"],
        unique=False,
        postgresql_using="gist",
    )
    op.create_index(
        "ix_service_address_standard",
        "service_address",
        [sa.literal_column("replace(standard_address, ' ', '')").label("standard")],
        unique=False,
        postgresql_ops={"standard": "text_pattern_ops"},
    )
    op.execute("INSERT INTO grid_edition (edition) VALUES (gen_random_uuid())")
    op.execute("INSERT INTO address_to_locate (service_address_id) SELECT id FROM service_address")
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON grid_change"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_index("ix_service_address_standard", table_name="service_address")
    op.drop_index("ix_service_address_point", table_name="service_address", postgresql_using="gist")
    op.drop_index("ix_service_address_compound", table_name="service_address")
    op.drop_column("grid_membership", "ratio")
    op.drop_constraint(op.f("fk_grid_boundary_change_id"), "grid_boundary", type_="foreignkey")
    op.drop_column("grid_boundary", "change_id")
    op.drop_index(
        "ix_grid_tile_shape_coarse", table_name="grid_tile_shape", postgresql_using="gist"
    )
    op.drop_table("grid_tile_shape")
    op.drop_index(
        "ix_address_to_locate_change",
        table_name="address_to_locate",
        postgresql_where=sa.text("grid_change_id IS NOT NULL"),
    )
    op.drop_table("address_to_locate")
    op.drop_index("ix_address_grid_grid", table_name="address_grid")
    op.drop_index(
        "ix_address_grid_disagreeing",
        table_name="address_grid",
        postgresql_where=sa.text("listed AND drawn_grid_id IS DISTINCT FROM grid_id"),
    )
    op.drop_table("address_grid")
    op.drop_index("ix_grid_list_entry_grid", table_name="grid_list_entry")
    op.drop_table("grid_list_entry")
    op.drop_table("grid_contract")
    op.drop_index("uq_grid_expansion_figure", table_name="grid_expansion")
    op.drop_table("grid_expansion")
    op.drop_index("ix_grid_change_list", table_name="grid_change")
    op.drop_index("ix_grid_change_grids", table_name="grid_change", postgresql_using="gin")
    op.drop_table("grid_change")
    op.drop_table("grid_edition")
