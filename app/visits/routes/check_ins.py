"""The doorway to check-ins that somebody should look at."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Query

from app.core.db import Read
from app.core.doorways import Router
from app.core.geo import CoordSys
from app.core.http import Language, Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.visits.routes.callers import Overseer
from app.visits.rules import Mark
from app.visits.schemas.check_ins import MarkedOut, MarkedPage
from app.visits.service.check_in import marked

router = Router(prefix="/v1", tags=["visits"])


@router.get("/check-ins/marked", operation_id="check_ins_marked")
async def marked_check_ins(
    overseer: Overseer,
    read: Read,
    now: Now,
    lang: Language,
    days: Annotated[int, Query(ge=1, le=92, description="So many days back.")] = 7,
    mark: Annotated[Mark | None, Query(description="Only those with this mark.")] = None,
    technician_id: UUID | None = None,
    coordsys: Annotated[
        CoordSys, Query(description="The system of points in the answer.")
    ] = CoordSys.WGS84,
    size: PageSize = 50,
    token: PageToken = None,
) -> MarkedPage:
    """List check-ins far from the address, implausible, inaccurate or mocked, the newest first."""
    rows, last = cut(
        await marked(
            read,
            overseer,
            since=now - timedelta(days=days),
            mark=mark,
            technician_id=technician_id,
            after=key_of(token, datetime, UUID) if token else None,
            size=size,
        ),
        size,
    )
    return MarkedPage(
        check_ins=[MarkedOut.of(one, coordsys, lang) for one in rows],
        next_page_token=token_of(last.at, last.visit_id) if last else None,
    )
