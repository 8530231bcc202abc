"""The approval codes that a sale has used: where it came to nothing they are given back."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.retention.service import give_back, redeem
from app.sales import queries
from app.sales.models import Sale
from app.sales.service.agreed import terms_of


async def give_codes_back(tx: AsyncSession, sale: Sale, *, now: datetime) -> None:
    """Give back the codes of a locked sale that has ended before the ordering system took it."""
    used = terms_of((await queries.items_of(tx, [sale.id]))[sale.id])
    await give_back(tx, used, sale_id=sale.id, customer_id=sale.customer_id, now=now)


async def use_codes_again(tx: AsyncSession, sale: Sale, *, now: datetime) -> None:
    """Use once more what a locked sale has given back that goes on after all: it was agreed to when
    its codes were good. Raises CodeUnknown, CodeUsed and CodeOver where others have them now, or
    other terms took their place."""
    items = (await queries.items_of(tx, [sale.id]))[sale.id]
    given_at = (sale.consent_evidence or {}).get("given_at")
    agreed_at = min(datetime.fromisoformat(given_at), now) if given_at else sale.confirmed_at
    await redeem(tx, terms_of(items), sale_id=sale.id, now=now, agreed_at=agreed_at)
