"""How a process reaches the ordering system: the client of the settings, and a worker's courier."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from app.core.db import Database, fetched
from app.core.errors import Unavailable
from app.core.jobs import Worker
from app.core.settings import Settings
from app.ordering.client import OrderingClient
from app.ordering.client.codec import Version
from app.ordering.client.pace import PATIENT_SECONDS
from app.ordering.client.sign_in import sign_in_of, tls_of
from app.ordering.courier import Courier
from app.ordering.delivery import Endpoint
from app.ordering.rules import Cause, NotSent, OrderingFailed

Told = TypeVar("Told")


async def courier_of(worker: Worker) -> Courier:
    """Give the worker's courier, made when it is first needed."""
    return await worker.keep(
        "ordering", lambda: Courier(worker, client_of(worker.settings, worker.database))
    )


def client_of(settings: Settings, database: Database) -> OrderingClient:
    """Make a client of the ordering system that the settings name; whoever makes it closes it.

    What may leave in a second is shared with all others whose settings name the same system.
    """
    tls = tls_of(settings)
    return OrderingClient(
        settings.ordering_url,
        sign_in=sign_in_of(settings, tls),
        version=Version(settings.ordering_version),
        search_by=settings.ordering_search_by,
        requests_per_second=settings.ordering_requests_per_second,
        reserve=partial(reserve, database, settings.ordering_url),
        time_limit=settings.ordering_timeout_seconds,
        connections=settings.ordering_concurrency * 2,
        tls=tls,
    )


async def reserve(database: Database, base_url: str, seconds: float, within: float) -> float | None:
    """Take the next so many seconds of sending to a system that nobody has taken; tells in how many
    seconds they begin. Where that is in more than `within` seconds it takes nothing and tells None.
    Raises NotSent where the database cannot be reached."""
    given = {
        "url": base_url,
        "seconds": seconds,
        "within": within,
        "furthest": 2 * within + seconds + _FURTHEST_SECONDS,
    }
    try:
        async with database.begin() as tx:
            rows = await fetched(tx, _RESERVE, given)
    except Unavailable as away:
        raise NotSent(Cause.TOO_LATE, said="no turn could be had to send it") from away
    return float(rows[0][0]) if rows else None


# So much further ahead than anybody may wait for, nobody takes turns. If the stored time is, the
# database's clock has gone back (a standby took over, or it was set), and turns count from now.
_FURTHEST_SECONDS = 2 * PATIENT_SECONDS

_RESERVE = """
INSERT INTO ordering_pace AS p (base_url, taken_until)
VALUES (%(url)s, clock_timestamp() + make_interval(secs => %(seconds)s))
ON CONFLICT (base_url) DO UPDATE
   SET taken_until = CASE
           WHEN p.taken_until > clock_timestamp() + make_interval(secs => %(furthest)s)
           THEN clock_timestamp()
           ELSE greatest(p.taken_until, clock_timestamp())
       END + make_interval(secs => %(seconds)s)
 WHERE p.taken_until <= clock_timestamp() + make_interval(secs => %(within)s)
    OR p.taken_until > clock_timestamp() + make_interval(secs => %(furthest)s)
RETURNING greatest(
    extract(epoch FROM p.taken_until - clock_timestamp())::float8 - %(seconds)s::float8, 0)
"""


async def asked(
    courier: Courier, question: Callable[[OrderingClient], Awaitable[Told]], endpoint: Endpoint
) -> Told:
    """Ask the other side something, where the breaker lets it pass.

    Raises NotSent, Unknown or Refused.
    """
    answers: list[Told] = []
    failures: list[OrderingFailed] = []

    async def errand() -> object:
        try:
            answers.append(await question(courier.client))
        except OrderingFailed as failed:
            failures.append(failed)
            return failed
        return True

    await courier.run(endpoint, [errand])
    if failures:
        raise failures[0]
    if not answers:
        raise NotSent(Cause.UNREACHABLE, said="it is left alone for a while")
    return answers[0]
