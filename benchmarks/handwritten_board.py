"""The yardstick of the board: what one would write first, one statement that makes the JSON.

Technicians of a subtree with their shifts, and their orders of the day by appointment and promise,
written by PostgreSQL itself. It knows nothing of the ways between doors, of times to be expected,
of what is endangered, of loans, leave or masks, nor of the orders that nobody has.

    python -m benchmarks.handwritten_board --port PORT
"""

import argparse
from typing import Any

import jwt
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.auth.tokens import AUDIENCE
from app.core.settings import Settings
from benchmarks.handwritten import SHANGHAI, HandWritten

_BOARD = """
    SELECT json_build_object('technicians', coalesce(json_agg(row_to_json(one)), '[]'))::text
    FROM (
        SELECT t.id, t.code, t.name, t.org_unit_id,
            (SELECT json_agg(json_build_array(s.starts_at, s.ends_at)) FROM shift s
             WHERE s.technician_id = t.id AND s.weekday = extract(isodow FROM %(day)s::date) - 1
            ) AS shifts,
            (SELECT json_agg(json_build_object(
                'id', o.id, 'external_id', o.external_id, 'work_type', o.work_type,
                'priority', o.priority, 'state', o.state, 'address', o.address,
                'locality', o.locality, 'grid_code', g.code,
                'estimated_minutes', o.estimated_minutes,
                'appointment_from', o.appointment_from,
                'appointment_until', o.appointment_until, 'due_at', o.due_at,
                'planned_day', o.planned_day, 'completed_at', o.completed_at
             ) ORDER BY o.completed_at NULLS LAST, o.appointment_from, o.priority, o.due_at)
             FROM work_order o LEFT JOIN grid g ON g.id = o.grid_id
             WHERE o.holder_id = t.id AND o.state <> 'cancelled' AND (
                o.planned_day = %(day)s OR (o.planned_day < %(day)s AND o.state IN
                    ('assigned', 'acknowledged', 'en_route', 'on_site', 'suspended')))
            ) AS visits
        FROM technician t JOIN org_unit u ON u.id = t.org_unit_id
        WHERE u.path LIKE %(path)s AND t.active
        ORDER BY t.code
    ) AS one
"""


class HandWrittenBoard(HandWritten):
    """The endpoint, with the same pool and keys as the other."""

    def path_of(self, token: str) -> str | None:
        """Prove a token and return its part of the organisation."""
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self.keys.public(jwt.get_unverified_header(token)["kid"]),  # type: ignore[arg-type]
                algorithms=["EdDSA"],
                audience=AUDIENCE,
                issuer=self.issuer,
            )
        except (jwt.PyJWTError, KeyError):
            return None
        return str(claims["path"]) if "orders:read" in claims["scope"].split() else None

    async def board(self, request: Request) -> Response:
        """Answer a subtree's day."""
        path = self.path_of(request.headers.get("authorization", "").removeprefix("Bearer "))
        if path is None:
            return Response(status_code=401)
        day = self.clock.now().astimezone(SHANGHAI).date()
        async with self.pool.connection() as connection:
            cursor = await connection.execute(_BOARD, {"path": f"{path}%", "day": day})
            [(body,)] = await cursor.fetchall()
        return Response(body, media_type="application/json")

    def app(self) -> Starlette:
        """Make the application."""
        routes = [Route("/v1/board", self.board), Route("/healthz", self.alive)]
        return Starlette(routes=routes, lifespan=self.lifespan)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    uvicorn.run(
        HandWrittenBoard(Settings()).app(),
        host="127.0.0.1",
        port=parser.parse_args().port,
        http="h11",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=10,
    )
