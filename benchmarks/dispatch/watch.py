"""Under what conditions a run was made: time, load by others, memory of all its processes."""

import os
import threading
import time
from types import TracebackType

from benchmarks import machine

EVERY_S = 0.25
"""How often the memory of all processes is added up."""


def resident_mib() -> float:
    """Return what this process and all its descendants hold in memory now (RSS), in MiB.

    Pages that several of them share, such as the code of libraries, count for each.
    """
    family = [os.getpid()]
    for pid in family:  # it grows while it is walked
        for children in (machine.PROC / str(pid) / "task").glob("*/children"):
            try:
                family += map(int, children.read_text().split())
            except OSError:  # a thread has ended meanwhile
                continue
    pages = 0
    for pid in family:
        try:
            pages += int((machine.PROC / str(pid) / "statm").read_text().split()[1])
        except (OSError, IndexError):
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Watch:
    """Measures what happens inside `with`: wall time, the peak of memory, what others took."""

    def __init__(self) -> None:
        self.wall_s = self.cpu_s = self.others_cores = self.peak_mib = 0.0
        self._over = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "Watch":
        self._began, self._idle = time.perf_counter(), machine.idle_seconds()
        self._used = machine.family_cpu_seconds(os.getpid())
        self._sampler.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._sampler.join()
        self.wall_s = time.perf_counter() - self._began
        self.cpu_s = machine.family_cpu_seconds(os.getpid()) - self._used
        idle = machine.idle_seconds() - self._idle
        busy = self.wall_s * (os.cpu_count() or 1) - idle
        self.others_cores = max(0.0, busy - self.cpu_s) / self.wall_s

    def words(self) -> str:
        """Say the conditions in one line."""
        return (
            f"{self.wall_s:,.0f} s of wall time, {self.cpu_s:,.0f} s of processor time; "
            f"others used {self.others_cores:.1f} of {os.cpu_count()} cores meanwhile"
        )

    def _sample(self) -> None:
        while True:
            self.peak_mib = max(self.peak_mib, resident_mib())
            if self._over.wait(EVERY_S):
                break
