"""What is to be forgotten is found by when we heard of it, and what phones sent by whom it is about.

Ids that phones make say nothing of how old a row is. An index by `created_at` has what is still to
be forgotten and nothing else.

Revision: 0104, after 0103
"""

from alembic import op

revision: str = "0104"
down_revision: str | None = "0103"
branch_labels: str | None = None
depends_on: str | None = None

# An action is about its order, or else about the first of these that it names. What a phone wrote
# there may be of any length, and an index takes none that is long.
ABOUT = """
CREATE OR REPLACE FUNCTION sync_about(work_order_id uuid, payload jsonb) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT hashtextextended(lower(coalesce(
        work_order_id::text,
        payload ->> 'customer_id',
        payload ->> 'visit_id',
        payload ->> 'sale_id',
        payload ->> 'case_id',
        payload ->> 'suggestion_id',
        payload ->> 'terms_id',
        payload ->> 'recovery_id',
        payload ->> 'escalation_id',
        payload ->> 'reservation_id',
        payload ->> 'upload_id',
        -- A picture that is announced names its order in base64.
        substring(payload ->> 'metadata' FROM 'work_order_id ([^ ,]+)')
    )), 0)
$$
"""
SWEPT = "(created_at, id)"
INDEXES = [
    ("ix_contact_consent_swept", f"contact_consent {SWEPT}"),
    ("ix_suggestion_answer_swept", f"suggestion_answer {SWEPT}"),
    ("ix_competitor_note_swept", f"competitor_note {SWEPT}"),
    ("ix_interaction_swept", f"interaction {SWEPT} WHERE external_id IS NULL"),
    (
        "ix_sync_action_swept",
        f"sync_action {SWEPT} WHERE payload <> '{{}}' OR facts IS NOT NULL",
    ),
    (
        "ix_former_customer_swept",
        f"former_customer {SWEPT} WHERE reason <> 'unknown'"
        " OR num_nonnulls(competitor, note, tier, value_12m_fen) > 0",
    ),
    ("ix_sales_lead_swept", f"sales_lead {SWEPT} WHERE num_nonnulls(note, ended_note) > 0"),
    ("ix_retention_case_swept", f"retention_case {SWEPT} WHERE num_nonnulls(competitor, note) > 0"),
    ("ix_special_terms_swept", f"special_terms {SWEPT} WHERE reason <> ''"),
    ("ix_terms_verdict_swept", f"terms_verdict {SWEPT} WHERE reason <> ''"),
    ("ix_visit_swept", f"visit {SWEPT} WHERE check_in_point IS NOT NULL"),
    (
        "ix_work_order_swept",
        f"work_order {SWEPT} WHERE num_nonnulls(contact_name, contact_phone) > 0",
    ),
    ("ix_prospect_swept", f"prospect {SWEPT} WHERE address <> ''"),
    (
        "ix_consent_request_swept",
        f"consent_request {SWEPT} WHERE num_nonnulls(recipient, asked_text, reply_text) > 0",
    ),
    ("ix_real_name_check_swept", f"real_name_check {SWEPT} WHERE id_hash IS NOT NULL"),
    ("ix_order_callback_swept", f"order_callback {SWEPT} WHERE body <> '{{}}'"),
    ("ix_sync_action_about", "sync_action (sync_about(work_order_id, payload))"),
    ("ix_message_about", "message (about) WHERE about IS NOT NULL"),
]


def upgrade() -> None:
    """Apply the change."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute(ABOUT)
    # These are large, and nobody who works may wait until all of them are read. It waits for those
    # that go on instead, some of which take long; what it leaves when it is stopped is dropped by
    # the next try.
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        for name, on in INDEXES:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {on}")
        op.execute("SET lock_timeout = '5s'")


def downgrade() -> None:
    """Take the change back."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    for name, _on in reversed(INDEXES):
        op.execute(f"DROP INDEX {name}")
    op.execute("DROP FUNCTION sync_about(uuid, jsonb)")
