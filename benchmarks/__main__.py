"""The command line of the benchmarks."""

import argparse
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

import uvloop
from rich.console import Console

from app.core.cluster import ClusterFailed, PostgresMissing
from benchmarks import (
    board,
    day,
    growth,
    intake,
    locate,
    machine,
    maps,
    moves,
    placing,
    planning,
    relocation,
    replan,
    report,
    sale,
    slots,
    travel,
)
from benchmarks.load import Unexpected
from benchmarks.report import Figure
from benchmarks.stand import Stand, stand

PARTS: dict[str, tuple[Callable[[Stand, Any], Awaitable[list[Figure]]], Any, Any]] = {
    "intake": (intake.measure, intake.FULL, intake.QUICK),
    "locate": (locate.measure, locate.FULL, locate.QUICK),
    "day": (day.measure, day.FULL, day.QUICK),
    "sale": (sale.measure, sale.FULL, sale.QUICK),
    "relocation": (relocation.measure, relocation.FULL, relocation.QUICK),
    "maps": (maps.measure, maps.FULL, maps.QUICK),
    "growth": (growth.measure, growth.FULL, growth.QUICK),
    "placing": (placing.measure, placing.FULL, placing.QUICK),
    "slots": (slots.measure, slots.FULL, slots.QUICK),
    "moves": (moves.measure, moves.FULL, moves.QUICK),
    "planning": (planning.measure, planning.FULL, planning.QUICK),
    "board": (board.measure, board.FULL, board.QUICK),
    "travel": (travel.measure, travel.FULL, travel.QUICK),
    "replan": (replan.measure, replan.FULL, replan.QUICK),
}


async def _measure(ground: Stand, parts: list[str], *, quick: bool) -> list[Figure]:
    figures: list[Figure] = []
    for part in parts:
        measure, plan, quick_plan = PARTS[part]
        began, idle, ours = perf_counter(), machine.idle_seconds(), _ours(ground)
        figures += await measure(ground, quick_plan if quick else plan)
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


def main() -> int:
    """Run the benchmarks; the exit code tells whether they ran, not whether marks were met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("part", nargs="*", help=f"{', '.join(PARTS)}; all when left out")
    parser.add_argument(
        "--quick", action="store_true", help="see whether they run; the figures mean nothing"
    )
    given = parser.parse_args()
    if unknown := set(given.part) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    # A request to end is met like Ctrl-C, so that servers and database are taken down first.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console()
    if not console.is_terminal:
        console = Console(width=100)
    try:
        with stand(console) as ground:
            facts = machine.facts() | {"PostgreSQL": ground.postgres_version}
            console.print(" · ".join(f"{name} {fact}" for name, fact in facts.items()))
            figures = uvloop.run(_measure(ground, given.part or list(PARTS), quick=given.quick))
            if figures and not given.quick:
                report.marks(console, figures)
    except (PostgresMissing, ClusterFailed, machine.NotMeasurable) as missing:
        console.print(str(missing), style="red")
        return missing.exit_code
    except KeyboardInterrupt:
        console.print("Stopped; nothing is left behind.")
        return 130
    except Unexpected as failure:
        console.print(f"An unexpected answer: {failure}", style="red")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
