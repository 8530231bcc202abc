"""What the tests of appointments share: a grid, slots, and doors to knock at."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import FastAPI
from httpx import AsyncClient, Response

from app.auth.rules import Role
from tests.make.auth import bearer, caller_for
from tests.make.dispatch import Territory

SHANGHAI = ZoneInfo("Asia/Shanghai")


def at(text: str) -> datetime:
    """A local moment of March 2026, as in "3 10:00"."""
    return datetime.strptime(f"2026-03-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=SHANGHAI)


class Desk:
    """Somebody who makes appointments over HTTP."""

    def __init__(
        self, app: FastAPI, http: AsyncClient, land: Territory, role: Role = Role.INTEGRATION
    ) -> None:
        self.http = http
        self.headers = bearer(app, caller_for(role, land.org_unit))

    async def post(self, path: str, body: dict[str, Any] | None = None) -> Response:
        """Post to the API."""
        return await self.http.post(f"/v1{path}", json=body, headers=self.headers)

    async def put(self, path: str, body: dict[str, Any]) -> Response:
        """Put to the API."""
        return await self.http.put(f"/v1{path}", json=body, headers=self.headers)

    async def get(self, path: str, **query: Any) -> Response:
        """Get from the API."""
        return await self.http.get(f"/v1{path}", params=query, headers=self.headers)

    async def slots(self, body: dict[str, Any]) -> dict[str, Any]:
        """Search, and give the slots by their codes (of several days, by day and code)."""
        answer = await self.post("/appointments/search-time-slots", body)
        assert answer.status_code == 200, answer.text
        found = answer.json()["slots"]
        if len({one["day"] for one in found}) > 1:
            return {f"{one['day'][-2:]} {one['slot']}": one for one in found}
        return {one["slot"]: one for one in found}

    async def hold(self, body: dict[str, Any]) -> dict[str, Any]:
        """Hold a slot that can be had."""
        answer = await self.post("/appointments/holds", body)
        assert answer.status_code == 201, answer.text
        held: dict[str, Any] = answer.json()
        return held
