"""What policies do after a commit and at night, each in a process of its own: neither the API nor
the worker ever holds a season of answers, or the processor for a minute."""

import asyncio
import os
import sys
from uuid import UUID

from app.auth import audit
from app.core.jobs import Worker
from app.core.log import log
from app.policies.queries import registry
from app.policies.service import alerting, evaluating, night

# The arithmetic of one process shall not take every processor of the machine.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


async def learn(worker: Worker) -> None:
    """Have the last night done, if it is not; alert whoever answers for all units for as long as a
    part of it fails, which is tried again each time."""
    now = worker.clock.now()
    async with worker.database.read() as read:
        until = await night.due(read, now)
    failed = until is not None and await _apart(worker, "learn", "--quiet")
    async with worker.database.begin() as tx:
        audit.acting(tx, "policies.learn")
        if until is not None and not failed and await night.due(tx, now) is not None:
            # Another worker is at a part of it: what was said of that stands until it is done.
            return
        await alerting.night_failed(tx, until if failed else None, now)


async def evaluation_asked(worker: Worker, evaluation_id: str) -> None:
    """Have an evaluation worked out; what could not be is said to whoever asked."""
    code = await _apart(worker, "work-out", evaluation_id)
    if code:
        async with worker.database.begin() as tx:
            audit.acting(tx, "policies.evaluate")
            error = f"the process ended with code {code}"
            await evaluating.give_up(tx, UUID(evaluation_id), error, worker.clock.now())


async def drifted(worker: Worker, version: str) -> None:
    """Have the newest candidate evaluated, so that whoever hears of a drift has a choice."""
    async with worker.database.begin() as tx:
        audit.acting(tx, "policies.drifted")
        candidate = await registry.newest_candidate(tx)
        if candidate is not None:
            await evaluating.ask(
                tx,
                candidate.version,
                since=None,
                until=None,
                account_id=None,
                now=worker.clock.now(),
            )


async def _apart(worker: Worker, *words: str) -> int:
    """Run `yingwei policy` in a process that gives way to all others; return its exit code."""
    code = "import os; os.nice(10); from app.cli import main; main()"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        code,
        "policy",
        *words,
        env={
            **os.environ,
            **_ENVIRONMENT,
            "DATABASE_URL": worker.settings.database_url,
            "YINGWEI_CLOCK": worker.settings.clock,
        },
    )
    try:
        ended = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
    if ended:
        log.error("a process of policies failed", did=words[0], code=ended)
    return ended
