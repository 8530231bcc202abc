"""What is offered and sold: suggestions, offerings, sales."""

# ruff: noqa: S608 - every statement is text of our own
from collections.abc import Collection
from uuid import UUID

from app.sync.queries.rows.whose import Table, Whose, mine, of, table

# A decision's id is made by the server's own clock, as is the moment at which its order came to be
# there, by the database's: an order's own id may be another system's. So the months of the log
# before the oldest of some orders are not looked into; for a day the clocks may be apart.
_FIRST_ID = """
    (SELECT rpad(lpad(to_hex(
        (extract(epoch FROM min(created_at) - interval '1 day') * 1000)::bigint
    ), 12, '0'), 32, '0')::uuid FROM work_order WHERE id IN ({orders}))
"""


def _decisions(orders: str) -> str:
    """The technician's decisions for some orders: made in visits, and ahead of them."""
    first_id = _FIRST_ID.format(orders=orders)
    return f"""
        SELECT d.id, d.work_order_id, d.visit_id, d.at, d.valid_until, d.customer_id,
            d.held_back
        FROM suggestion_decision AS d
        WHERE d.technician_id = %(technician_id)s AND d.id >= {first_id} AND d.visit_id IN (
            SELECT v.id FROM visit AS v
            WHERE v.technician_id = %(technician_id)s AND v.work_order_id IN ({orders})
        )
        UNION ALL
        SELECT d.id, d.work_order_id, NULL, d.at, d.valid_until, d.customer_id,
            d.held_back
        FROM suggestion_decision AS d
        WHERE d.technician_id = %(technician_id)s AND d.id >= {first_id} AND d.visit_id IS NULL
            AND d.work_order_id IN ({orders})
    """


def _newest(order_ids: object) -> str:
    """The newest decision for each of the orders on the technician's phone: it alone counts."""
    return f"""
        WITH mine AS ({mine("o.id", order_ids)})
        SELECT DISTINCT ON (made.work_order_id) made.*
        FROM ({_decisions("SELECT mine.id FROM mine")}) AS made
        ORDER BY made.work_order_id, made.id DESC
    """


def suggestions(whose: Whose, order_ids: Collection[UUID] | None = None) -> Table:
    """Read what is to be offered in the visits of the orders on the phone, with the last answer,
    whether it could be installed when that was last asked, what makes it the account manager's, and
    in JSON the reasons and the version of the offering that was decided on."""
    return table(
        "s.id; d.id AS decision_id; d.work_order_id; d.visit_id; d.customer_id; s.offering_code;"
        "s.rank; s.coordination; d.at; d.valid_until; o.work_type; s.reasons::text AS reasons;"
        "p.offering; a.answer; a.pitched; a.id AS answer_id; i.install_now; i.install_code;"
        "i.install_as_of; s.left_to; l.tier; t.agreed",
        f"""
        FROM ({_newest(order_ids)}) AS d
        JOIN suggestion AS s ON s.decision_id = d.id AND s.rank IS NOT NULL AND s.id >= d.id
        JOIN work_order AS o ON o.id = d.work_order_id
        CROSS JOIN LATERAL (
            SELECT json_build_object(
                'name_zh', name_zh, 'name_en', name_en, 'business_type', business_type,
                'monthly_price_fen', monthly_price_fen, 'one_off_price_fen', one_off_price_fen,
                'contract_months', contract_months, 'speed_mbps', speed_mbps,
                'install_minutes', install_minutes, 'talk_track_zh', talk_track_zh,
                'talk_track_en', talk_track_en, 'levers', levers
            )::text AS offering FROM product_offering WHERE id = s.offering_id
        ) AS p
        LEFT JOIN LATERAL (
            SELECT id, answer, pitched FROM suggestion_answer
            WHERE suggestion_id = s.id ORDER BY at DESC, created_at DESC, id DESC LIMIT 1
        ) AS a ON true
        LEFT JOIN LATERAL (
            SELECT not_now ->> s.offering_code IS NULL AS install_now,
                not_now ->> s.offering_code AS install_code, as_of AS install_as_of
            FROM install_answer WHERE work_order_id = d.work_order_id AND decision_id = d.id
        ) AS i ON true
        LEFT JOIN customer_lifecycle AS l ON l.customer_id = d.customer_id
        CROSS JOIN LATERAL (
            SELECT EXISTS (
                SELECT FROM special_terms
                WHERE customer_id = d.customer_id AND offering_code = s.offering_code
                    AND state = 'approved' AND expires_at > %(now)s
            ) AS agreed
        ) AS t
        """,
        whose,
        order_ids,
    )


def nothing_to_offer(whose: Whose, order_ids: Collection[UUID] | None = None) -> Table:
    """Read of which orders on the phone nothing was decided to be offered: what held all back,
    when, until when that is valid, and in which visit, if it was not ahead of one."""
    return table(
        "d.work_order_id; d.visit_id; d.held_back; d.at; d.valid_until",
        f"FROM ({_newest(order_ids)}) AS d WHERE d.held_back IS NOT NULL",
        whose,
        order_ids,
    )


def suggested_before(whose: Whose, order_ids: Collection[UUID]) -> Table:
    """Read the ids of all that was ever to be offered by this technician for some orders."""
    return table(
        "s.id",
        f"""
        FROM ({_decisions("SELECT unnest(%(ids)s::uuid[])")}) AS d
        JOIN suggestion AS s ON s.decision_id = d.id AND s.rank IS NOT NULL AND s.id >= d.id
        """,
        whose,
        order_ids,
    )


def offerings(whose: Whose, ids: Collection[UUID] | None = None) -> Table:
    """Read the versions of offerings that are sold now or will be; money in fen."""
    return table(
        "p.id; p.code; p.valid_from; p.valid_to; p.name_zh; p.name_en; p.category;"
        "p.business_type; p.monthly_price_fen; p.one_off_price_fen; p.contract_months;"
        "p.speed_mbps; array_to_json(p.requires)::text AS requires;"
        "array_to_json(p.excludes)::text AS excludes; p.terminal_kind; p.skill;"
        "p.install_minutes; p.commission_fen; p.talk_track_zh; p.talk_track_en",
        f"FROM product_offering AS p"
        f" WHERE (p.valid_to IS NULL OR p.valid_to > %(today)s) {of('p.id', ids)}",
        whose,
        ids,
    )


def sales(whose: Whose, ids: Collection[UUID] | None = None) -> Table:
    """Read the technician's own sales of the last weeks, each with its items."""
    return table(
        "s.id; s.visit_id; s.work_order_id; s.state; s.made_at; s.consent_kind; s.confirmed_at;"
        "s.sent_at; s.acknowledged_at; s.completed_at; s.rejected_reason; s.note; i.items",
        f"""
        FROM sale AS s CROSS JOIN LATERAL (
            SELECT coalesce(json_agg(json_build_object(
                'offering_code', offering_code, 'quantity', quantity,
                'monthly_price_fen', monthly_price_fen, 'one_off_price_fen', one_off_price_fen,
                'commission_fen', commission_fen, 'suggestion_id', suggestion_id,
                'discount_percent', discount_percent, 'discount_months', discount_months,
                'returned', reversed_at IS NOT NULL OR s.reversed_at IS NOT NULL
            ) ORDER BY position, id), '[]')::text AS items
            FROM sale_item WHERE sale_id = s.id
        ) AS i
        WHERE s.technician_id = %(technician_id)s AND s.made_at > %(sales_since)s {of("s.id", ids)}
        """,
        whose,
        ids,
    )
