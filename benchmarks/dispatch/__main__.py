"""The command line: the kernel beside PyVRP, VROOM and OR-Tools, and what dispatch does for one
request, in one table of marks."""

import argparse
import multiprocessing
import statistics
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.dispatch.solver import judge
from app.dispatch.solver.districts import solve_districts
from benchmarks import machine, report
from benchmarks.dispatch import province, vrptw
from benchmarks.dispatch.engines import ENGINES
from benchmarks.dispatch.run import Outcome, replan, run_branch, run_instance, warm_up
from benchmarks.dispatch.watch import Watch
from benchmarks.report import Figure

PARTS = ("whole", "province", "events", "requests", "instances")
REQUESTS = ("placing", "replan", "board", "slots")
"""What is measured through the API and PostgreSQL, at the full size of each."""
WORKERS = 2
FULL_CPU_S, SHORT_CPU_S = 110.0, 10.0
"""Processor time for the whole province at scale 1."""
INSTANCE_CPU_S = 5.0
REPLAN_CPU_S = 2.5
MOVED = 900
"""Price of moving a visit of the published plan in the replanning: a quarter of an hour."""
OTHERS = [name for name in ENGINES if name != "kernel"]
SHORT = "kernel, a tenth of the time"
GAPS = {100: 0.5, 200: 1.3, 400: 2.0, 1_000: 4.5}

Table = tuple[str, list[str], list[list[str]]]


class Bench:
    """What all parts share: who calculates, how far it is, and the tables of what was seen."""

    def __init__(self, console: Console, pool: ProcessPoolExecutor) -> None:
        self.console, self.pool = console, pool
        self.details: list[Table] = []

    def progress(self) -> Progress:
        """Make a progress bar that is gone when its work is done."""
        return Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            # Drawing costs processor time on the machine that is being measured.
            refresh_per_second=2,
            disable=not self.console.is_terminal,
        )

    def gather(self, words: str, task: Callable[..., Any], calls: list[tuple[Any, ...]]) -> Any:
        """Run a task with each of the arguments, so many at a time as there are workers."""
        with self.progress() as shown:
            bar = shown.add_task(words, total=len(calls))
            waiting = [self.pool.submit(task, *call) for call in calls]
            for _done in as_completed(waiting):
                shown.advance(bar)
        return [one.result() for one in waiting]


def compare(bench: Bench, scale: float, seed: int) -> list[Figure]:
    """Plan every branch of the province with every engine, in equal processor time."""
    count = province.branches(scale)
    each_visit = FULL_CPU_S / province.ORDERS
    sums: dict[str, Outcome] = {}
    runs = [(engine, engine, each_visit) for engine in ENGINES]
    runs.append((SHORT, "kernel", each_visit * SHORT_CPU_S / FULL_CPU_S))
    for name, engine, cpu in runs:
        calls = [(engine, seed, number, cpu) for number in range(count)]
        sums[name] = _sum(bench.gather(f"A province-day by {name}", run_branch, calls))
    best = min((sums[name] for name in OTHERS), key=lambda total: total.cost)
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
    bench.details.append((title, columns, rows))
    ours = sums["kernel"]
    fewest = min(sums[name].unplaced for name in OTHERS)
    short = sums[SHORT].cost / sums["VROOM"].cost
    return [
        Figure("province: cost beside the best of the others", ours.cost / best.cost, "x", 0.93),
        Figure(
            "province: unplaced beside the fewest of the others",
            ours.unplaced / max(1, fewest),
            "x",
            0.6,
        ),
        Figure("province in a tenth of the time, beside VROOM's full", short, "x", 1),
    ]


def _sum(outcomes: list[Outcome]) -> Outcome:
    return Outcome(
        outcomes[0].engine,
        sum(o.cost for o in outcomes),
        sum(o.visits for o in outcomes),
        sum(o.unplaced for o in outcomes),
        sum(o.cpu_seconds for o in outcomes),
        sum(o.broken for o in outcomes),
    )


