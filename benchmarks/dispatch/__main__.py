"""The command line: the kernel beside PyVRP, VROOM and OR-Tools, in one table of marks."""

import argparse
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console

from app.dispatch.solver import judge
from app.dispatch.solver.districts import solve_districts
from benchmarks import machine, report
from benchmarks.dispatch import province, vrptw
from benchmarks.dispatch.engines import ENGINES
from benchmarks.dispatch.run import Outcome, replan, run_branch, run_instance, warm_up
from benchmarks.report import Figure

FULL_CPU_S, SHORT_CPU_S = 110.0, 10.0
"""Processor time for the whole province at scale 1."""
INSTANCE_CPU_S = 5.0
REPLAN_CPU_S = 2.5
MOVED = 900
"""Price of moving a visit of the published plan in the replanning: a quarter of an hour."""
OTHERS = [name for name in ENGINES if name != "kernel"]
GAPS = {100: 0.5, 200: 1.3, 400: 2.0, 1_000: 4.5}

Pool = ProcessPoolExecutor


def gather(pool: Pool, task: Callable[..., Any], calls: list[tuple[Any, ...]]) -> list[Any]:
    """Run a task with each of the arguments, two at a time."""
    return [waiting.result() for waiting in [pool.submit(task, *call) for call in calls]]


def compare(
    console: Console, pool: Pool, scale: float, seed: int, engines: list[str]
) -> list[Figure]:
    """Plan every branch of the province with every engine, in equal processor time."""
    count = province.branches(scale)
    each_visit = FULL_CPU_S / province.ORDERS
    sums: dict[str, Outcome] = {}
    runs = [(engine, engine, each_visit) for engine in engines]
    runs.append(("kernel, 10 s", "kernel", each_visit * SHORT_CPU_S / FULL_CPU_S))
    for name, engine, cpu in runs:
        sums[name] = _sum(gather(pool, run_branch, [(engine, seed, b, cpu) for b in range(count)]))
        console.print(f"{name}: {sums[name]}", style="dim", highlight=False)
    best = min((sums[name] for name in OTHERS if name in sums), key=lambda s: s.cost)
    rows = [
        [
            name,
            f"{total.cost / 3600:,.1f}",
            f"{total.cost / best.cost:.3f}",
            str(total.unplaced),
            f"{total.cpu_seconds:.0f}",
            str(total.broken),
        ]
        for name, total in sums.items()
    ]
    title = f"A province-day: {count} branches, {best.visits:,} orders, seed {seed}"
    columns = [
        "engine",
        "cost, h",
        f"x {best.engine}",
        "unplaced",
        "CPU, s",
        "broken before mending",
    ]
    report.table(console, title, columns, rows)
    ours = sums["kernel"]
    fewest = min(sums[name].unplaced for name in OTHERS if name in sums)
    figures = [
        Figure("province: cost beside the best of the others", ours.cost / best.cost, "x", 0.93),
        Figure(
            "province: unplaced beside the fewest of the others",
            ours.unplaced / max(1, fewest),
            "x",
            0.6,
        ),
    ]
    if "VROOM" in sums:
        short = sums["kernel, 10 s"].cost / sums["VROOM"].cost
        figures.append(
            Figure("province in a tenth of the time, beside VROOM's full", short, "x", 1)
        )
    return figures


def _sum(outcomes: list[Outcome]) -> Outcome:
    return Outcome(
        outcomes[0].engine,
        sum(o.cost for o in outcomes),
        sum(o.visits for o in outcomes),
        sum(o.unplaced for o in outcomes),
        sum(o.cpu_seconds for o in outcomes),
        sum(o.broken for o in outcomes),
    )


