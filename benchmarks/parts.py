"""What can be measured through the API and PostgreSQL, by name."""

import os
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import Any

from benchmarks import (
    board,
    context,
    day,
    growth,
    intake,
    lifecycle,
    locate,
    machine,
    maps,
    moves,
    ordering,
    outages,
    placing,
    planning,
    relocation,
    replan,
    sale,
    slots,
    streams,
    suggesting,
    sync,
    travel,
)
from benchmarks.report import Figure
from benchmarks.stand import Stand

PARTS: dict[str, tuple[Callable[[Stand, Any], Awaitable[list[Figure]]], Any, Any]] = {
    "intake": (intake.measure, intake.FULL, intake.QUICK),
    "locate": (locate.measure, locate.FULL, locate.QUICK),
    "day": (day.measure, day.FULL, day.QUICK),
    "sale": (sale.measure, sale.FULL, sale.QUICK),
    "ordering": (ordering.measure, ordering.FULL, ordering.QUICK),
    "relocation": (relocation.measure, relocation.FULL, relocation.QUICK),
    "maps": (maps.measure, maps.FULL, maps.QUICK),
    "growth": (growth.measure, growth.FULL, growth.QUICK),
    "placing": (placing.measure, placing.FULL, placing.QUICK),
    "streams": (streams.measure, streams.FULL, streams.QUICK),
    "slots": (slots.measure, slots.FULL, slots.QUICK),
    "moves": (moves.measure, moves.FULL, moves.QUICK),
    "planning": (planning.measure, planning.FULL, planning.QUICK),
    "board": (board.measure, board.FULL, board.QUICK),
    "travel": (travel.measure, travel.FULL, travel.QUICK),
    "outages": (outages.measure, outages.FULL, outages.QUICK),
    "context": (context.measure, context.FULL, context.QUICK),
    "suggestions": (suggesting.measure, suggesting.FULL, suggesting.QUICK),
    "replan": (replan.measure, replan.FULL, replan.QUICK),
    "sync": (sync.measure, sync.FULL, sync.QUICK),
    "lifecycle": (lifecycle.measure, lifecycle.FULL, lifecycle.QUICK),
}


async def measure(ground: Stand, parts: Sequence[str], *, quick: bool = False) -> list[Figure]:
    """Measure parts one after the other; print, and return the figures that have marks."""
    figures: list[Figure] = []
    for part in parts:
        measured, plan, quick_plan = PARTS[part]
        began, idle, ours = perf_counter(), machine.idle_seconds(), _ours(ground)
        figures += await measured(ground, quick_plan if quick else plan)
        capacity = (perf_counter() - began) * (os.cpu_count() or 1)
        others = capacity - (machine.idle_seconds() - idle) - (_ours(ground) - ours)
        ground.console.print(
            f"Meanwhile other programs used {max(0.0, others) / capacity:.0%} of this machine's "
            "processors; they slow everything down, ratios least.\n",
            highlight=False,
        )
    return figures


def _ours(ground: Stand) -> float:
    """Processor time of the benchmark so far, its servers that have ended and PostgreSQL."""
    return machine.own_cpu_seconds() + ground.postgres_cpu()
