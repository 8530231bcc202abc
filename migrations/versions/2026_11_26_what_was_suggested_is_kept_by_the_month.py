"""What was suggested is kept by the month, with how likely it was, and models have a registry.

Revision: 0038, after 0037
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0038"
down_revision: str | None = "0037"
branch_labels: str | None = None
depends_on: str | None = None

LOG = ("suggestion_decision", "suggestion")

# The months of an id's time that rows are there for, and three to come; the rest has a place too.
MONTHS = """
DO $$
DECLARE
    today timestamp := now() AT TIME ZONE 'UTC';
    oldest uuid;
    month timestamp;
    begins uuid;
    ends uuid;
BEGIN
    SELECT one INTO oldest FROM (
        (SELECT id AS one FROM suggestion_decision ORDER BY id LIMIT 1)
        UNION ALL (SELECT id FROM suggestion ORDER BY id LIMIT 1)) AS ids
    ORDER BY one LIMIT 1;
    month := coalesce(
        to_timestamp(('x' || lpad(left(replace(oldest::text, '-', ''), 12), 16, '0'))
            ::bit(64)::bigint / 1000.0) AT TIME ZONE 'UTC', today);
    -- An id that was not made by a clock says no month.
    month := date_trunc('month', least(greatest(month, today - interval '5 years'), today));
    WHILE month <= today + interval '3 months' LOOP
        begins := (lpad(to_hex((extract(epoch FROM month) * 1000)::bigint), 12, '0')
            || repeat('0', 20))::uuid;
        ends := (lpad(to_hex((extract(epoch FROM month + interval '1 month') * 1000)::bigint),
            12, '0') || repeat('0', 20))::uuid;
        EXECUTE 'CREATE TABLE suggestion_decision_' || to_char(month, 'YYYY_MM')
            || ' PARTITION OF decision_by_month FOR VALUES FROM ('
            || quote_literal(begins) || ') TO (' || quote_literal(ends) || ')';
        EXECUTE 'CREATE TABLE suggestion_' || to_char(month, 'YYYY_MM')
            || ' PARTITION OF suggestion_by_month FOR VALUES FROM ('
            || quote_literal(begins) || ') TO (' || quote_literal(ends) || ')';
        month := month + interval '1 month';
    END LOOP;
