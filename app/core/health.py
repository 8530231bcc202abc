"""Health for load balancers and metrics for Prometheus."""

from contextlib import suppress
from typing import Literal

from fastapi import Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from app.core.db import Database, reachable
from app.core.doorways import Router
from app.core.errors import Unavailable
from app.core.http import Answer

router = Router(tags=["health"])


class Health(Answer):
    """A process that answers this is alive, or ready."""

    status: Literal["alive", "ready"]


@router.get("/healthz", operation_id="health_alive")
async def alive() -> Health:
    """Say that the process is alive; touches nothing else."""
    return Health(status="alive")


@router.get("/readyz", operation_id="health_ready")
async def ready(request: Request) -> Health:
    """Say that the process can serve: its database answers. Refuses with 503 otherwise."""
    database: Database = request.app.state.database
    if not await reachable(database):
        raise Unavailable(retry_after=2, reason="database")
    return Health(status="ready")


@router.get("/metrics", operation_id="metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Give Prometheus this process's figures, and those that are read for it from the database.

    Without the database the latter are as they were.
    """
    database: Database = request.app.state.database
    with suppress(Unavailable):
        async with database.read() as session:
            for refresh in request.app.state.figures:
                await refresh(session)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
