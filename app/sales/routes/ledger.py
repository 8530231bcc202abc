"""Doorways of the ledger of sales, and of taking a sale back."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Language, Now
from app.sales import queries, service
from app.sales.routes.callers import Reader
from app.sales.routes.showing import shown
from app.sales.rules import SaleStep
from app.sales.rules.words import PLACE_OF, STEP_WORDS
from app.sales.schemas.ledger import LedgerOut, LedgerStepOut, ReversalIn
from app.sales.schemas.selling import SaleOut

router = Router(prefix="/v1/sales", tags=["sales"])

Reverser = Annotated[
    Caller,
    Depends(caller(Role.SUPERVISOR, Role.INTEGRATION, Role.ADMIN, scope="sales:change")),
]


@router.get("/{sale_id}/ledger", operation_id="sales_ledger")
async def ledger(sale_id: UUID, reader: Reader, read: Read, lang: Language) -> LedgerOut:
    """Read all that happened to a sale: the visit, what was suggested and answered, consent, its
    order, its install, the commission, and whether it was taken back."""
    sale = await queries.one(read, sale_id, reader)
    steps = [
        LedgerStepOut(
            step=SaleStep(step),
            words=STEP_WORDS[SaleStep(step)].say(lang),
            at=at,
            device_at=device_at,
            account_id=account_id,
            facts=facts,
        )
        for step, at, device_at, account_id, facts in await queries.ledger_of(read, sale_id)
    ]
    steps.sort(key=lambda one: (one.at, PLACE_OF[one.step]))
    return LedgerOut(
        sale_id=sale.id,
        visit_id=sale.visit_id,
        work_order_id=sale.work_order_id,
        technician_id=sale.technician_id,
        state=sale.state,
        reversed_at=sale.reversed_at,
        steps=steps,
    )


@router.post("/{sale_id}/reversal", operation_id="sales_reverse")
async def reverse(sale_id: UUID, body: ReversalIn, reverser: Reverser, tx: Tx, now: Now) -> SaleOut:
    """Tell that a customer returned what was sold; what was earned by it is taken back.

    Sent again with the same external id it is answered like the first time.
    """
    sale = await service.reverse(
        tx,
        sale_id=sale_id,
        external_id=body.external_id,
        reason=body.reason,
        returned_at=body.returned_at,
        caller=reverser,
        now=now,
    )
    return (await shown(tx, [sale]))[0]


@router.post("/{sale_id}/items/{item_id}/reversal", operation_id="sales_reverse_item")
async def reverse_item(
    sale_id: UUID, item_id: UUID, body: ReversalIn, reverser: Reverser, tx: Tx, now: Now
) -> SaleOut:
    """Tell that a customer returned one item of a sale; what was earned by it alone is taken back.

    Where the order is still under way the ordering system is asked to take the item out of it; how
    that went stands among the order's changes. Sent again with the same external id it is answered
    like the first time.
    """
    sale = await service.reverse_item(
        tx,
        sale_id=sale_id,
        item_id=item_id,
        external_id=body.external_id,
        reason=body.reason,
        returned_at=body.returned_at,
        caller=reverser,
        now=now,
    )
    return (await shown(tx, [sale]))[0]
