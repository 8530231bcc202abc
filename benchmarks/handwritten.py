"""The yardstick: "my day" as one would write it by hand for nothing but speed.

A bare Starlette route on the same server with the same settings: psycopg pool, one SQL statement
that also sorts, orjson, a PyJWT check remembered by the token's digest, the same entity tag. The
rules (who sees a contact, masking, which steps are open, the shift of the map) are the product's
own: they are the job, and not a way of doing it. It has none of the rest: no routing by types, no
OpenAPI, no problem+json, no request id, log, metrics, dated parameters or time zones of units.

    python -m benchmarks.handwritten --port PORT
"""

import argparse
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import jwt
import orjson
import uvicorn
from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.auth.keys import KeyRing
from app.auth.tokens import AUDIENCE
from app.core.clock import clock_from, wall
from app.core.geo import CoordSys, from_wgs84
from app.core.settings import Settings
from app.customers.rules import masked_name, masked_phone
from app.visits.rules import STEPS, sees_contact
from app.workorders.rules import HELD

SHANGHAI = ZoneInfo("Asia/Shanghai")
GRACE = timedelta(hours=2)

_COLUMNS = """
    o.id, o.external_id, o.work_type, o.state, o.priority, o.customer_id, o.service_number,
    o.contact_name, o.contact_phone, o.address, o.locality, o.summary,
    ST_X(o.point), ST_Y(o.point), grid.code, grid.name, o.near_border, o.estimated_minutes,
    o.appointment_from, o.appointment_until, o.due_at, o.planned_day, o.completed_at,
    o.version, visit.id, visit.resume_at, visit.restored_at, o.repeats, o.nudges, o.absences,
    o.outage_id
"""
_BESIDE = """
    LEFT JOIN grid ON grid.id = o.grid_id
    LEFT JOIN visit ON visit.work_order_id = o.id AND visit.ended_at IS NULL
"""
_DAY = f"""
    SELECT {_COLUMNS}, NULL::uuid AS assist_id, NULL::timestamptz AS assists_since,
        CASE o.state WHEN 'en_route' THEN 0 WHEN 'on_site' THEN 0 WHEN 'suspended' THEN 1
            WHEN 'completed' THEN 3 WHEN 'archived' THEN 3 ELSE 2 END AS phase,
        array_position(
            (SELECT route FROM technician_day AS d
             WHERE d.technician_id = %(technician_id)s AND d.day = %(day)s),
            o.id
        ) AS place
    FROM work_order AS o
    {_BESIDE}
    WHERE o.holder_id = %(technician_id)s
    AND o.state <> 'cancelled'
    AND (
        o.planned_day = %(day)s
        OR (
            o.planned_day < %(day)s
            AND o.state IN ('assigned', 'acknowledged', 'en_route', 'on_site', 'suspended')
        )
    )
    UNION ALL
    SELECT {_COLUMNS}, a.id, a.joined_at,
        CASE o.state WHEN 'en_route' THEN 0 WHEN 'on_site' THEN 0 WHEN 'suspended' THEN 1
            ELSE 2 END,
        NULL
    FROM work_assist AS a
    JOIN work_order AS o ON o.id = a.work_order_id
    {_BESIDE}
    WHERE a.technician_id = %(technician_id)s AND a.ended_at IS NULL AND a.day <= %(day)s
    AND o.state IN ('assigned', 'acknowledged', 'en_route', 'on_site', 'suspended')
    ORDER BY phase, completed_at, place, appointment_from, appointment_until, priority, due_at, 1
"""


