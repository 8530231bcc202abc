"""Reads of toolkits, and what of a customer decides which is theirs."""

from collections.abc import Collection
from datetime import date
from typing import NamedTuple
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import Database
from app.core.lately import lately, remembered
from app.lifecycle.rules import ChurnClass, Stage, Tier
from app.retention.models import RetentionToolkit
from app.retention.queries.leavers import RUNS
from app.retention.rules import LeaveReason
from app.retention.rules.toolkits import DatedToolkit, Subject, Toolkit

_HELD_AS = "retention.toolkits"

READ = TypeAdapter(Toolkit)
"""Reads and writes what a row's `content` holds."""


async def toolkits(session: AsyncSession) -> dict[UUID, DatedToolkit]:
    """Return all versions of all toolkits, read at most a few seconds ago by this process."""
    return await lately(session, _HELD_AS, _toolkits)


async def _toolkits(session: AsyncSession) -> dict[UUID, DatedToolkit]:
    before: dict[UUID, DatedToolkit] = remembered(session, _HELD_AS) or {}
    # A version is never rewritten, so only those that are new are read.
    new = select(RetentionToolkit).where(RetentionToolkit.id.not_in(before))
    return {**before, **{row.id: dated(row) for row in await session.scalars(new)}}


def dated(row: RetentionToolkit) -> DatedToolkit:
    """Read a stored version."""
    return DatedToolkit(
        row.id,
        row.code,
        row.version,
        row.org_path,
        row.valid_from,
        READ.validate_python(row.content),
    )


def forget(database: Database) -> None:
    """Let this process read again which toolkits there are, since it has made a new one."""
    database.cache.pop(_HELD_AS, None)


async def unknown_offerings(tx: AsyncSession, codes: Collection[str]) -> list[str]:
    """List which of these codes no version of the catalogue has."""
    found = await tx.scalars(_UNKNOWN, {"codes": list(codes)})
    return list(found)


_UNKNOWN = text(
    """
    SELECT code FROM unnest(CAST(:codes AS text[])) AS given (code)
    WHERE NOT EXISTS (SELECT FROM product_offering o WHERE o.code = given.code)
    ORDER BY code
    """
)


class Standing(NamedTuple):
    """A customer as far as keeping them goes; days are local, value in fen over twelve months."""

    customer_id: UUID
    org_unit_id: UUID
    do_not_disturb: bool
    running: bool
    subject: Subject
    value_12m_fen: int | None
    left_on: date | None


_STANDING = text(
    f"""
    SELECT c.id, c.org_unit_id, c.do_not_disturb,
        EXISTS (
            SELECT FROM subscription s WHERE s.customer_id = c.id AND {RUNS}
        ) AS running,
        l.tier, l.churn_class, l.stage, f.reason, c.personal_offers,
        coalesce(l.hidden_high_value AND f.left_on IS NULL, false) AS hidden, l.value_12m_fen,
        f.left_on
    FROM customer c
    LEFT JOIN customer_lifecycle l ON l.customer_id = c.id
    LEFT JOIN former_customer f ON f.customer_id = c.id AND f.returned_on IS NULL
    WHERE c.id = :customer_id
    """  # noqa: S608 - text of our own
)


async def standing(session: AsyncSession, customer_id: UUID, today: date) -> Standing:
    """Read how a customer stands on a local day; they are known to exist.

    Of who wants no personal ranking only the reason for leaving decides which toolkit is theirs.
    """
    row = (await session.execute(_STANDING, {"customer_id": customer_id, "today": today})).one()
    reason = LeaveReason(row.reason) if row.reason else None
    return Standing(
        row.id,
        row.org_unit_id,
        row.do_not_disturb,
        row.running,
        Subject(reason=reason)
        if not row.personal_offers
        else Subject(
            Tier(row.tier) if row.tier else None,
            ChurnClass(row.churn_class) if row.churn_class else None,
            Stage(row.stage) if row.stage else None,
            reason,
            row.hidden,
        ),
        row.value_12m_fen,
        row.left_on,
    )
