"""The way out to the system that knows the lines: what can be had at addresses.

One exchange asks about many addresses. Only their codes leave the house: the other side has the
same register, and needs no more of anybody's address.
"""

import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from app.core.outside import Failed, Failure, NoAnswer, Outside, Unreadable, failed, tidy
from app.serviceability.codec import CODECS, Shape
from app.serviceability.rules import Said

# How many addresses one exchange asks about.
AT_ONCE = 200

# Somebody waits at a door for every question, so after a silence nobody asks for some seconds.
QUIET_SECONDS = 10.0


class ServiceabilityClient(Outside):
    """One serviceability system's API; `base_url` ends where the resource of its shape begins.

    `offering` is what a line is called there. `check` raises `core.outside.Failed`, and nothing
    else of its own.
    """

    _quiet_until = 0.0

    def __init__(
        self,
        base_url: str,
        *,
        shape: Shape = Shape.TMF645,
        offering: str = "broadband",
        **how: Any,
    ) -> None:
        super().__init__(base_url, **how)
        self._codec = CODECS[shape]
        self._offering = offering

    @property
    def quiet(self) -> bool:
        """Tell whether it was silent just now, so that nobody should wait for it."""
        return time.monotonic() < self._quiet_until

    async def check(self, codes: Mapping[UUID, str]) -> dict[UUID, Said]:
        """Ask about addresses by their codes; what is not answered is left out."""
        body = self._codec.body_of(codes.values(), self._offering)
        try:
            reply = await self.exchange("POST", self._codec.resource, body=body)
        except NoAnswer as nothing:
            self._quiet_until = time.monotonic() + QUIET_SECONDS
            raise failed(nothing) from nothing
        if reply.status not in (200, 201):
            if reply.status >= 500 or reply.status == 429:
                self._quiet_until = time.monotonic() + QUIET_SECONDS
            raise failed(reply)
        try:
            said = self._codec.read(reply.json())
        except Unreadable as error:
            raise Failed(Failure.UNKNOWN, tidy(f"unreadable: {error}")) from error
        ids = {str(number): address_id for number, address_id in enumerate(codes, 1)}
        return {ids[number]: one for number, one in said.items() if number in ids}