class HandWritten:
    """The endpoint with what it keeps: pool, keys, proved tokens."""

    def __init__(self, settings: Settings) -> None:
        self.issuer = settings.issuer
        self.clock = clock_from(settings.clock)
        self.keys = KeyRing.load(settings.signing_keys)
        self.proved: dict[bytes, tuple[float, UUID]] = {}
        self.pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
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

    def technician_of(self, token: str) -> UUID | None:
        """Prove a token and return its technician; None when it is not good or lacks the scope."""
        seconds = wall().timestamp()
        digest = hashlib.sha256(token.encode()).digest()
        known = self.proved.get(digest)
        if known is not None:
            return known[1] if seconds < known[0] else None
        try:
            key = self.keys.public(jwt.get_unverified_header(token)["kid"])
            claims = jwt.decode(
                token,
                key,  # type: ignore[arg-type]
                algorithms=["EdDSA"],
                audience=AUDIENCE,
                issuer=self.issuer,
                options={"require": ["exp", "iat", "sub", "aud", "iss", "jti"]},
            )
            if claims["role"] != "technician" or "work:do" not in claims["scope"].split():
                return None
            technician_id = UUID(claims["technician"])
        except (jwt.PyJWTError, KeyError, ValueError, TypeError):
            return None
        self.proved[digest] = claims["exp"], technician_id
        return technician_id

    async def my_day(self, request: Request) -> Response:
        """Answer a technician's day, or 304 when the client has it already."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        technician_id = self.technician_of(token) if scheme.lower() == "bearer" else None
        if technician_id is None:
            return Response(status_code=401)
        now = self.clock.now()
        day = now.astimezone(SHANGHAI).date()
        async with self.pool.connection() as connection:
            cursor = await connection.execute(_DAY, {"technician_id": technician_id, "day": day})
            rows = await cursor.fetchall()
        body = orjson.dumps(
            {"day": day, "coordsys": "gcj02", "orders": [shaped(row, now) for row in rows]}
        )
        etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
        headers = {"etag": etag, "cache-control": "private, no-cache"}
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(body, media_type="application/json", headers=headers)

    async def alive(self, request: Request) -> Response:
        """Say that the process is alive."""
        return Response(b"{}", media_type="application/json")

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """Hold the pool open while serving."""
        await self.pool.open()
        yield
        await self.pool.close()

    def app(self) -> Starlette:
        """Make the application."""
        routes = [Route("/v1/my/day", self.my_day), Route("/healthz", self.alive)]
        return Starlette(routes=routes, lifespan=self.lifespan)


def shaped(row: tuple[Any, ...], now: datetime) -> dict[str, Any]:
    """Shape one row."""
    (
        id_, external_id, work_type, state, priority, customer_id, number, name, phone, address,
        locality, summary, lon, lat, grid_code, grid_name, near_border, minutes,
        appointment_from, appointment_until, due_at, planned_day, completed_at, version,
        visit_id, resume_at, restored_at, repeats, nudges, absences, outage_id,
        assist_id, assists_since, *_,
    ) = row  # fmt: skip
    assisting = assist_id is not None
    seen = sees_contact(state, completed_at, now, GRACE)
    if assisting and assists_since is None:
        seen = False
    point = None
    if lon is not None:
        lon, lat = from_wgs84(lon, lat, CoordSys.GCJ02)
        point = {"lon": round(lon, 8), "lat": round(lat, 8), "coordsys": "gcj02"}
    if not seen:
        name = name and masked_name(name)
        phone = phone and masked_phone(phone)
        number = number and masked_phone(number)
    return {
        "id": id_,
        "external_id": external_id,
        "work_type": work_type,
        "state": state,
        "priority": priority,
        "customer_id": customer_id,
        "masked": not seen,
        "contact_name": name,
        "contact_phone": phone,
        "service_number": number,
        "address": address if seen or state in HELD else locality,
        "summary": summary,
        "point": point,
        "grid_code": grid_code,
        "grid_name": grid_name,
        "near_border": near_border,
        "estimated_minutes": minutes,
        "appointment_from": appointment_from,
        "appointment_until": appointment_until,
        "due_at": due_at,
        "planned_day": planned_day,
        "completed_at": completed_at,
        "visit_id": visit_id,
        "resume_at": resume_at,
        "resume_overdue": resume_at is not None and resume_at < now,
        "restored_at": restored_at,
        "repeats": repeats,
        "nudges": nudges,
        "absences": absences,
        "outage_id": outage_id,
        "version": version,
        "assisting": assisting,
        "assist_id": assist_id,
        "allowed": () if assisting else STEPS[state, work_type],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    uvicorn.run(
        HandWritten(Settings()).app(),
        host="127.0.0.1",
        port=parser.parse_args().port,
        http="h11",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=10,
    )
