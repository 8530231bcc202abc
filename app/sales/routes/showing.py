"""How sales are shown."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from app.feasibility.rules import Infeasible
from app.sales import queries
from app.sales.models import Sale
from app.sales.rules import ConsentKind, shown_hash
from app.sales.schemas.consent import SecondConfirmationOut, SignatureOut
from app.sales.schemas.selling import SaleItemOut, SaleOut
from app.sales.service.agreed import shown_of

_MADE = ("items", "shown_sha256", "signature", "second_confirmation")
_INSTALLS = ("install_order_id", "install_not_now")


async def shown(session: AsyncSession, sales: Sequence[Sale]) -> list[SaleOut]:
    """Write sales with their items and how their customers agreed."""
    items = await queries.items_of(session, [sale.id for sale in sales])
    signed = await queries.signatures_of(
        session, [sale.id for sale in sales if sale.consent_kind is ConsentKind.SIGNATURE]
    )
    seconds = await queries.seconds_of(
        session, [sale.id for sale in sales if sale.consent_kind is not None]
    )
    installs = await queries.installs_of(session, [sale.id for sale in sales])
    fields = SaleOut.model_fields.keys() - {*_MADE, *_INSTALLS}
    return [
        SaleOut(
            **{name: getattr(sale, name) for name in fields},
            items=[SaleItemOut.model_validate(item) for item in items[sale.id]],
            install_order_id=installs[sale.id].order_id,
            install_not_now=[Infeasible(code) for code in installs[sale.id].not_now],
            shown_sha256=shown_hash(sale.id, sale.customer_id, shown_of(sale, items[sale.id])),
            signature=SignatureOut.of(signed[sale.id]) if sale.id in signed else None,
            second_confirmation=(
                SecondConfirmationOut.of(seconds[sale.id]) if sale.id in seconds else None
            ),
        )
        for sale in sales
    ]
