"""Rules of promises for tests: what stops a clock, and when people work."""

from datetime import date
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import new_id
from app.promises.models import ClockStopRule
from app.promises.rules import ProofKind, StopCause


async def make_stop_rule(
    tx: AsyncSession, cause: StopCause, *proofs: ProofKind, **fields: Any
) -> ClockStopRule:
    """Add a rule by which a cause stops the clock of everybody's orders for at most two days."""
    given: dict[str, Any] = {
        "code": f"S{new_id().hex[-8:]}",
        "cause": cause,
        "valid_from": date(2020, 1, 1),
        "proofs": [proof.value for proof in proofs],
        "most_hours": 48.0,
    }
    rule = ClockStopRule(**{**given, **fields})
    tx.add(rule)
    await tx.flush()
    return rule
