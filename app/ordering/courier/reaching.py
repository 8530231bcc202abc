"""How a process reaches the ordering system: the client of the settings, and a worker's courier."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.core.jobs import Worker
from app.core.settings import Settings
from app.ordering.client import OrderingClient
from app.ordering.client.codec import Version
from app.ordering.client.sign_in import sign_in_of, tls_of
from app.ordering.courier import Courier
from app.ordering.delivery import Endpoint
from app.ordering.rules import Cause, NotSent, OrderingFailed

Told = TypeVar("Told")


async def courier_of(worker: Worker) -> Courier:
    """Give the worker's courier, made when it is first needed."""
    return await worker.keep("ordering", lambda: Courier(worker, client_of(worker.settings)))


def client_of(settings: Settings) -> OrderingClient:
    """Make a client of the ordering system that the settings name; whoever makes it closes it."""
    tls = tls_of(settings)
    return OrderingClient(
        settings.ordering_url,
        sign_in=sign_in_of(settings, tls),
        version=Version(settings.ordering_version),
        search_by=settings.ordering_search_by,
        requests_per_second=settings.ordering_requests_per_second,
        time_limit=settings.ordering_timeout_seconds,
        connections=settings.ordering_concurrency * 2,
        tls=tls,
    )


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
