"""Who changes phones' orders meanwhile: a system sends some, a supervisor moves some. And who takes
phones from their owners: a supervisor has one emptied, an administrator closes an account."""

import random
from typing import Any

import httpx

from app.core.clock import Clock
from app.core.db import new_id
from tests.phones.world import ADMIN, PASSWORD, SENDER, SUPERVISOR, World, order_body

WAITING = ("located", "unplaced")
MOVABLE = ("assigned", "acknowledged")
ORDERS_AT_FIRST = 18


class Offices:
    """A system, a supervisor and an administrator with a good line to the API."""

    def __init__(
        self, http: httpx.AsyncClient, world: World, clock: Clock, luck: random.Random
    ) -> None:
        self._http = http
        self._world = world
        self._clock = clock
        self._luck = luck
        self._tokens: dict[str, str] = {}
        self.moved = 0
        self.cancelled = 0
        self.wiped = 0
        # Whose accounts are closed now, and how many have been.
        self.closed: set[str] = set()
        self.closings = 0
        self.failures: list[str] = []

    async def open(self) -> None:
        """Sign in, and give out the orders of the morning."""
        for name in (SENDER, SUPERVISOR, ADMIN):
            form = {"grant_type": "password", "username": name, "password": PASSWORD}
            if name == SENDER:
                form = {
                    "grant_type": "client_credentials",
                    "client_id": name,
                    "client_secret": PASSWORD,
                }
            answer = await self._http.post("/v1/auth/token", data=form)
            self._tokens[name] = answer.raise_for_status().json()["access_token"]
        for _ in range(ORDERS_AT_FIRST):
            await self._send()
        await self._give_out()

    async def round(self) -> None:
        """Send what customers have called for, give it out, and move and cancel some."""
        for _ in range(self._luck.choice((0, 0, 0, 1, 1, 2))):
            await self._send()
        await self._give_out()
        if self._luck.random() < 0.5:
            await self._move()
        if self._luck.random() < 0.06:
            await self._cancel()

    async def wipe(self, phone: str) -> bool:
        """Have a phone emptied, and perhaps let it be in time; False when it is not known yet."""
        for device in await self.devices():
            if device["name"] == phone:
                path = f"/devices/{device['id']}/wipe"
                body = {"id": str(new_id()), "reason": "left on the bus"}
                self.wiped += (await self._ask(SUPERVISOR, "POST", path, json=body)).is_success
                if self._luck.random() < 0.2:
                    await self._ask(SUPERVISOR, "POST", f"{path}/withdraw")
                return True
        return False

    async def devices(self) -> list[dict[str, Any]]:
        """List the phones that are known."""
        answer = await self._ask(SUPERVISOR, "GET", "/devices")
        found: list[dict[str, Any]] = answer.raise_for_status().json()["devices"]
        return found

    async def close(self, whose: str, *, and_wipe: bool) -> None:
        """Close somebody's account, and perhaps have all their phones emptied, too."""
        account = f"/accounts/{self._world.accounts[whose]}"
        if and_wipe:
            body = {"reason": "left us"}
            await self._ask(SUPERVISOR, "POST", f"{account}/wipe-devices", json=body)
        (await self._ask(ADMIN, "POST", f"{account}/deactivate")).raise_for_status()
        self.closed.add(whose)
        self.closings += 1

    async def reopen(self, whose: str) -> None:
        """Open somebody's account again."""
        path = f"/accounts/{self._world.accounts[whose]}/activate"
        (await self._ask(ADMIN, "POST", path)).raise_for_status()
        self.closed.discard(whose)

    async def _ask(self, who: str, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self._tokens[who]}"}
        answer = await self._http.request(method, f"/v1{path}", headers=headers, **more)
        if answer.status_code >= 500:
            self.failures.append(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer

    async def _send(self) -> None:
        body = order_body(self._luck.choice(self._world.customers), self._clock.now())
        answer = await self._ask(SENDER, "POST", "/work-orders", json=body)
        if answer.status_code >= 400:
            self.failures.append(f"an order was refused: {answer.text[:300]}")

    async def _of(self, *states: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for state in states:
            answer = await self._ask(SUPERVISOR, "GET", "/work-orders", params={"state": state})
            found += answer.json()["orders"]
        return found

    async def _give_out(self) -> None:
        for order in await self._of(*WAITING):
            await self._assign(order)

    async def _move(self) -> None:
        if movable := await self._of(*MOVABLE):
            self.moved += await self._assign(self._luck.choice(movable))

    async def _assign(self, order: dict[str, Any]) -> bool:
        others = [str(x) for x in self._world.technicians.values() if str(x) != order["holder_id"]]
        answer = await self._ask(
            SUPERVISOR,
            "POST",
            f"/work-orders/{order['id']}/assign",
            json={
                "technician_id": self._luck.choice(others),
                "day": "2026-03-02",
                "reason": "人工改派",
                "version": order["version"],
                "override": True,
            },
        )
        return answer.is_success

    async def _cancel(self) -> None:
        if there := await self._of(*MOVABLE, "en_route", "on_site"):
            order = self._luck.choice(there)
            path = f"/work-orders/{order['id']}/cancel"
            answer = await self._ask(SENDER, "POST", path, json={"reason": "customer called"})
            self.cancelled += answer.is_success
