"""What a phone's stream says: that something has changed, by tables and ids alone."""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from app.sync.rules.tables import TABLE_OF, Kind

# So many ids an event names; where more has changed it names tables, and the pull tells the rest.
MOST_NAMED = 50


class StreamEvent(StrEnum):
    """What an event of the stream is called."""

    RESET = "reset"
    CHANGED = "changed"
    WIPE = "wipe"
    END = "end"


class StreamEnd(StrEnum):
    """Why a stream ends that the server ends."""

    EXPIRED = "expired"
    SIGNED_OUT = "signed_out"
    REPLACED = "replaced"
    SERVER_STOPS = "server_stops"


class ChangedTables(NamedTuple):
    """What an event tells: names of tables, and ids of rows where there are few."""

    tables: list[str]
    ids: dict[str, list[str]]


# What hangs on an order that came or went, besides the order.
_WITH_AN_ORDER = ("suggestions", "visits", "photos")


def told_of(lines: Iterable[tuple[Kind, UUID, int]], *, cut: bool) -> ChangedTables:
    """Say in which tables something may have changed, and which rows, by lines of the feed.

    `cut` says that there are more lines than were read. Days have no ids of their own and are named
    as a table.
    """
    found: dict[str, set[str]] = {}
    for kind, row_id, _ in lines:
        if kind is Kind.HOLDING:
            found.setdefault("work_orders", set()).add(str(row_id))
            for name in _WITH_AN_ORDER:
                found.setdefault(name, set())
        elif kind in TABLE_OF:
            ids = found.setdefault(TABLE_OF[kind], set())
            if kind is not Kind.DAY:
                ids.add(str(row_id))
            if kind is Kind.SUGGESTION:
                # Its id is the order's, whose own row says where nothing is offered, and why.
                found.setdefault("work_orders", set()).add(str(row_id))
    many = cut or sum(map(len, found.values())) > MOST_NAMED
    named = {} if many else {name: sorted(ids) for name, ids in sorted(found.items()) if ids}
    return ChangedTables(sorted(found), named)
