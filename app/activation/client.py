"""The way out to the activation platform: ask under a key, look a key up, test a line."""

import contextlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.activation.rules import (
    ActivationCode,
    ActivationState,
    Answered,
    LineNotKnown,
    LineTest,
    LineTestUnavailable,
)
from app.core.jobs import Worker
from app.core.outside import Failed, Failure, NoAnswer, Outside, Reply, Unreadable, failed, tidy

# How long a technician waits for a test of the line, in seconds.
LINE_TEST_SECONDS = 3.0

# What a worker keeps open to the platform at most.
CONNECTIONS = 32

# The states on the wire; whatever else the platform says of itself, it is still at it.
_STATES = {
    "provisioned": ActivationState.PROVISIONED,
    "failed": ActivationState.FAILED,
    "in_progress": ActivationState.UNDER_WAY,
}


@dataclass(frozen=True)
class Ask:
    """What the platform is asked for: this terminal on this line. `id` is the key."""

    id: UUID
    loid: str | None
    service_number: str | None
    serial_number: str
    order_number: str
    offering_code: str | None
    speed_mbps: int | None


class ActivationClient(Outside):
    """One activation platform's API; `base_url` ends where `/activations` begins.

    Every verb but `test_line` raises `core.outside.Failed`, and nothing else of its own.
    """

    async def ask(self, ask: Ask) -> Answered:
        """Ask for a line to be opened; the same key a second time is the same activation."""
        body: dict[str, Any] = {**vars(ask), "id": str(ask.id)}
        reply = await self._told(
            "POST", "activations", body=body, headers={"Idempotency-Key": str(ask.id)}
        )
        if not 200 <= reply.status < 300:
            raise failed(reply)
        return _read(reply)

    async def find(self, activation_id: UUID) -> Answered | None:
        """Look an ask up by its key; None means that the platform surely does not have it."""
        reply = await self._told("GET", f"activations/{activation_id}")
        if reply.status == 404 and _code(reply):
            # Without a code of the platform's own, a gateway speaks that knows no such path.
            return None
        if reply.status != 200:
            raise failed(reply)
        return _read(reply)

    async def test_line(
        self, loid: str | None = None, *, service_number: str | None = None
    ) -> LineTest:
        """Test a line right now. Raises LineTestUnavailable and LineNotKnown."""
        body = {"loid": loid, "service_number": service_number}
        try:
            reply = await self._told("POST", "line-tests", body=body)
            if reply.status == 404 and _code(reply):
                raise LineNotKnown()
            if reply.status != 200:
                raise failed(reply)
            return _read_test(reply)
        except Failed as lost:
            wait = int(lost.retry_after.total_seconds()) if lost.retry_after else 10
            raise LineTestUnavailable(reason=lost.said, retry_after=wait) from lost

    async def _told(self, method: str, path: str, **more: Any) -> Reply:
        try:
            return await self.exchange(method, path, **more)
        except NoAnswer as nothing:
            raise failed(nothing) from nothing


async def platform_of(worker: Worker) -> ActivationClient | None:
    """Give the worker's way to the platform, with its connections; None where none is set."""
    settings = worker.settings
    if not settings.activation_url:
        return None

    def client() -> ActivationClient:
        return ActivationClient(
            settings.activation_url,
            token=settings.activation_token.get_secret_value(),
            time_limit=settings.activation_timeout_seconds,
            connections=CONNECTIONS,
        )

    return await worker.keep("activation", client)


def _object(reply: Reply) -> dict[str, Any]:
    try:
        answer = reply.json()
        if not isinstance(answer, dict):
            raise Unreadable("the answer is not an object")
    except Unreadable as error:
        raise Failed(Failure.UNKNOWN, tidy(f"unreadable: {error}")) from error
    return answer


def _read(reply: Reply) -> Answered:
    answer = _object(reply)
    state = _STATES.get(str(answer.get("state")))
    if state is None:
        raise Failed(Failure.UNKNOWN, tidy(f"unreadable: state {answer.get('state')}"))
    message = answer.get("message")
    said = tidy(message) or None if isinstance(message, str) else None
    if state is not ActivationState.FAILED:
        return Answered(state, None, said)
    given = str(answer.get("code"))
    known = {code.value: code for code in ActivationCode}
    code = known.get(given, ActivationCode.OTHER)
    return Answered(state, code, said or (tidy(given) if code is ActivationCode.OTHER else None))


def _read_test(reply: Reply) -> LineTest:
    answer = _object(reply)
    online, power = answer.get("online"), answer.get("optical_rx_power_dbm")
    if not isinstance(online, bool):
        raise Failed(Failure.UNKNOWN, "unreadable: online is neither true nor false")
    tested_at = None
    # A test without its time is a test all the same.
    with contextlib.suppress(ValueError):
        tested_at = datetime.fromisoformat(str(answer.get("tested_at")))
    message = answer.get("message")
    return LineTest(
        online=online,
        optical_rx_power_dbm=float(power)
        if isinstance(power, int | float) and not isinstance(power, bool)
        else None,
        tested_at=tested_at if tested_at is not None and tested_at.tzinfo else None,
        said=tidy(message) or None if isinstance(message, str) else None,
    )


def _code(reply: Reply) -> str | None:
    try:
        answer = reply.json()
    except Unreadable:
        return None
    code = answer.get("code") if isinstance(answer, dict) else None
    return code if isinstance(code, str) else None