def whole(console: Console, scale: float, seed: int) -> list[Figure]:
    """Plan the province as a user does: two processes, wall time and memory of all of them."""
    began = time.perf_counter()
    problems = [province.branch(seed, number) for number in range(province.branches(scale))]
    made = time.perf_counter()
    share = sum(problem.n for problem in problems) / province.ORDERS
    found = solve_districts(problems, FULL_CPU_S * share, seed=seed, workers=2)
    wall = time.perf_counter() - made
    # The largest a finished child was, for each of two, and this process with all problems in it.
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 2
    used += resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for problem, plan in zip(problems, found, strict=True):
        assert not judge(problem, plan.plan).breaches
    console.print(
        f"Problems made in {made - began:.1f} s; planned in {wall:.1f} s on two processes.",
        highlight=False,
    )
    return [
        Figure(f"province at scale {scale:g}: wall time", wall, "s", 120 * share),
        Figure("memory of all processes", used / 1024, "MiB", 600),
    ]


def instances(console: Console, pool: Pool, folder: Path, each: int, seed: int) -> list[Figure]:
    """Mean gap to the best known distance at each size, beside PyVRP in the same run."""
    figures, rows = [], []
    for size, chosen in vrptw.chosen(folder, each).items():
        if not chosen:
            continue
        gaps = {}
        for engine in ("kernel", "PyVRP"):
            calls = [(engine, path, INSTANCE_CPU_S, seed) for path, _ in chosen]
            outcomes = gather(pool, run_instance, calls)
            gaps[engine] = [
                100 * (outcome.cost / best - 1)
                for outcome, (_, best) in zip(outcomes, chosen, strict=True)
            ]
        means = {engine: statistics.fmean(values) for engine, values in gaps.items()}
        console.print(f"{size} customers: {means}", style="dim", highlight=False)
        rows += [
            [
                f"{size}, {engine}",
                f"{means[engine]:.2f}",
                f"{max(gaps[engine]):.2f}",
                str(len(chosen)),
            ]
            for engine in gaps
        ]
        figures.append(Figure(f"{size} customers: mean gap", means["kernel"], "%", GAPS[size]))
        worse = means["kernel"] - means["PyVRP"]
        figures.append(Figure(f"{size} customers: beyond PyVRP's gap", worse, "%", 0))
    title = f"Published instances, {INSTANCE_CPU_S:g} s of CPU each"
    report.table(console, title, ["customers, engine", "mean gap, %", "worst", "instances"], rows)
    return figures


def events(pool: Pool, scale: float, seed: int) -> list[Figure]:
    """Plan branches anew after an event, with the price of moving at a quarter of an hour."""
    count = min(20, province.branches(scale))
    done = gather(pool, replan, [(seed, number, REPLAN_CPU_S, MOVED) for number in range(count)])
    moved = 100 * sum(r.moved for r in done) / max(1, sum(r.others for r in done))
    longest = max(r.cpu_seconds for r in done)
    return [
        Figure("a branch planned anew: CPU, longest", longest, "s", 3),
        Figure("a branch planned anew: others moved", moved, "%", 5),
    ]


def main() -> int:
    """Run the benchmark; the exit code tells whether it ran, not whether marks were met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dispatch", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the province, e.g. 0.1")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--instances", type=Path, help="folder of published instances (README)")
    parser.add_argument("--each", type=int, default=2, help="instances of each class and size")
    parser.add_argument("--only", choices=["province", "whole", "instances", "events"])
    given = parser.parse_args()
    console = Console(width=100)
    console.print(" · ".join(f"{name} {fact}" for name, fact in machine.facts().items()))
    figures: list[Figure] = []
    warm_up()  # so that the workers find the machine code on disk
    if given.only in (None, "whole"):
        figures += whole(console, given.scale, given.seed)
    with Pool(2, multiprocessing.get_context("spawn"), warm_up) as pool:
        if given.only in (None, "province"):
            figures += compare(console, pool, given.scale, given.seed, list(ENGINES))
        if given.only in (None, "events"):
            figures += events(pool, given.scale, given.seed)
        if given.instances and given.only in (None, "instances"):
            figures += instances(console, pool, given.instances, given.each, given.seed)
    report.marks(console, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