END $$
"""


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    # Months are dropped whole, so nothing may hold on to their rows.
    for table, constraint in (
        ("suggestion_answer", "fk_suggestion_answer_suggestion_id"),
        ("sale_item", "fk_sale_item_suggestion_id"),
        ("suggestion", "fk_suggestion_decision_id"),
    ):
        op.drop_constraint(constraint, table, type_="foreignkey")
    op.execute(
        """
        CREATE TABLE decision_by_month (
            visit_id uuid NOT NULL, work_order_id uuid NOT NULL, customer_id uuid NOT NULL,
            technician_id uuid NOT NULL, at timestamptz NOT NULL, policy text NOT NULL,
            model_version text, seed bigint, "group" varchar(40) NOT NULL,
            mode varchar(40) NOT NULL, as_of timestamptz NOT NULL, facts jsonb NOT NULL,
            fingerprint text NOT NULL, held_back text, shadow jsonb, id uuid NOT NULL,
            created_at timestamptz DEFAULT now() NOT NULL
        ) PARTITION BY RANGE (id)
        """
    )
    op.execute(
        """
        CREATE TABLE suggestion_by_month (
            decision_id uuid NOT NULL, offering_id uuid NOT NULL, offering_code text NOT NULL,
            rank bigint, score_fen bigint NOT NULL, p_accept double precision, value_fen bigint,
            context double precision, lever double precision, propensity double precision,
            features jsonb, reasons jsonb NOT NULL, held_back text, id uuid NOT NULL,
            created_at timestamptz DEFAULT now() NOT NULL
        ) PARTITION BY RANGE (id)
        """
    )
    op.execute(MONTHS)
    op.execute("CREATE TABLE suggestion_decision_other PARTITION OF decision_by_month DEFAULT")
    op.execute("CREATE TABLE suggestion_other PARTITION OF suggestion_by_month DEFAULT")
    op.execute(
        """
        INSERT INTO decision_by_month (visit_id, work_order_id, customer_id, technician_id, at,
            policy, "group", mode, as_of, facts, fingerprint, held_back, id, created_at)
        SELECT visit_id, work_order_id, customer_id, technician_id, at,
            policy, 'policy', 'personal', at, facts, fingerprint, held_back, id, created_at
        FROM suggestion_decision
        """
    )
    op.execute(
        """
        INSERT INTO suggestion_by_month (decision_id, offering_id, offering_code, rank, score_fen,
            reasons, held_back, id, created_at)
        SELECT decision_id, offering_id, offering_code, rank, score_fen,
            reasons, held_back, id, created_at
        FROM suggestion
        """
    )
    op.drop_table("suggestion")
    op.drop_table("suggestion_decision")
    op.rename_table("decision_by_month", "suggestion_decision")
    op.rename_table("suggestion_by_month", "suggestion")
    _tighten()
    for table in LOG:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
    op.create_table(
        "policy_model",
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("document", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("trained_from", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("trained_until", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("figures", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("promoted_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("promoted_by", sa.Uuid(), nullable=True),
        sa.Column("retired_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["promoted_by"], ["account.id"], name=op.f("fk_policy_model_promoted_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_model")),
        sa.UniqueConstraint("version", name=op.f("uq_policy_model_version")),
    )
    op.create_index(
        "uq_policy_model_live",
        "policy_model",
        ["kind"],
        unique=True,
        postgresql_where=sa.text("state = 'live'"),
    )
    op.create_index("ix_policy_model_state", "policy_model", ["state"], unique=False)


def _tighten() -> None:
    for table, column, target in (
        ("suggestion_decision", "visit_id", "visit"),
        ("suggestion_decision", "work_order_id", "work_order"),
        ("suggestion_decision", "customer_id", "customer"),
        ("suggestion_decision", "technician_id", "technician"),
        ("suggestion", "offering_id", "product_offering"),
    ):
        op.create_foreign_key(op.f(f"fk_{table}_{column}"), table, target, [column], ["id"])
    for table in LOG:
        op.create_primary_key(op.f(f"pk_{table}"), table, ["id"])
    op.create_check_constraint(
        op.f("ck_suggestion_shown_or_held_back"),
        "suggestion",
        "(rank IS NULL) = (held_back IS NOT NULL)",
    )
    op.create_index("ix_suggestion_decision", "suggestion", ["decision_id"], unique=False)
    op.create_index(
        op.f("ix_suggestion_decision_customer_id"),
        "suggestion_decision",
        ["customer_id"],
        unique=False,
    )
    op.create_index(
        "ix_suggestion_decision_visit", "suggestion_decision", ["visit_id", "id"], unique=False
    )


def downgrade() -> None:
    """Take the change back; what was chosen by a model keeps its place and loses why."""
    op.drop_table("policy_model")
    for table in LOG:
        op.execute(f"CREATE TABLE {table}_whole (LIKE {table} INCLUDING DEFAULTS)")
        op.execute(f"INSERT INTO {table}_whole SELECT * FROM {table}")
        op.drop_table(table)
        op.rename_table(f"{table}_whole", table)
    for table, columns in (
        ("suggestion_decision", ("model_version", "seed", "group", "mode", "as_of", "shadow")),
        (
            "suggestion",
            ("p_accept", "value_fen", "context", "lever", "propensity", "features"),
        ),
    ):
        for column in columns:
            op.drop_column(table, column)
    _tighten()
    for table in LOG:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
    for table, column, target in (
        ("suggestion", "decision_id", "suggestion_decision"),
        ("suggestion_answer", "suggestion_id", "suggestion"),
        ("sale_item", "suggestion_id", "suggestion"),
    ):
        op.create_foreign_key(op.f(f"fk_{table}_{column}"), table, target, [column], ["id"])
