"""What a process remembers of confirmed outages for a few seconds, so that intake can ask it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import database_of
from app.core.lately import lately, remembered
from app.outages.queries.places import BEHIND, key_of
from app.outages.rules import Place, PlaceKind, compound_key

# Until a process has heard of an outage that is confirmed, it places new reports, and the next look
# finds them.
_HELD_AS = "outages.open"


class Behind(NamedTuple):
    """A customer whose line comes from a failed place: the numbers of the services there, and
    whether they have no other address."""

    numbers: frozenset[str]
    only: bool


class Open(NamedTuple):
    """A confirmed outage as intake needs it; `behind` are its customers, none for a grid's."""

    id: UUID
    version: int
    place: Place
    name: str
    expected_end: datetime | None
    district_path: str
    behind: Mapping[UUID, Behind]

    def has(
        self,
        *,
        grid_id: UUID | None,
        district_path: str,
        locality: str | None,
        customer_id: UUID | None,
        service_number: str | None,
    ) -> bool:
        """Tell whether a new report lies in the failed place."""
        kind, key = self.place
        if kind is PlaceKind.GRID:
            return grid_id is not None and str(grid_id) == key
        known = self.behind.get(customer_id) if customer_id is not None else None
        if known is not None and (
            service_number in known.numbers or (service_number is None and known.only)
        ):
            return True
        return (
            kind is PlaceKind.COMPOUND
            and customer_id is None
            and locality is not None
            and compound_key(district_path, locality) == key
        )


_OPEN = text(
    """
    SELECT o.id, o.version, o.place_kind, o.place_key, o.name, o.expected_end,
        substring(u.path FROM '^(?:[^.]+[.]){1,3}') AS district_path
    FROM outage o JOIN org_unit u ON u.id = o.org_unit_id
    WHERE o.ended_at IS NULL AND o.state = 'confirmed'
    ORDER BY array_position(ARRAY['olt_port', 'olt', 'compound', 'grid'], o.place_kind), o.id
    """
)
_BEHIND = """
    SELECT a.customer_id, array_remove(array_agg(s.service_number), NULL),
        (SELECT count(*) = count(DISTINCT a.id) FROM service_address any_of_theirs
         WHERE any_of_theirs.customer_id = a.customer_id) AS only
    FROM service_address a
    JOIN customer c ON c.id = a.customer_id
    JOIN org_unit u ON u.id = c.org_unit_id
    LEFT JOIN subscription s ON s.service_address_id = a.id
    WHERE {behind}
    GROUP BY a.customer_id
"""


async def open_now(session: AsyncSession) -> Sequence[Open]:
    """Return the confirmed outages, the narrowest first, read at most a few seconds ago by this
    process; who is behind each is read once."""
    return await lately(session, _HELD_AS, _open)


async def _open(session: AsyncSession) -> Sequence[Open]:
    before: Sequence[Open] = remembered(session, _HELD_AS) or ()
    known = {one.id: one for one in before}
    found = []
    for row in (await session.execute(_OPEN)).all():
        was = known.get(row.id)
        place = Place(PlaceKind(row.place_kind), row.place_key)
        if was is not None and was.place == place:
            behind = was.behind
        else:
            behind = await _behind(session, place)
        found.append(
            Open(row.id, row.version, place, row.name, row.expected_end, row.district_path, behind)
        )
    return found


def forget_open(session: AsyncSession) -> None:
    """Let this process read anew what is open, since it has changed it itself."""
    database_of(session).cache.pop(_HELD_AS, None)


async def _behind(session: AsyncSession, place: Place) -> dict[UUID, Behind]:
    if place.kind is PlaceKind.GRID:
        return {}
    statement = text(_BEHIND.format(behind=BEHIND[place.kind]))
    rows = await session.execute(statement, key_of(place))
    return {row[0]: Behind(frozenset(row[1]), row[2]) for row in rows}
