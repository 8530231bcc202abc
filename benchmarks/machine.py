"""What the machine is, and how much processor time each process has used (Linux alone)."""

import os
import platform
import resource
import sys
import time
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")


class NotMeasurable(Exception):
    """Processor time of other processes cannot be read here; the words say why."""

    exit_code = 2


def check() -> None:
    """Make sure that processor time can be read. Raises NotMeasurable."""
    if not (PROC / "self/stat").exists():
        raise NotMeasurable(
            "The benchmarks read the processor time of processes from /proc, which only Linux "
            "has. Run them in a container: docker run -v $PWD:/src -w /src python:3.12 make bench"
        )


def cpu_seconds(pid: int) -> float:
    """Return the processor time (user + system, seconds) that a process has used so far.

    It is read from the process's own CPU clock, whose id is made from the pid as glibc's
    `clock_getcpuclockid` does: utime + stime of /proc to the nanosecond, where that file counts
    in hundredths of a second.
    """
    return time.clock_gettime((~pid << 3) | 2)


def _stat(pid: int) -> list[str]:
    """Read the fields of /proc/PID/stat from the third on (the second may hold spaces)."""
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def parent(pid: int) -> int:
    """Return the parent of a process."""
    return int(_stat(pid)[1])


def family_cpu_seconds(pid: int) -> float:
    """Return the processor time of a process, its children, and those that have ended already.

    For PostgreSQL's first process this is all that the cluster has used: backends, WAL writer,
    checkpointer and the rest.
    """
    fields = _stat(pid)
    ended = (int(fields[13]) + int(fields[14])) / TICKS
    total = cpu_seconds(pid) + ended
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if parent(int(entry.name)) == pid:
                total += cpu_seconds(int(entry.name))
        except (OSError, IndexError):  # it has ended meanwhile
            continue
    return total


def idle_seconds() -> float:
    """Return the time all cores together have been idle since the start, in seconds."""
    fields = (PROC / "stat").read_text().split("\n", 1)[0].split()
    return (int(fields[4]) + int(fields[5])) / TICKS


def own_cpu_seconds() -> float:
    """Return the processor time of this process and of its children that have ended."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def facts() -> dict[str, str]:
    """Say what the machine is, without names or paths."""
    model = ""
    for line in (PROC / "cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return {
        "processor": f"{model or platform.machine()}, {os.cpu_count()} cores",
        "memory": f"{memory:.0f} GiB",
        "system": f"Linux {platform.release()}",
        "Python": sys.version.split()[0],
    }
