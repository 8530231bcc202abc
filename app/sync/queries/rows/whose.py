"""Whose rows are read: what the statements of all tables share."""

# ruff: noqa: S608 - every statement is text of our own
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from app.core.db import Ask

HELD = "('assigned', 'acknowledged', 'en_route', 'on_site', 'suspended')"
SHOWN = "('acknowledged', 'en_route', 'on_site', 'suspended')"


@dataclass(frozen=True)
class Whose:
    """Whose rows are read, and how far back: moments are aware, days are the org unit's.

    `shown_since` is until when a customer of a completed order was met at least to be shown,
    `closed_since` the same for the order itself, which was planned on `closed_day` or later.
    """

    technician_id: UUID
    now: datetime
    today: date
    shown_since: datetime
    closed_since: datetime
    closed_day: date
    sales_since: datetime
    actions_since: datetime

    def given(self, ids: Collection[Any] | None) -> dict[str, Any]:
        """Give what the statements below ask for."""
        return {**vars(self), "ids": list(ids) if ids is not None else None}


def of(column: str, ids: object) -> str:
    """Write the condition that a column is among some ids, if there are any to be among."""
    return f"AND {column} = ANY(%(ids)s)" if ids is not None else ""


def mine(column: str = "", ids: object = None) -> str:
    """The orders on a technician's phone: what they hold, what they have closed lately, and what
    they help with. A part each, so that each has its index."""
    only = of(column, ids) if column else ""
    return f"""
        SELECT o.id, NULL::uuid AS assist_id, NULL::timestamptz AS assists_since
        FROM work_order AS o
        WHERE o.holder_id = %(technician_id)s AND o.state IN {HELD} {only}
        UNION ALL
        SELECT o.id, NULL, NULL FROM work_order AS o
        WHERE o.holder_id = %(technician_id)s AND o.planned_day >= %(closed_day)s
            AND o.state IN ('completed', 'archived') AND o.completed_at > %(closed_since)s {only}
        UNION ALL
        SELECT o.id, a.id, a.joined_at
        FROM work_assist AS a JOIN work_order AS o ON o.id = a.work_order_id
        WHERE a.technician_id = %(technician_id)s AND a.ended_at IS NULL
            AND o.state IN {HELD} AND o.holder_id <> %(technician_id)s {only}
    """


# All of them, found once: it is not known how many rows they are looked up for.
ON_THE_PHONE = f"""
    WITH mine AS MATERIALIZED (SELECT mine.id FROM ({mine()}) AS mine) SELECT id FROM mine
"""


class Table(NamedTuple):
    """What is to be read of a table, and by which names its columns come."""

    ask: Ask
    names: Sequence[str]

    def read(self, found: Iterable[tuple[Any, ...]]) -> list[dict[str, Any]]:
        """Give the rows that were found their columns' names."""
        return [dict(zip(self.names, row, strict=True)) for row in found]


def table(columns: str, source: str, whose: Whose, ids: Collection[Any] | None) -> Table:
    """Ask for rows; `columns` are parted by semicolons."""
    ask = Ask(f"SELECT {columns.replace(';', ',')} {source}", whose.given(ids))
    return Table(ask, _names(columns))


@cache
def _names(columns: str) -> Sequence[str]:
    return [one.split(" AS ")[-1].split(".")[-1].strip() for one in columns.split(";")]
