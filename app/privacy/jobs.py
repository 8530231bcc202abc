"""What is carried out after it was agreed to, and what is forgotten at night."""

from datetime import timedelta
from uuid import UUID

from app.auth import audit
from app.auth.queries import signing_in
from app.core.jobs import Worker
from app.core.log import log
from app.privacy import queries, rules, service
from app.privacy.models import PrivacyRequest
from app.privacy.rules.periods import PERIODS
from app.privacy.service.sweeping import work_of

A_DAY = timedelta(days=1)


async def carry_out(worker: Worker, *, request_id: str) -> None:
    """Erase the customers of a request that a second person agreed to."""
    async with worker.database.begin() as tx:
        request = await tx.get(
            PrivacyRequest, UUID(request_id), with_for_update=True, populate_existing=True
        )
        if request is None or request.state is not rules.RequestState.AGREED:
            return
        assert request.agreed_by is not None
        known = await signing_in(tx, request.agreed_by)
        # Who agreed may have been closed since; what they agreed to waits for somebody else.
        if known is None or not known[0].active:
            request.state, request.agreed_by, request.agreed_at = (
                rules.RequestState.WAITING,
                None,
                None,
            )
            return
        audit.acting(tx, "privacy_erasure", known[1])
        await service.carry_out(tx, request, known[1], now=worker.clock.now())


async def forget(worker: Worker) -> None:
    """End what has been kept long enough, once a day; what could not be ended is tried again.

    Raises NotAllForgotten like `sweep`.
    """
    now = worker.clock.now()
    async with worker.database.read() as read:
        nights = await queries.nights(read, [work_of(period) for period in PERIODS])
    due = [
        period
        for period in PERIODS
        if (night := nights.get(work_of(period))) is None or now - night.done_at >= A_DAY
    ]
    ended = await service.sweep(worker.database, due, now=now)
    if any(ended.values()):
        log.info("personal data forgotten", **ended)
