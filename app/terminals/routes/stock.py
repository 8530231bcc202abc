"""Doorways of terminals where they are."""

from collections import Counter
from typing import Annotated
from uuid import UUID

from fastapi import Query

from app.core.db import Read
from app.core.doorways import Router
from app.core.http import Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.core.parameter_values import parameters_in_force
from app.terminals import queries
from app.terminals.routes.callers import Reader, Technician
from app.terminals.rules import LEAST_IN_VAN, Pool, TerminalKind
from app.terminals.schemas.stock import SerialNumber, StockOut, TerminalOut, TerminalPage, VanOut

router = Router(prefix="/v1", tags=["terminals"])


@router.get("/terminals", operation_id="terminals_list")
async def listed(
    reader: Reader,
    read: Read,
    serial_number: Annotated[SerialNumber | None, Query(description="Exactly this one.")] = None,
    technician_id: Annotated[UUID | None, Query(description="In this van.")] = None,
    customer_id: Annotated[UUID | None, Query(description="At this customer's.")] = None,
    kind: TerminalKind | None = None,
    pool: Pool | None = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> TerminalPage:
    """List the terminals of the caller's part of the organisation, by serial number."""
    rows, last = cut(
        await queries.page(
            read,
            reader,
            size=size,
            after=key_of(token, str)[0] if token else None,
            serial_number=serial_number,
            technician_id=technician_id,
            customer_id=customer_id,
            kind=kind,
            pool=pool,
        ),
        size,
    )
    return TerminalPage(
        terminals=[TerminalOut.model_validate(row) for row in rows],
        next_page_token=token_of(last.serial_number) if last else None,
    )


@router.get("/my/van", operation_id="terminals_my_van")
async def my_van(technician: Technician, read: Read, now: Now) -> VanOut:
    """Read what is in the caller's own van, what is low, and what is still to be handed in."""
    whose = technician.technician_id
    held = await queries.in_van(read, whose) if whose else []
    recovered = await queries.in_hands(read, whose) if whose else []
    numbers = await parameters_in_force(read)
    counted = Counter(terminal.kind for terminal in held)
    return VanOut(
        terminals=[TerminalOut.model_validate(terminal) for terminal in held],
        to_hand_in=[TerminalOut.model_validate(terminal) for terminal in recovered],
        stock=[
            StockOut(kind=kind, count=counted[kind], least=least, low=counted[kind] < least)
            for kind, least in (
                (kind, numbers.whole(parameter, now, technician.org_path))
                for kind, parameter in LEAST_IN_VAN.items()
            )
        ],
    )
