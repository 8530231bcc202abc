"""What must hold at the end: phones equal fresh ones, and everything was done exactly once."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import psycopg

from app.core.db import libpq_url

Rows = Mapping[str, list[dict[str, Any]]]

# What came of applied actions, by technician. Where a phone makes the id of a thing, each action
# has led to one. A step of an order that was taken on another phone of the same technician,
# with nothing in between, is answered like that one and not taken again.
EVENTS = "SELECT technician_id::text, count(*) FROM work_order_event WHERE step = '{}' GROUP BY 1"
STEPS = {
    "visits_acknowledge": EVENTS.format("acknowledge"),
    "visits_decline": EVENTS.format("decline"),
    "visits_transfer": EVENTS.format("transfer"),
    "visits_check_in": EVENTS.format("check_in"),
    "visits_suspend": EVENTS.format("suspend"),
    "visits_resume": EVENTS.format("resume"),
    "visits_complete": EVENTS.format("complete"),
    "sales_confirm": """
        SELECT technician_id::text, count(*) FROM sale WHERE confirmed_at IS NOT NULL GROUP BY 1
    """,
    "sales_cancel": """
        SELECT technician_id::text, count(*) FROM sale WHERE state = 'cancelled' GROUP BY 1
    """,
}
THINGS = {
    "visits_set_out": "SELECT technician_id::text, count(*) FROM visit GROUP BY 1",
    "sales_put_together": "SELECT technician_id::text, count(*) FROM sale GROUP BY 1",
    "suggestions_answer": "SELECT technician_id::text, count(*) FROM suggestion_answer GROUP BY 1",
    "evidence_upload_create": "SELECT technician_id::text, count(*) FROM evidence GROUP BY 1",
    "visits_terminals_scan": """
        SELECT by_technician_id::text, count(*) FROM terminal_move
        WHERE by_technician_id IS NOT NULL GROUP BY 1
    """,
}
# How many actions of a type were applied, and to how many orders, by technician.
_APPLIED = """
    SELECT technician_id::text, count(*), count(DISTINCT work_order_id) FROM sync_action
    WHERE verdict = 'applied' AND type = %(type)s GROUP BY 1
"""

# A note is the one that was taken last by the phone's clock, whenever it came. What was set before
# somebody else set the same is refused, so that of switches what came last was set last.
# Notes are kept by the phones' clocks. Of what is said of a customer the last word is whose push
# had its turn last, which need not be the one that came last: of those under way at once, each may
# be. A push takes up to a third of a second, in which two minutes of the day pass.
_LAST = """
    SELECT about, array_agg(value) FROM (
        SELECT payload ->> %(about)s AS about, payload ->> %(value)s AS value, moment.at,
            max(moment.at) OVER (PARTITION BY payload ->> %(about)s)
                - CASE WHEN type = 'visits_keep_progress' THEN interval '0' ELSE '2 minutes' END
                AS since
        FROM sync_action CROSS JOIN LATERAL (
            SELECT CASE WHEN type = 'visits_keep_progress' THEN device_at ELSE received_at END AS at
        ) AS moment
        WHERE type = %(type)s AND verdict = 'applied'
    ) AS written WHERE at >= since GROUP BY about
"""
OWN_WRITES = (
    ("visits_keep_progress", "visit_id", "note", "SELECT id::text, note FROM visit"),
    (
        "customers_personal_offers",
        "customer_id",
        "on",
        "SELECT id::text, personal_offers::text FROM customer",
    ),
    (
        "customers_do_not_disturb",
        "customer_id",
        "on",
        "SELECT id::text, do_not_disturb::text FROM customer",
    ),
)


def equal(phone: str, kept: Rows, fresh: Rows) -> list[str]:
    """Say where a phone's tables differ from those of one that has begun anew."""
    found = []
    for table, rows in fresh.items():
        wanted = {row["id"]: row for row in rows}
        there = {row["id"]: row for row in kept[table]}
        lacks, left = wanted.keys() - there.keys(), there.keys() - wanted.keys()
        found += [f"{phone} lacks {table} {row_id}" for row_id in sorted(lacks)]
        found += [f"{phone} still has {table} {row_id}: {there[row_id]}" for row_id in sorted(left)]
        found += [
            f"{phone} has of {table} {row_id} {name} {there[row_id][name]!r} and not {value!r}"
            for row_id in sorted(wanted.keys() & there.keys())
            for name, value in wanted[row_id].items()
            if there[row_id][name] != value
        ]
    return found


