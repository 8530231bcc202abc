"""Entering: an order that somebody typed into the other side becomes that of a parked delivery."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller
from app.core.db import Database
from app.core.errors import Conflict, Invalid, Problem
from app.core.i18n import Words
from app.ordering import troubles
from app.ordering.client import OrderingClient
from app.ordering.delivery import GiveUpReason
from app.ordering.models import OrderSync
from app.ordering.order import RemoteOrder
from app.ordering.rules import CAUSE_WORDS, Cause, OrderingFailed
from app.ordering.service.catching_up import link
from app.sales import service as sales
from app.sales.rules import SaleStep


class EnteredOrderUnclear(Invalid):
    slug = "entered-order-unclear"
    title = Words(zh="手工录入的订单不明确", en="It is not clear which order was entered by hand")
    advice = Words(
        zh="原因为“已在订单系统手工录入”时，请填写该订单在订单系统中的编号（remote_id）；其他原因不填。",
        en="Name the order by its id in the ordering system (remote_id) where it was entered there"
        " by hand; with any other reason, name none.",
    )


class EnteredOrderNotThere(Conflict):
    slug = "entered-order-not-there"
    title = Words(zh="订单系统中没有该订单", en="The ordering system does not know this order")
    advice = Words(
        zh="订单系统查不到编号 {remote_id}。请核对编号；若尚未录入，请更正后重试，由系统发送。",
        en="It knows no order {remote_id}. Check the id; where nothing was entered, correct the"
        " delivery and try it again.",
    )


class EnteredOrderOfAnother(Conflict):
    slug = "entered-order-of-another"
    title = Words(zh="该订单属于其他销售", en="This order is that of another sale")
    advice = Words(
        zh="订单 {remote_id} 已属于其他销售单或其他渠道（{of}），不能再关联。请核对编号。",
        en="Order {remote_id} belongs to {of} already and cannot be this sale's too. Check the id.",
    )


class EnteredOrderNotLookedUp(Problem):
    slug, status = "entered-order-not-looked-up", 503
    title = Words(zh="暂时无法核实该订单", en="The order could not be looked up")
    advice = Words(
        zh="{why_zh}。未做任何更改，请稍后重试。",
        en="Nothing was changed; try again later: {why_en}.",
    )


_NOT_SET = Words(
    zh="未设置订单系统地址（YINGWEI_ORDERING_URL）",
    en="no ordering system is set (YINGWEI_ORDERING_URL)",
)


async def look_up_entered(
    database: Database,
    client: OrderingClient | None,
    sync_id: UUID,
    caller: Caller,
    *,
    reason: GiveUpReason,
    remote_id: str | None,
) -> RemoteOrder | None:
    """Look up the order that somebody says was entered by hand for a delivery; None where the
    reason is another. No transaction is open while the other side is asked.

    Raises EnteredOrderUnclear, NotFound, EnteredOrderNotThere and EnteredOrderNotLookedUp.
    """
    if (reason is GiveUpReason.ENTERED_BY_HAND) is (remote_id is None):
        raise EnteredOrderUnclear()
    if remote_id is None:
        return None
    async with database.read() as read:
        await troubles.one(read, sync_id, caller)
    if client is None:
        raise EnteredOrderNotLookedUp(why_zh=_NOT_SET.zh, why_en=_NOT_SET.en)
    try:
        order = await client.get(remote_id)
    except OrderingFailed as failed:
        words = CAUSE_WORDS[failed.cause]
        facts = {"cause": failed.cause, "said": failed.said}
        raise EnteredOrderNotLookedUp(why_zh=words.zh, why_en=words.en, **facts) from failed
    if order is None or order.id != remote_id:
        raise EnteredOrderNotThere(remote_id=remote_id)
    return order


def was_entered(sync: OrderSync, order: RemoteOrder) -> bool:
    """Tell whether an order was taken for that of a delivery before."""
    return (sync.given_up_reason, sync.remote_id) == (GiveUpReason.ENTERED_BY_HAND, order.id)


async def enter(
    tx: AsyncSession, sync: OrderSync, order: RemoteOrder, *, by: UUID, now: datetime
) -> None:
    """Let an order that was entered by hand be that of a locked delivery, whose sale goes on with
    it; `now` is business time. Raises EnteredOrderOfAnother."""
    await _check_free(tx, sync, order)
    # Another order that the other side still has of this sale is a double of it now.
    left = sync.remote_id if sync.last_cause is not Cause.FORGOTTEN else None
    await link(tx, sync.sale_id, order, now)
    if left not in (None, order.id):
        sync.doubles = [*sync.doubles, left]
    facts = {"reason": GiveUpReason.ENTERED_BY_HAND.value, "order_id": order.id}
    await sales.entered(tx, sync.sale_id, SaleStep.RECONCILED, at=now, by=by, facts=facts)


async def _check_free(tx: AsyncSession, sync: OrderSync, order: RemoteOrder) -> None:
    # Two who name the same order for two sales do so one after the other.
    await tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(order.id, 0))))
    taken = select(OrderSync.sale_id).where(
        OrderSync.remote_id == order.id, OrderSync.id != sync.id
    )
    if (other := await tx.scalar(taken.limit(1))) is not None:
        raise EnteredOrderOfAnother(remote_id=order.id, of=other)
    if order.external_id not in (None, "", str(sync.sale_id)):
        raise EnteredOrderOfAnother(remote_id=order.id, of=order.external_id)
