"""A yes by message that no phone has brought in: it is confirmed without, or left to a person."""

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.queries import caller_of_technician
from app.core.errors import Problem
from app.core.parameter_values import parameters_in_force
from app.sales import queries, rules
from app.sales.queries import Unconfirmed
from app.sales.rules import ConsentKind, SaleStep
from app.sales.service.confirming import confirm
from app.sales.service.ledger import entered

# Nothing is sold so long after its visit; what is older was left to a person, or is forgotten.
LOOKED_BACK = timedelta(days=7)

# Why a sale is left to a person, beside the refusals of confirming: nobody is there in whose name
# it could be made; and what is sold may have been put together anew, so that both were sold.
NO_ACCOUNT, ANOTHER_SALE = "no-account", "another-sale-since"


async def waiting_long(session: AsyncSession, *, now: datetime, limit: int) -> list[Unconfirmed]:
    """List drafts whose customers have agreed by message for so long that the phone is not waited
    for any more; `now` is business time."""
    parameters = await parameters_in_force(session)
    return [
        one
        for one in await queries.unconfirmed(session, now - LOOKED_BACK, limit)
        if now - one.agreed_at
        >= timedelta(minutes=parameters.number(rules.AGREED_MINUTES, now, one.org_path))
    ]


async def confirm_agreed(tx: AsyncSession, agreed: Unconfirmed, *, now: datetime) -> None:
    """Confirm a draft to which its customer has agreed by message, as its seller's phone would, or
    enter into its ledger why not: then it is a person's. Done a second time it changes nothing.

    Raises NotFound.
    """
    sale = await queries.for_change(tx, agreed.sale_id)
    # The phone, or another worker, may have been first.
    still = await queries.unconfirmed(tx, now - LOOKED_BACK, 1, agreed.request_id)
    if not still:
        return
    seller = await caller_of_technician(tx, sale.technician_id)
    why = NO_ACCOUNT if seller is None else ANOTHER_SALE if still[0].replaced else None
    if seller is not None and why is None:
        try:
            async with tx.begin_nested():
                await confirm(
                    tx,
                    sale_id=agreed.sale_id,
                    kind=ConsentKind.SMS_REPLY,
                    given_at=agreed.agreed_at,
                    evidence={"request_id": str(agreed.request_id)},
                    caller=seller,
                    now=now,
                    unattended=True,
                )
        except Problem as refused:
            # What is away for a moment is asked again the next time.
            if refused.status >= 500:
                raise
            why = refused.slug
    if why is not None:
        facts = {"request_id": agreed.request_id, "code": why}
        await entered(tx, agreed.sale_id, SaleStep.LEFT_UNCONFIRMED, at=now, facts=facts)
