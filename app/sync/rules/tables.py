"""The tables of a phone, and since which version of its schema it has each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID


class Kind(StrEnum):
    """What may have changed for a technician; ids are those of the table's rows but where said."""

    # The id of an order that came to somebody or left them: all that hangs on it is looked at.
    HOLDING = "holding"
    WORK_ORDER = "work_order"
    VISIT = "visit"
    CUSTOMER = "customer"
    # The id of the order for which something is suggested.
    SUGGESTION = "suggestion"
    PHOTO = "photo"
    SALE = "sale"
    TERMINAL = "terminal"
    HANDOVER = "handover"
    SHIFT = "shift"
    GRID = "grid"
    OFFERING = "offering"
    # The day as an id: see `day_id`.
    DAY = "day"
    ACTION = "action"
    # That an account was closed or opened; no table tells it, but the next poll is looked at.
    ACCOUNT = "account"
    # The id of an org unit whose phones go by another number from now on; no table tells it, but
    # each pull does.
    SETTING = "setting"
    # The id of a phone that is to be emptied: no table, but a pull that says so.
    DEVICE = "device"


# What concerns everybody is kept under an id that nobody has.
EVERYBODY = UUID(int=0)

# A phone's version of its tables; older ones are served two versions back.
SCHEMA_VERSION = 4
OLDEST_SCHEMA = max(1, SCHEMA_VERSION - 2)


@dataclass(frozen=True)
class Table:
    """A table of a phone: since which version it is there, and since which its later columns."""

    since: int = 1
    columns_since: Mapping[str, int] = field(default_factory=dict)


TABLES: Mapping[str, Table] = {
    "work_orders": Table(columns_since={"visible_until": 2, "nothing_because": 4}),
    "visits": Table(),
    "customers": Table(),
    "suggestions": Table(
        columns_since={
            **dict.fromkeys(("valid_until", "show_when", "on_site", "reasons", "talk_track"), 2),
            **dict.fromkeys(("install_now", "install_code", "install_as_of"), 3),
            "left_to": 4,
        }
    ),
    "offerings": Table(),
    "grids": Table(),
    "terminals": Table(),
    "actions": Table(),
    "photos": Table(),
    "sales": Table(),
    "days": Table(),
    "handovers": Table(since=2),
    "shifts": Table(since=2),
}


# What may have changed of which table; no phone changes rows of days.
KIND_OF: Mapping[str, Kind] = {
    "work_orders": Kind.WORK_ORDER,
    "visits": Kind.VISIT,
    "customers": Kind.CUSTOMER,
    "photos": Kind.PHOTO,
    "sales": Kind.SALE,
    "terminals": Kind.TERMINAL,
    "grids": Kind.GRID,
    "offerings": Kind.OFFERING,
    "suggestions": Kind.SUGGESTION,
    "actions": Kind.ACTION,
    "handovers": Kind.HANDOVER,
    "shifts": Kind.SHIFT,
}
TABLE_OF: Mapping[Kind, str] = {
    **{kind: name for name, kind in KIND_OF.items()},
    Kind.DAY: "days",
}


@dataclass(frozen=True)
class Migration:
    """What an app's new version has added since the phone last pulled."""

    tables: frozenset[str] = frozenset()
    columns: frozenset[str] = frozenset()

    @property
    def afresh(self) -> frozenset[str]:
        """The tables that are to be sent in full."""
        return self.tables | self.columns


NO_MIGRATION = Migration()


def tables_for(
    schema_version: int, tables: Mapping[str, Table] = TABLES
) -> Mapping[str, frozenset[str]]:
    """Name the tables a version knows, each with the columns that it does not know."""
    return {
        name: frozenset(
            column for column, since in table.columns_since.items() if since > schema_version
        )
        for name, table in tables.items()
        if table.since <= schema_version
    }
