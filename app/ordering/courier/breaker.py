"""The breaker: while the other side fails every time, it is left alone for a while.

It stands in the database, so that every worker keeps away when one has found out, and everybody can
see it. Each worker counts failures for itself, since only it knows what came in a row, and writes
only when something changes. When the pause has passed, one attempt of one worker tries the endpoint
out; what comes of that closes the breaker, or opens it again for twice as long. An attempt that
tells nothing of the endpoint, or was not made at all, gives its turn back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from prometheus_client import Gauge
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import wall
from app.core.db import Database, fetched
from app.core.log import log
from app.core.parameter_values import parameters_in_force
from app.ordering import delivery
from app.ordering.delivery import Endpoint
from app.ordering.rules import Cause, OrderingFailed

# What a worker knows of others' breakers may be so old.
_KNOWN_FOR_SECONDS = 1.0
# Nothing is known of an endpoint by these: a busy system is there, and the others are of our own.
_NEUTRAL = frozenset({Cause.BUSY, Cause.TOO_LATE, Cause.NEVER_TOLD})
# It cannot be reached, does not answer, or answers without having understood.
_BROKEN = frozenset(
    {
        Cause.UNREACHABLE,
        Cause.WRONG_ADDRESS,
        Cause.SIGN_IN,
        Cause.TIMED_OUT,
        Cause.CUT,
        Cause.SERVER_ERROR,
    }
)


@dataclass
class _Known:
    failures: int = 0
    shut: bool = False
    # Until when an attempt of this worker tries the endpoint out.
    probing_until: datetime | None = None

    @property
    def probing(self) -> bool:
        return self.probing_until is not None and wall() < self.probing_until


class Breakers:
    """The breakers as one worker knows them."""

    def __init__(self, database: Database, probe_seconds: float) -> None:
        self._database = database
        self._probe_seconds = probe_seconds
        self._known = {endpoint: _Known() for endpoint in Endpoint}
        self._read_at: datetime | None = None

    async def lets_pass(self, endpoint: Endpoint) -> bool | None:
        """Tell whether attempts may go: True is all, None is one that tries it out, False none."""
        await self._read()
        known = self._known[endpoint]
        if not known.shut:
            return True
        if known.probing:
            return False
        ends = wall() + timedelta(seconds=self._probe_seconds)
        async with self._database.begin() as tx:
            given = {"name": endpoint, "seconds": self._probe_seconds}
            mine = bool(await fetched(tx, _PROBE, given))
        known.probing_until = ends if mine else None
        return None if mine else False

    async def tell_nothing(self, endpoint: Endpoint) -> None:
        """Give back the turn of trying an endpoint out, nothing having been found out by it."""
        known = self._known[endpoint]
        if known.shut and known.probing:
            known.probing_until = None
            async with self._database.begin() as tx:
                await fetched(tx, _GIVE_BACK, {"name": endpoint})

    async def note(self, endpoint: Endpoint, outcome: OrderingFailed | None) -> None:
        """Take note of how an attempt ended; None is well."""
        known = self._known[endpoint]
        if outcome is not None and outcome.cause in _NEUTRAL:
            await self.tell_nothing(endpoint)
            return
        if outcome is None or outcome.cause not in _BROKEN:
            known.failures = 0
            if known.shut:
                known.shut, known.probing_until = False, None
                async with self._database.begin() as tx:
                    await fetched(tx, _CLOSE, {"name": endpoint})
                log.warning("breaker closed", endpoint=endpoint)
            return
        known.failures += 1
        # What was under way as it opened fails too, and says nothing new.
        if known.shut and not known.probing:
            return
        async with self._database.begin() as tx:
            parameters = await parameters_in_force(tx)
            if not known.probing and known.failures < parameters.whole(
                delivery.BREAKER_FAILURES, wall()
            ):
                return
            given = {
                "name": endpoint,
                "first": parameters.number(delivery.BREAKER_PAUSE, wall()),
                "longest": parameters.number(delivery.BREAKER_LONGEST_PAUSE, wall()),
                "said": outcome.told()[:500],
            }
            await fetched(tx, _OPEN, given)
        known.shut, known.probing_until = True, None
        log.warning("breaker open", endpoint=endpoint, reason=outcome.told())

    async def _read(self) -> None:
        if (
            self._read_at is not None
            and (wall() - self._read_at).total_seconds() < _KNOWN_FOR_SECONDS
        ):
            return
        async with self._database.read() as session:
            shut = {name for (name,) in await fetched(session, _SHUT, {})}
        self._read_at = wall()
        for endpoint, known in self._known.items():
            if known.shut and endpoint not in shut:
                known.failures = 0
            known.shut = endpoint in shut


_SHUT = "SELECT name FROM ordering_endpoint WHERE open_until IS NOT NULL"
_PROBE = """
UPDATE ordering_endpoint
   SET probing_until = clock_timestamp() + make_interval(secs => %(seconds)s)
 WHERE name = %(name)s AND open_until <= clock_timestamp()
   AND (probing_until IS NULL OR probing_until < clock_timestamp())
RETURNING name
"""
_GIVE_BACK = (
    "UPDATE ordering_endpoint SET probing_until = NULL WHERE name = %(name)s RETURNING name"
)
_CLOSE = """
UPDATE ordering_endpoint
   SET open_until = NULL, opened_at = NULL, probing_until = NULL, pause_seconds = 0
 WHERE name = %(name)s RETURNING name
"""
_OPEN = """
INSERT INTO ordering_endpoint AS e
       (name, opened_at, open_until, pause_seconds, times_opened, last_error)
VALUES (%(name)s, clock_timestamp(), clock_timestamp() + make_interval(secs => %(first)s),
        %(first)s, 1, %(said)s)
ON CONFLICT (name) DO UPDATE
   SET opened_at = coalesce(e.opened_at, clock_timestamp()),
       pause_seconds = least(greatest(e.pause_seconds * 2, %(first)s), %(longest)s),
       open_until = clock_timestamp() + make_interval(
           secs => least(greatest(e.pause_seconds * 2, %(first)s), %(longest)s)),
       probing_until = NULL, last_error = %(said)s,
       times_opened = e.times_opened + CASE WHEN e.open_until IS NULL THEN 1 ELSE 0 END
RETURNING name
"""


@dataclass(frozen=True)
class Standing:
    """How one endpoint stands, for people and for metrics; times are real."""

    endpoint: Endpoint
    open_since: datetime | None
    open_until: datetime | None
    times_opened: int
    last_error: str | None


async def standings(session: AsyncSession) -> Sequence[Standing]:
    """Read how every endpoint stands."""
    rows = await fetched(
        session,
        "SELECT name, opened_at, open_until, times_opened, last_error FROM ordering_endpoint",
        {},
    )
    known = {row[0]: Standing(Endpoint(row[0]), *row[1:]) for row in rows}
    return [known.get(each, Standing(each, None, None, 0, None)) for each in Endpoint]


_OPEN_NOW = Gauge(
    "yingwei_ordering_breaker_open",
    "1 while an endpoint of the ordering system is left alone.",
    ["endpoint"],
)
_TIMES_OPENED = Gauge(
    "yingwei_ordering_breaker_times_opened", "How often that has come about.", ["endpoint"]
)


async def refresh_figures(session: AsyncSession) -> None:
    """Set the figures of the metrics to how every endpoint stands now."""
    for standing in await standings(session):
        _OPEN_NOW.labels(standing.endpoint).set(standing.open_until is not None)
        _TIMES_OPENED.labels(standing.endpoint).set(standing.times_opened)
