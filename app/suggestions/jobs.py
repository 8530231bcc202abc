"""What happens to suggestions from time to time."""

from datetime import UTC

from app.auth import audit
from app.core.clock import wall
from app.core.jobs import Worker
from app.suggestions import queries
from app.suggestions.service.months import prepare_months


async def look_ahead(worker: Worker) -> None:
    """Make room in the log for the months to come."""
    async with worker.database.begin() as tx:
        audit.acting(tx, "suggestions.look_ahead")
        await prepare_months(tx, wall().astimezone(UTC).date())


async def settle_outcomes(worker: Worker) -> None:
    """Write down what came of suggestions: what was kept, and who complained after a pitch."""
    async with worker.database.begin() as tx:
        audit.acting(tx, "suggestions.settle_outcomes")
        await queries.settle(tx, worker.clock.now())
