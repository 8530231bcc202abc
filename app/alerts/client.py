"""The way out to the addresses that alerts are sent to, which people have typed in."""

import asyncio
import socket
from typing import Any
from uuid import UUID

import httpx
import orjson

from app.alerts import rules
from app.core import signing
from app.core.clock import wall
from app.core.outside import Outside, Reply
from app.core.sealing import Sealer
from app.core.settings import Settings


class Webhooks(Outside):
    """Sends what is to be told; `listed` are the hosts that may lie in the operator's own network,
    and that may be spoken to without TLS.

    What a name stands for is looked up here, once, and that address is what is connected to: were
    it looked up again by the connection, another answer could lead into the own network.
    """

    def __init__(self, listed: frozenset[str], *, time_limit: float, connections: int = 8) -> None:
        super().__init__("", time_limit=time_limit, body_limit=10_000, connections=connections)
        self.base = ""
        self._listed = listed
        self._http.event_hooks = {"request": [self._guard]}

    async def tell(self, message_id: UUID, body: dict[str, Any], *, url: str, secret: str) -> Reply:
        """Send one message, signed as Standard Webhooks has it. Raises NoAnswer."""
        content = orjson.dumps(body)
        headers = signing.sign(signing.secret_of(secret), str(message_id), wall(), content)
        # A connection is not kept: the next message may be for another name at the same address.
        headers |= {"Connection": "close", "User-Agent": "yingwei-alerts/1"}
        return await self.exchange("POST", url, body=body, headers=headers)

    async def _guard(self, request: httpx.Request) -> None:
        url = request.url
        try:
            rules.check_address(str(url), self._listed)
        except rules.WebhookAddressRefused as refused:
            raise httpx.UnsupportedProtocol(str(refused)) from refused
        if url.host.lower() in self._listed:
            return
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                url.host, url.port or 443, type=socket.SOCK_STREAM
            )
        except OSError as error:
            raise httpx.ConnectError(f"{url.host} is not known: {error}") from error
        addresses = [str(each[4][0]) for each in found]
        if not addresses or not all(map(rules.is_public, addresses)):
            raise httpx.UnsupportedProtocol(f"{url.host} stands for an address of our own network")
        request.extensions["sni_hostname"] = url.host
        request.url = url.copy_with(host=addresses[0])


def sealer_of(settings: Settings) -> Sealer | None:
    """Read what secrets of addresses are sealed with; None where it is not set. Raises
    KeysUnreadable."""
    return Sealer.read(settings.webhook_secret_keys.get_secret_value(), "webhook secrets")
