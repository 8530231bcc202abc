"""What else is on a phone: the van and what changes hands, grids, days, the shift, and what phones
did."""

# ruff: noqa: S608 - every statement is text of our own
from collections.abc import Collection
from datetime import date
from uuid import UUID

from app.sync.queries.rows.whose import SHOWN, Table, Whose, mine, of, table


def terminals(whose: Whose, ids: Collection[UUID] | None = None) -> Table:
    """Read the terminals in the technician's van, and those recovered and not handed in."""
    return table(
        "t.id; t.serial_number; t.kind; t.model; t.pool; t.placed_at",
        # A part each, so that each has its index.
        f"""
        FROM (
            SELECT * FROM terminal
            WHERE technician_id = %(technician_id)s AND pool = 'van' {of("id", ids)}
            UNION ALL
            SELECT * FROM terminal
            WHERE technician_id = %(technician_id)s AND pool = 'recovered' {of("id", ids)}
        ) AS t
        """,
        whose,
        ids,
    )


def handovers(whose: Whose, ids: Collection[UUID] | None = None) -> Table:
    """Read what the technician gives and what they are given, as long as it is open and still in
    the giver's van, like `terminals.queries.handovers`."""
    return table(
        "h.id; h.from_technician_id = %(technician_id)s AS own; t.serial_number; t.kind; t.model;"
        "h.from_technician_id; f.name AS from_technician; h.to_technician_id;"
        "r.name AS to_technician; h.device_at; h.offered_at",
        f"""
        FROM (
            SELECT h.* FROM terminal_handover AS h
            WHERE h.to_technician_id = %(technician_id)s AND h.state = 'offered' {of("h.id", ids)}
            UNION ALL
            SELECT h.* FROM terminal AS van
            JOIN terminal_handover AS h ON h.terminal_id = van.id AND h.state = 'offered'
            WHERE van.technician_id = %(technician_id)s AND van.pool = 'van' {of("h.id", ids)}
        ) AS h
        JOIN terminal AS t ON t.id = h.terminal_id
            AND t.pool = 'van' AND t.technician_id = h.from_technician_id
        JOIN technician AS f ON f.id = h.from_technician_id
        JOIN technician AS r ON r.id = h.to_technician_id
        """,
        whose,
        ids,
    )


def shifts(whose: Whose, ids: Collection[UUID] | None = None) -> Table:
    """Read the shift that the technician is on, by whichever phone it was begun."""
    return table(
        "d.id; d.began_at; d.consent_from IS NOT NULL AS shares_position",
        f"FROM duty AS d WHERE d.technician_id = %(technician_id)s AND d.ended_at IS NULL"
        f" {of('d.id', ids)}",
        whose,
        ids,
    )


def grids(whose: Whose, ids: Collection[UUID] | None = None) -> Table:
    """Read the grids that the technician looks after now or will; `boundary` is GeoJSON in text, in
    WGS-84, with every bend under five metres left out."""
    return table(
        "g.id; g.code; g.name; g.kind; m.membership; m.valid_from; m.valid_to;"
        "ST_AsGeoJSON(ST_Multi(ST_SimplifyPreserveTopology(b.boundary, 0.00005)), 6) AS boundary",
        f"""
        FROM (
            SELECT DISTINCT ON (grid_id) grid_id, kind AS membership, valid_from, valid_to
            FROM grid_membership
            WHERE technician_id = %(technician_id)s
                AND (valid_to IS NULL OR valid_to > greatest(%(today)s, valid_from))
                {of("grid_id", ids)}
            ORDER BY grid_id, valid_from <= %(today)s DESC, kind = 'primary' DESC, valid_from, id
        ) AS m
        JOIN grid AS g ON g.id = m.grid_id AND g.retired_at IS NULL
        LEFT JOIN grid_boundary AS b ON b.grid_id = g.id AND b.valid_to IS NULL
        """,
        whose,
        ids,
    )


def days(whose: Whose, wanted: Collection[date] | None = None) -> Table:
    """Read the routes of the technician's days from today on: their orders' ids, in order."""
    return table(
        "d.day AS id; d.day; array_to_json(d.route)::text AS route",
        f"FROM technician_day AS d WHERE d.technician_id = %(technician_id)s"
        f" AND d.day >= %(today)s AND d.route <> '{{}}' {of('d.day', wanted)}",
        whose,
        wanted,
    )


def actions(whose: Whose, ids: Collection[UUID] | None = None) -> Table:
    """Read what the technician's phones did lately and what became of it; and what others did too
    late for orders that are on the technician's phone by now.

    `payload` is what was sent, of what others did and for as long as the order's customer is shown
    to the technician (`visits.rules.sees_contact`); `customer_id` is that customer, whom it may
    tell of, null without a payload.
    """
    return table(
        "a.id; a.type; a.work_order_id; a.technician_id; a.own; t.name AS technician_name;"
        "a.device_at; a.received_at; a.verdict; a.code; a.words_zh; a.words_en;"
        "a.facts::text AS facts; a.judgement; a.moved_to;"
        # Who else was asked for a protected customer is not whoever has the order's to know.
        "CASE WHEN a.shown THEN (a.payload - 'second_contact')::text END AS payload;"
        "CASE WHEN a.shown THEN a.customer_id END AS customer_id",
        f"""
        FROM (
            SELECT a.*, true AS own, false AS shown, NULL::uuid AS customer_id
            FROM sync_action AS a
            WHERE a.technician_id = %(technician_id)s AND a.received_at > %(actions_since)s
                {of("a.id", ids)}
            UNION ALL
            SELECT a.*, false,
                (mine.assist_id IS NULL OR mine.assists_since IS NOT NULL) AND (
                    o.state IN {SHOWN}
                    OR o.state IN ('completed', 'archived') AND o.completed_at >= %(shown_since)s
                ),
                o.customer_id
            FROM ({mine()}) AS mine
            JOIN work_order AS o ON o.id = mine.id
            -- Not joined, or those of all orders there ever were would be looked through.
            CROSS JOIN LATERAL (
                SELECT * FROM sync_action
                WHERE work_order_id = mine.id AND verdict = 'conflict' AND judgement IS NOT NULL
                OFFSET 0
            ) AS a
            WHERE a.technician_id <> %(technician_id)s AND a.received_at > %(actions_since)s
                {of("a.id", ids)}
        ) AS a JOIN technician AS t ON t.id = a.technician_id
        """,
        whose,
        ids,
    )
