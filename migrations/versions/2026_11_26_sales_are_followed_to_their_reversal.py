"""Sales are followed to their reversal, and those of before have the steps their columns tell of.

Revision: 0051, after 0050
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0051"
down_revision: str | None = "0050"
branch_labels: str | None = None
depends_on: str | None = None

# What a step says that was not written down when it happened.
EARLIER = """jsonb_build_object('from', 'columns')"""
# When a sale ended that was refused or cancelled was never noted: not before this moment.
LAST_KNOWN = """coalesce(
    (SELECT o.remote_state_at FROM order_sync o WHERE o.sale_id = s.id),
    s.acknowledged_at, s.sent_at, s.confirmed_at, s.made_at)"""
STEPS = f"""
INSERT INTO sale_event (id, sale_id, step, at, device_at, facts)
SELECT gen_random_uuid(), s.id, told.step, told.at, told.device_at, told.facts
  FROM sale s
 CROSS JOIN LATERAL (VALUES
    ('put_together', s.made_at, s.device_at,
        jsonb_build_object('visit_id', s.visit_id, 'work_order_id', s.work_order_id,
            'suggestion_ids', coalesce((SELECT jsonb_agg(i.suggestion_id) FROM sale_item i
                WHERE i.sale_id = s.id AND i.suggestion_id IS NOT NULL), '[]')) || {EARLIER}),
    ('consented', s.confirmed_at, (s.consent_evidence ->> 'given_at')::timestamptz,
        jsonb_build_object('kind', s.consent_kind) || {EARLIER}),
    ('confirmed', s.confirmed_at, NULL, {EARLIER}),
    ('sent', CASE WHEN s.acknowledged_at IS NULL OR s.sent_at < s.acknowledged_at
                  THEN s.sent_at END, NULL, {EARLIER}),
    ('acknowledged', s.acknowledged_at, NULL, {EARLIER}),
    ('completed', s.completed_at, NULL, {EARLIER}),
    (s.state, CASE WHEN s.state IN ('rejected', 'cancelled', 'cancelling') THEN {LAST_KNOWN} END,
        NULL, {EARLIER} || jsonb_build_object('earliest', true)),
    ('reversed', s.reversed_at, NULL, jsonb_build_object('earliest', true, 'reason',
        CASE s.state WHEN 'rejected' THEN 'order_rejected' ELSE 'order_cancelled' END) || {EARLIER})
 ) AS told (step, at, device_at, facts)
 WHERE told.at IS NOT NULL
   AND NOT EXISTS (SELECT FROM sale_event e WHERE e.sale_id = s.id AND e.step = told.step)
"""


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET lock_timeout = '3s'")
    op.add_column("sale", sa.Column("reversed_at", sa.TIMESTAMP(timezone=True), nullable=True))
    op.alter_column("sale_event", "created_at", server_default=sa.text("clock_timestamp()"))
    op.execute(
        f"UPDATE sale s SET reversed_at = {LAST_KNOWN}"
        " WHERE s.state IN ('rejected', 'cancelled') AND s.acknowledged_at IS NOT NULL"
    )
    op.execute(STEPS)
    op.create_index(
        "ix_sale_event_new",
        "sale_event",
        ["created_at", "id"],
        postgresql_where=sa.text("step IN ('acknowledged', 'reversed')"),
    )
    op.create_index(
        "ix_sale_event_install",
        "sale_event",
        [sa.text("(facts ->> 'work_order_id')")],
        postgresql_where=sa.text("step = 'install_ordered'"),
    )
    op.create_index(
        "uq_sale_event_reversed",
        "sale_event",
        ["sale_id"],
        unique=True,
        postgresql_where=sa.text("step = 'reversed'"),
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_index("uq_sale_event_reversed", "sale_event")
    op.drop_index("ix_sale_event_install", "sale_event")
    op.drop_index("ix_sale_event_new", "sale_event")
    op.alter_column("sale_event", "created_at", server_default=sa.text("now()"))
    op.drop_column("sale", "reversed_at")
