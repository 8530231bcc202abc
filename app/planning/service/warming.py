"""Having the planning kernel's machine code at hand before the first plan needs it."""

import asyncio
import sys
from pathlib import Path

import numpy as np

from app.core.log import log
from app.dispatch.solver import Problem, Technicians, Visits, travel_by_speed
from app.dispatch.solver.jit import CACHE
from app.dispatch.solver.solve import Budget, solve


def plan_next_to_nothing() -> None:
    """Run the kernel on two visits of one person: it is loaded, and compiled where it was not."""
    problem = Problem(
        Visits.of([0, 1], 1_800),
        Technicians.of([2], 0, 30_000, lunch_from=9_000, lunch_until=12_000, lunch_length=1_800),
        travel_by_speed([0, 500, 0], [0, 0, 500], metres_per_second=5),
        np.zeros((1, 1), np.uint8),
    )
    solve(problem, Budget(iterations=1))


async def warm() -> None:
    """Load the kernel into this process, in a thread. Compiling it, which takes half a minute and
    would keep other threads from running, is left to a process of its own that gives way to all
    others: whoever comes first on a new machine shall not notice it."""
    if not await asyncio.to_thread(_is_compiled):
        log.info("the planning kernel is being compiled")
        code = (
            "import os; os.nice(19)\n"
            f"from {__name__} import plan_next_to_nothing; plan_next_to_nothing()"
        )
        compiling = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
        try:
            await compiling.wait()
        finally:
            if compiling.returncode is None:
                compiling.kill()
    await asyncio.to_thread(plan_next_to_nothing)


def _is_compiled() -> bool:
    return any(Path(CACHE).rglob("kernel.anneal*.nbi"))
