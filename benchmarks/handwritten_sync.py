"""The yardsticks of sync: what a request costs that does nothing, and a pull written by hand.

Without `--product` a bare FastAPI application on the same server with the same settings: a route
that answers with an empty object, and a pull of orders and customers by one statement, without
sign-in, audit trail or anything else. With it, the product with one route more, that asks for a
technician's token as others do and does nothing.

    python -m benchmarks.handwritten_sync --port PORT [--product]
"""

import argparse
import gc
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import orjson
import uvicorn
from fastapi import FastAPI, Response
from psycopg_pool import AsyncConnectionPool

from app.core.settings import Settings
from app.main import create_app
from app.sync.routes import PACKED_FROM, Technician

_PULL = """
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
        (SELECT array_agg(row_to_json(o)) FROM (
            SELECT o.id, o.external_id, o.work_type, o.state, o.priority, o.customer_id,
                o.contact_name, o.contact_phone, o.service_number, o.address, o.summary,
                ST_X(o.point) AS lon, ST_Y(o.point) AS lat, g.code AS grid_code,
                g.name AS grid_name, o.near_border, o.estimated_minutes, o.appointment_from,
                o.appointment_until, o.due_at, o.planned_day, o.completed_at, o.version
            FROM news JOIN work_order AS o ON o.id = news.row_id
            LEFT JOIN grid AS g ON g.id = o.grid_id
            WHERE news.kind = 'work_order' AND o.holder_id = %(technician_id)s
        ) AS o),
        (SELECT array_agg(row_to_json(c)) FROM (
            SELECT c.id, c.name, c.phone, c.segment, c.elderly, c.arrears_fen,
                (SELECT json_agg(s.service_number) FROM subscription AS s
                 WHERE s.customer_id = c.id) AS services
            FROM news JOIN customer AS c ON c.id = news.row_id WHERE news.kind = 'customer'
        ) AS c)
    FROM (SELECT 1) AS one
"""
_PULL = (
    "WITH news AS MATERIALIZED (SELECT kind, row_id FROM sync_row"
    f" WHERE technician_id = %(technician_id)s AND xid >= %(since)s) {_PULL}"
)


def bare(settings: Settings) -> FastAPI:
    """Make the bare application."""
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
        settings.database_url,
        min_size=1,
        max_size=settings.pool_size,
        open=False,
        kwargs={
            "autocommit": True,
            "prepare_threshold": 1,
            "options": "-c timezone=UTC -c jit=off -c statement_timeout=30000",
        },
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await pool.open()
        yield
        await pool.close()

    app = FastAPI(lifespan=lifespan)

    @app.get("/empty")
    async def empty() -> dict[str, str]:
        return {}

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {}

    @app.get("/sync")
    async def pull(technician_id: UUID, since: int) -> Response:
        async with pool.connection() as connection:
            cursor = await connection.execute(
                _PULL, {"technician_id": technician_id, "since": since}
            )
            row = await cursor.fetchone()
        assert row is not None
        horizon, orders, customers = row
        body = orjson.dumps(
            {
                "changes": {
                    "work_orders": {"created": [], "updated": orders or [], "deleted": []},
                    "customers": {"created": [], "updated": customers or [], "deleted": []},
                },
                "timestamp": horizon,
            }
        )
        headers = {}
        if len(body) >= PACKED_FROM:
            headers["content-encoding"] = "gzip"
            body = gzip.compress(body, 5, mtime=0)
        return Response(body, media_type="application/json", headers=headers)

    return app


def product(settings: Settings) -> FastAPI:
    """Make the product with a route that does nothing for a technician."""
    app = create_app(settings)

    @app.get("/v1/empty")
    async def empty(technician: Technician) -> dict[str, str]:
        return {}

    # Routes are tried in their order, and sync comes early.
    app.router.routes.insert(0, app.router.routes.pop())
    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--product", action="store_true")
    given = parser.parse_args()
    made = product(Settings()) if given.product else bare(Settings())
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    uvicorn.run(
        made,
        host="127.0.0.1",
        port=given.port,
        http="h11",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=10,
    )
