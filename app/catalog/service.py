"""What changes the catalogue: new versions, successions and withdrawals, with one new mark."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import uuid4

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.models import CatalogueMark, ProductOffering

# Names the catalogue among PostgreSQL's advisory locks.
_CATALOGUE_LOCK = 823_101


async def held_for_change(tx: AsyncSession) -> Sequence[ProductOffering]:
    """Read all versions, the oldest first, while no other transaction may change any."""
    await tx.execute(select(func.pg_advisory_xact_lock(_CATALOGUE_LOCK)))
    found = await tx.scalars(
        select(ProductOffering)
        .order_by(ProductOffering.valid_from)
        .execution_options(populate_existing=True)
    )
    return found.all()


async def changed(tx: AsyncSession) -> None:
    """Give the catalogue a new mark; who changes an offering calls it in the same transaction."""
    fresh = insert(CatalogueMark).values(id=1, mark=uuid4())
    await tx.execute(
        fresh.on_conflict_do_update(
            index_elements=[CatalogueMark.id],
            set_={"mark": fresh.excluded.mark, "changed_at": func.now()},
        )
    )


async def add_version(
    tx: AsyncSession, *, content: Mapping[str, Any], valid_from: date, valid_to: date | None
) -> ProductOffering:
    """Add a version of an offering; the caller has closed the one before and calls `changed`."""
    offering = ProductOffering(**content, valid_from=valid_from, valid_to=valid_to)
    tx.add(offering)
    await tx.flush()
    return offering


async def close_version(tx: AsyncSession, offering: ProductOffering, valid_to: date) -> None:
    """End a version on a local day, which is the first it is not in force."""
    offering.valid_to = valid_to
    await tx.flush()
