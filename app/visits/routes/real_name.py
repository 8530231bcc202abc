"""Doorways of real names: a document is checked at the door, and what is known is read."""

from uuid import UUID

from fastapi import Request, status

from app.core.db import Database, Read
from app.core.doorways import Router
from app.core.http import Language, Now
from app.real_name import service as real_name
from app.real_name.client import RealNameClient
from app.real_name.queries import as_real_name
from app.real_name.rules import HashKeys, RealNameUnavailable
from app.real_name.service import Shown
from app.visits.routes.callers import Reader, Technician
from app.visits.schemas.real_name import RealNameCheckIn, RealNameOut
from app.visits.service import real_name as checking

router = Router(prefix="/v1", tags=["visits"])


@router.post(
    "/visits/{visit_id}/real-name-check",
    status_code=status.HTTP_201_CREATED,
    operation_id="visits_real_name_check",
)
async def check(
    visit_id: UUID,
    body: RealNameCheckIn,
    technician: Technician,
    request: Request,
    now: Now,
    lang: Language,
) -> RealNameOut:
    """Check the document that the customer shows; the number is passed on and never kept.

    The technician waits for the outcome, a few seconds at most. Where none comes the check is
    `unknown`, which is never passed; the same id again, with or without the number, asks anew.
    """
    database: Database = request.app.state.database
    client: RealNameClient | None = request.app.state.real_name
    keys: HashKeys | None = request.app.state.real_name_keys
    if client is None or keys is None:
        missing = "YINGWEI_REAL_NAME_URL" if client is None else "YINGWEI_REAL_NAME_HASH_KEYS"
        raise RealNameUnavailable(reason=missing, retry_after=3600)
    number = None if body.number is None else body.number.get_secret_value()
    shown = Shown(body.document, number)
    async with database.begin(request) as tx:
        begun = await checking.begin_check(
            tx,
            visit_id,
            technician,
            check_id=body.id,
            shown=shown,
            keys=keys,
            device_at=body.device_at,
            now=now,
        )
    # Nothing is open while the checking system is asked, which may take its time.
    asked = begun.ask is not None or begun.look
    outcome = await real_name.put(client, begun) if asked else None
    async with database.begin(request) as tx:
        if asked:
            await real_name.settle(tx, begun.check_id, outcome, now=now)
        known = await real_name.read(tx, begun.check_id)
        return RealNameOut.of(known.customer_id, as_real_name(known), lang, now)


@router.get("/customers/{customer_id}/real-name", operation_id="customers_real_name")
async def state(
    customer_id: UUID, reader: Reader, read: Read, now: Now, lang: Language
) -> RealNameOut:
    """Read what is known of a customer's real name; for those who may read the customer's card."""
    known = await checking.state_of(read, customer_id, reader, now=now)
    return RealNameOut.of(customer_id, known, lang, now)
