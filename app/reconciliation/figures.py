"""The metric of differences that wait for a person."""

from prometheus_client import Gauge
from sqlalchemy.ext.asyncio import AsyncSession

from app.reconciliation import queries

_MISMATCH = Gauge(
    "yingwei_reconcile_mismatch",
    "Differences with the ordering system that wait for a person.",
)


async def refresh_figures(session: AsyncSession) -> None:
    """Set the figure of the metrics to how many differences wait now."""
    _MISMATCH.set(await queries.mismatches(session))
