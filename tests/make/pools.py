"""An application that has few connections, as every one has in a burst."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from app.core.clock import Clock
from app.core.db import Database, open_database
from app.core.settings import Settings
from tests.conftest import assembled, http_on


@asynccontextmanager
async def with_connections(
    pool_size: int, database: Database, settings: Settings, clock: Clock
) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of an application that keeps so many connections to a database."""
    url = database.engine.url.render_as_string(hide_password=False)
    few = open_database(settings.model_copy(update={"database_url": url, "pool_size": pool_size}))
    application = assembled(settings, clock=clock, database=few)
    try:
        async with application.router.lifespan_context(application), http_on(application) as http:
            yield http
    finally:
        await few.close()
