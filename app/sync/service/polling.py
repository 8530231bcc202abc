"""Polls that bring nothing: what was answered with 304 before is so again until there is news.

A phone asks the same many times between two changes. The first time everything is looked at: token,
version, cursor, and the feed by a statement. After that the process only has to know that this
phone has had no news, and whether its token is still good.
"""

import asyncio
from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from app.auth import tokens
from app.auth.keys import KeyRing
from app.core.clock import wall
from app.core.errors import Unauthorized
from app.core.settings import Settings
from app.sync.service.news import News

# What is asked for by headers; all that could make another answer of the same query.
ASKED_BY = frozenset((b"authorization", b"if-none-match", b"x-device-id", b"x-app-version"))
# For so many seconds an answer is repeated; then everything is looked at again, such as the
# versions that are served. And so many polls a process remembers, of some 700 bytes each.
REPEATED = 300.0
REMEMBERED = 50_000

Headers = Iterable[tuple[bytes, bytes]]


class Poll(NamedTuple):
    """What was asked for: a query, and the headers that it is answered by, in their order."""

    query: bytes
    headers: tuple[tuple[bytes, bytes], ...]

    @classmethod
    def of(cls, query: bytes, headers: Headers) -> "Poll":
        """Leave out the headers that make no other answer."""
        return cls(query, tuple(one for one in headers if one[0] in ASKED_BY))

    def token(self) -> str:
        """Return the access token that came with it."""
        return next(
            value[7:].decode("latin-1") for name, value in self.headers if name == b"authorization"
        )


class _Known(NamedTuple):
    technician_id: UUID
    mark: int
    until: float


class Polls:
    """The polls of a process that were answered with 304."""

    def __init__(self, news: News, keys: KeyRing, settings: Settings) -> None:
        self._news = news
        self._keys = keys
        self._settings = settings
        self._known: dict[Poll, _Known] = {}

    def mark(self, technician_id: UUID) -> int:
        """Return what to remember a poll by; to be asked for before the database is."""
        return self._news.mark(technician_id)

    def remember(self, poll: Poll, technician_id: UUID, mark: int) -> None:
        """Remember that a poll was answered with 304, by all that was known with a mark."""
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        until = asyncio.get_running_loop().time() + REPEATED
        self._known[poll] = _Known(technician_id, mark, until)

    async def unchanged(self, poll: Poll) -> bool:
        """Tell whether the answer to a poll is still 304; False is for whatever is not certain.

        Everything that was committed before is taken into account.
        """
        known = self._known.get(poll)
        if known is None:
            return False
        if (
            asyncio.get_running_loop().time() < known.until
            and self._good(poll)
            # Whoever has news by the last look already need not wait for the next one.
            and self._news.mark(known.technician_id) == known.mark
            and await self._news.caught_up()
            and self._news.mark(known.technician_id) == known.mark
        ):
            return True
        self._known.pop(poll, None)
        return False

    def _good(self, poll: Poll) -> bool:
        # It was let in before by this very token; only time may have passed.
        try:
            tokens.proved(self._keys, self._settings, poll.token(), wall())
        except Unauthorized:
            return False
        return True