def whole(bench: Bench, scale: float, seed: int) -> list[Figure]:
    """Plan the province as a user does: two processes, wall time and memory of all of them."""
    problems = [province.branch(seed, number) for number in range(province.branches(scale))]
    share = sum(problem.n for problem in problems) / province.ORDERS
    with bench.progress() as shown, Watch() as watch:
        bar = shown.add_task("A province-day as a user plans it", total=len(problems))
        found = solve_districts(
            problems,
            FULL_CPU_S * share,
            seed=seed,
            workers=WORKERS,
            on_done=lambda _district, _found: shown.advance(bar),
        )
    for problem, plan in zip(problems, found, strict=True):
        assert not judge(problem, plan.plan).breaches
    bench.console.print(f"Planning {len(problems)} branches: {watch.words()}.", highlight=False)
    where = f"province at scale {scale:g}"
    return [
        Figure(f"{where}: wall time on two processes", watch.wall_s, "s", 120 * share),
        Figure(f"{where}: memory of all processes", watch.peak_mib, "MiB", 600),
    ]


def instances(bench: Bench, folder: Path, each: int, seed: int) -> list[Figure]:
    """Mean gap to the best known distance at each size, beside PyVRP in the same run."""
    figures, rows = [], []
    for size, chosen in vrptw.chosen(folder, each).items():
        if not chosen:
            continue
        gaps = {}
        for engine in ("kernel", "PyVRP"):
            calls = [(engine, path, INSTANCE_CPU_S, seed) for path, _ in chosen]
            outcomes = bench.gather(f"{size} customers by {engine}", run_instance, calls)
            gaps[engine] = [
                100 * (outcome.cost / best - 1)
                for outcome, (_, best) in zip(outcomes, chosen, strict=True)
            ]
        means = {engine: statistics.fmean(values) for engine, values in gaps.items()}
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
    columns = ["customers, engine", "mean gap, %", "worst", "instances"]
    bench.details.append((title, columns, rows))
    return figures


def events(bench: Bench, scale: float, seed: int) -> list[Figure]:
    """Plan branches anew after an event, with the price of moving at a quarter of an hour."""
    count = min(20, province.branches(scale))
    calls = [(seed, number, REPLAN_CPU_S, MOVED) for number in range(count)]
    done = bench.gather("Branches planned anew after an event", replan, calls)
    moved = 100 * sum(r.moved for r in done) / max(1, sum(r.others for r in done))
    longest = max(r.cpu_seconds for r in done)
    return [
        Figure("a branch planned anew: CPU, longest", longest, "s", 3),
        Figure("a branch planned anew: others moved", moved, "%", 5),
    ]


def requests(console: Console) -> list[Figure]:
    """Measure what dispatch does for one request, on a database of its own."""
    # The application is loaded only here: every process that calculates would load it as well.
    import uvloop

    from benchmarks.parts import measure
    from benchmarks.stand import stand

    with stand(console) as ground:
        return uvloop.run(measure(ground, REQUESTS))


def main() -> int:
    """Run the benchmark; the exit code tells whether it ran, not whether marks were met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dispatch", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the province, e.g. 0.1")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--instances", type=Path, help="folder of published instances (README)")
    parser.add_argument("--each", type=int, default=2, help="instances of each class and size")
    parser.add_argument("--only", choices=PARTS, action="append", help="a part, or several")
    given = parser.parse_args()
    parts = given.only or [part for part in PARTS if part != "instances" or given.instances]
    if "instances" in parts and given.instances is None:
        parser.error("--only instances needs --instances FOLDER (see README.md beside this)")
    console = Console(width=100)
    machine.check()
    console.print(" · ".join(f"{name} {fact}" for name, fact in machine.facts().items()))
    warm_up()  # so that the workers find the machine code on disk
    figures: list[Figure] = []
    with (
        ProcessPoolExecutor(WORKERS, multiprocessing.get_context("spawn"), warm_up) as pool,
        Watch() as watch,
    ):
        bench = Bench(console, pool)
        if "whole" in parts:  # first, while the pool has no process yet
            figures += whole(bench, given.scale, given.seed)
        if "province" in parts:
            figures += compare(bench, given.scale, given.seed)
        if "events" in parts:
            figures += events(bench, given.scale, given.seed)
        if "instances" in parts:
            figures += instances(bench, given.instances, given.each, given.seed)
    if "requests" in parts:
        figures += requests(console)
    for title, columns, rows in bench.details:
        report.table(console, title, columns, rows)
    report.marks(console, figures)
    if set(parts) != {"requests"}:
        console.print(f"The kernel's parts: {watch.words()}.", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
