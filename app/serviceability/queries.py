"""Reads and writes of what is known of lines: one statement for however many addresses."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import driver_connection, fetched
from app.serviceability.rules import Recorded, Remembered, Said


class Address(NamedTuple):
    """An address beside what was last said of it, if anything was."""

    recorded: Recorded
    remembered: Remembered | None


_ADDRESSES = """
    SELECT a.id, a.code, a.port_free, a.max_speed_mbps, a.olt_port, a.checked_at,
        s.port_free, s.max_speed_mbps, s.olt_port, s.reason, s.asked_at, s.expires_at
    FROM service_address a
    LEFT JOIN serviceability_answer s ON s.service_address_id = a.id
    WHERE a.id = ANY(%(ids)s)
"""


async def addresses(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, Address]:
    """Read addresses by id; those that are not there are left out."""
    rows = await fetched(session, _ADDRESSES, {"ids": list(ids)})
    found = {}
    for row in rows:
        asked_at, expires_at = row[10:]
        remembered = asked_at and Remembered(Said(*row[6:10]), asked_at, expires_at)
        found[row[0]] = Address(Recorded(*row[:6]), remembered)
    return found


# Of two who asked at the same time the later answer stays.
_KEEP = """
    INSERT INTO serviceability_answer AS kept
        (service_address_id, asked_at, expires_at, port_free, max_speed_mbps, olt_port, reason)
    SELECT said.* FROM unnest(
        %(ids)s::uuid[], %(asked)s::timestamptz[], %(expires)s::timestamptz[], %(ports)s::boolean[],
        %(speeds)s::bigint[], %(olts)s::text[], %(reasons)s::text[]
    ) AS said (id, asked_at, expires_at, port_free, max_speed_mbps, olt_port, reason)
    JOIN service_address a ON a.id = said.id
    ORDER BY said.id
    ON CONFLICT (service_address_id) DO UPDATE SET
        asked_at = excluded.asked_at, expires_at = excluded.expires_at,
        port_free = excluded.port_free, max_speed_mbps = excluded.max_speed_mbps,
        olt_port = excluded.olt_port, reason = excluded.reason
    WHERE kept.asked_at <= excluded.asked_at
"""


async def keep(
    tx: AsyncSession, said: Mapping[UUID, Said], *, now: datetime, until: Mapping[UUID, datetime]
) -> None:
    """Write down what was said just now of some addresses."""
    if not said:
        return
    ids = sorted(said)
    driver = await driver_connection(tx)
    await driver.execute(
        _KEEP,
        {
            "ids": ids,
            "asked": [now] * len(ids),
            "expires": [until[one] for one in ids],
            "ports": [said[one].port_free for one in ids],
            "speeds": [said[one].max_speed_mbps for one in ids],
            "olts": [said[one].olt_port for one in ids],
            "reasons": [said[one].reason for one in ids],
        },
    )