class Ledger:
    """The database at the end, asked past the API."""

    def __init__(self, url: str, with_two_phones: Iterable[str]) -> None:
        self._with_two_phones = frozenset(with_two_phones)
        self._connection = psycopg.connect(libpq_url(url), autocommit=True)

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()

    def _all(self, statement: str, given: Mapping[str, Any] | None = None) -> list[Any]:
        return self._connection.execute(statement, given).fetchall()

    def verdicts(self) -> Counter[str]:
        """Count actions by their verdict."""
        said = "SELECT verdict, count(*) FROM sync_action GROUP BY verdict"
        return Counter(dict(self._all(said)))

    def types(self) -> Counter[str]:
        """Count what was applied by its type."""
        said = "SELECT type, count(*) FROM sync_action WHERE verdict = 'applied' GROUP BY type"
        return Counter(dict(self._all(said)))

    def codes(self) -> Counter[str]:
        """Count refusals by type and code."""
        said = """
            SELECT type || ' ' || code, count(*) FROM sync_action
            WHERE code IS NOT NULL GROUP BY 1
        """
        return Counter(dict(self._all(said)))

    def once(self, made: Mapping[str, str], undone: set[str]) -> list[str]:
        """Check that each action that was made on a phone is there, and nothing else is; one that
        was taken back before it was known to have come may be there."""
        there = {row[0] for row in self._all("SELECT id::text FROM sync_action")}
        found = [
            f"action {one}, {made[one]}, never came" for one in sorted(made.keys() - undone - there)
        ]
        found += [f"action {one} was made by nobody" for one in sorted(there - made.keys())]
        for kind, statement in {**STEPS, **THINGS}.items():
            effects = dict(self._all(statement))
            for whose, applied, orders in self._all(_APPLIED, {"type": kind}):
                least = orders if kind in STEPS and whose in self._with_two_phones else applied
                if not least <= (came := effects.pop(whose, 0)) <= applied:
                    found.append(f"{kind} of {whose}: {applied} applied, {came} effects")
            found += [f"{kind} of {whose}: nobody asked for {n}" for whose, n in effects.items()]
        for one in self._all("SELECT id::text FROM sync_action WHERE code = 'not-carried-out'"):
            found.append(f"action {one[0]} could not be carried out")
        return found

    def last_writes(self) -> list[str]:
        """Check that what was written last is what is kept."""
        found = []
        for kind, about, value, statement in OWN_WRITES:
            kept = dict(self._all(statement))
            given = {"type": kind, "about": about, "value": value}
            for row_id, written in self._all(_LAST, given):
                if kept[row_id] not in written:
                    found.append(f"{kind} of {row_id}: {kept[row_id]!r}, and {written} was last")
        return found

    def totals(self, phones: Iterable[Rows]) -> list[str]:
        """Check that sales add up to the same fen on phones and here: one phone a technician."""
        here = self.sold_fen()
        there = sum(
            item["monthly_price_fen"] * item["quantity"]
            for rows in phones
            for sale in rows["sales"]
            if sale["confirmed_at"]
            for item in json.loads(sale["items"])
        )
        return [] if here == there else [f"sales add up to {here} fen here, {there} on phones"]

    def sold_fen(self) -> int:
        """What was sold a month, in fen."""
        statement = """
            SELECT coalesce(sum(monthly_price_fen * quantity), 0)::bigint FROM sale_item
            JOIN sale ON sale.id = sale_id WHERE confirmed_at IS NOT NULL
        """
        return int(self._all(statement)[0][0])
