"""Photos and signatures of orders, the pieces they come in, and each picture once.

Revision: 0027, after 0026
"""

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry
from sqlalchemy.dialects import postgresql

revision: str = "0027"
down_revision: str | None = "0026"
branch_labels: str | None = None
depends_on: str | None = None


def moment(name: str, *, known: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.TIMESTAMP(timezone=True), nullable=not known)


def point() -> sa.Column[Geometry]:
    return sa.Column("point", Geometry("POINT", srid=4326, spatial_index=False), nullable=True)


def created_at() -> sa.Column[datetime]:
    return sa.Column(
        "created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
    )


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.create_table(
        "evidence_blob",
        sa.Column("sha256", sa.Text(), nullable=False),
        created_at(),
        sa.Column("folder", sa.Uuid(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("width", sa.BigInteger(), nullable=False),
        sa.Column("height", sa.BigInteger(), nullable=False),
        moment("taken_at"),
        point(),
        moment("looked_at"),
        moment("forgotten_at"),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_evidence_blob")),
    )
    op.create_table(
        "evidence",
        sa.Column("work_order_id", sa.Uuid(), nullable=False),
        sa.Column("visit_id", sa.Uuid(), nullable=True),
        sa.Column("org_unit_id", sa.Uuid(), nullable=False),
        sa.Column("technician_id", sa.Uuid(), nullable=False),
        sa.Column("requirement", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("upload_metadata", sa.Text(), nullable=False),
        sa.Column("filename", sa.Text(), nullable=True),
        moment("taken_at"),
        point(),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("received", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        moment("announced_at", known=True),
        moment("expires_at", known=True),
        moment("stored_at"),
        sa.Column("refusal", postgresql.JSONB(), nullable=True),
        sa.Column("blob_sha256", sa.Text(), nullable=True),
        sa.Column("position_from", sa.String(length=40), nullable=True),
        sa.Column("distance_m", sa.Float(), nullable=True),
        sa.Column("far", sa.Boolean(), nullable=True),
        sa.Column("old", sa.Boolean(), nullable=True),
        sa.Column("reused", sa.Boolean(), nullable=True),
        moment("forgotten_at"),
        sa.Column("id", sa.Uuid(), nullable=False),
        created_at(),
        *(
            sa.ForeignKeyConstraint(
                [column], [f"{table}.{key}"], name=op.f(f"fk_evidence_{column}")
            )
            for column, table, key in (
                ("work_order_id", "work_order", "id"),
                ("visit_id", "visit", "id"),
                ("org_unit_id", "org_unit", "id"),
                ("technician_id", "technician", "id"),
                ("blob_sha256", "evidence_blob", "sha256"),
            )
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evidence")),
    )
    for name, columns, where in (
        ("ix_evidence_work_order_id", ["work_order_id"], None),
        ("ix_evidence_blob_sha256", ["blob_sha256"], None),
        ("ix_evidence_expiring", ["expires_at"], "state = 'announced'"),
        (
            "ix_evidence_outstanding",
            ["org_unit_id", "announced_at", "id"],
            "state IN ('announced', 'expired')",
        ),
        (
            "ix_evidence_kept",
            ["org_unit_id", "stored_at"],
            "state = 'stored' AND forgotten_at IS NULL",
        ),
    ):
        op.create_index(
            name, "evidence", columns, postgresql_where=None if where is None else sa.text(where)
        )
    op.create_table(
        "evidence_piece",
        sa.Column("evidence_id", sa.Uuid(), nullable=False),
        sa.Column("begins", sa.BigInteger(), nullable=False),
        sa.Column("ends", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["evidence_id"], ["evidence.id"], name=op.f("fk_evidence_piece_evidence_id")
        ),
        sa.PrimaryKeyConstraint("evidence_id", "begins", name=op.f("pk_evidence_piece")),
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_table("evidence_piece")
    op.drop_table("evidence")
    op.drop_table("evidence_blob")
