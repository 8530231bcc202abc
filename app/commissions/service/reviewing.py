"""What a person says of a flag."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller
from app.commissions import queries
from app.commissions.models import CommissionFlag
from app.commissions.rules import FlagState, ReviewedOtherwise


async def review(
    tx: AsyncSession,
    flag_id: UUID,
    caller: Caller,
    *,
    verdict: FlagState,
    reason: str,
    now: datetime,
) -> CommissionFlag:
    """Clear or uphold a flag with a reason; no money moves by it.

    The same verdict again is answered like the first time. Raises NotFound, ReviewedOtherwise.
    """
    flag = await queries.flag_for_change(tx, flag_id, caller)
    if flag.state is not FlagState.OPEN:
        if flag.state is not verdict:
            raise ReviewedOtherwise(state=flag.state, reviewed_at=flag.reviewed_at)
        return flag
    flag.state, flag.reason = verdict, reason
    flag.reviewed_at, flag.reviewed_by_id = now, caller.account_id
    return flag
