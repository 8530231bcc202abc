"""Several policies played side by side, each in a process and a copy of the database of its own."""

import asyncio
import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing.sharedctypes import Synchronized
from time import sleep

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.core.cluster import Cluster
from app.migrating import upgrade
from benchmarks.suggestions import stage
from benchmarks.suggestions.estimates import estimated
from benchmarks.suggestions.field import Field
from benchmarks.suggestions.numbers import Floats
from benchmarks.suggestions.playing import Played, play
from benchmarks.suggestions.policies import POLICIES, ColdStart, Policy

WORKERS = 3
FILLED = "field"

__all__ = ["POLICIES", "season"]

_count: "Synchronized[int] | None" = None


def season(
    console: Console, cluster: Cluster, field: Field, best: Floats, wanted: Sequence[str]
) -> Mapping[str, Played]:
    """Play a field with each of the policies, all at a time: while one asks another reckons."""
    url = cluster.create_database(FILLED)
    upgrade(url)
    asyncio.run(stage.write(url, field))
    urls = {
        name: cluster.create_database(f"field-{place}", template=FILLED)
        for place, name in enumerate(wanted)
    }
    context = multiprocessing.get_context("spawn")
    count = context.Value("q", 0)
    with (
        Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            refresh_per_second=2,
            disable=not console.is_terminal,
        ) as shown,
        ProcessPoolExecutor(min(WORKERS, len(wanted)), context, _begin, (count,)) as pool,
    ):
        bar = shown.add_task("visits played", total=len(wanted) * len(field.visits))
        waiting: dict[str, Future[Played]] = {
            name: pool.submit(_play, urls[name], field, best, name) for name in wanted
        }
        while not all(one.done() for one in waiting.values()):
            sleep(0.5)
            shown.update(bar, completed=count.value)
        return {name: one.result() for name, one in waiting.items()}


def _begin(count: "Synchronized[int]") -> None:
    global _count
    _count = count


def _play(url: str, field: Field, best: Floats, name: str) -> Played:
    policy: Callable[[], Policy] = POLICIES[name]
    return asyncio.run(_played(url, field, best, policy()))


async def _played(url: str, field: Field, best: Floats, policy: Policy) -> Played:
    played = await play(url, field, policy, best, done=_done)
    # Only a log of trying, without learning in between, is one policy's own from end to end.
    if type(policy) is ColdStart:
        played.estimates = await estimated(url, played.asked)
    return played


def _done() -> None:
    if _count is not None:
        with _count.get_lock():
            _count.value += 1
