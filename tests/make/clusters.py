"""Clusters of a test's own, which it may stop, kill and start anew."""

import os
import signal
import subprocess
from contextlib import suppress

from app.core.cluster import Cluster
from app.migrating import upgrade


def with_tables(cluster: Cluster) -> str:
    """Make the product's database on a cluster; return its address."""
    url = cluster.create_database("yingwei")
    upgrade(url)
    return url


def kill(cluster: Cluster) -> None:
    """Kill all of a cluster's server with SIGKILL, as when its machine goes off, and be none of its
    users any more: `start` starts it again.

    The postmaster stands still meanwhile: who sees it gone ends in order, and gives up locks for
    which others have waited, who then go on to their end.
    """
    pid_file = cluster.home / "data" / "postmaster.pid"
    postmaster = int(pid_file.read_text().split("\n", 1)[0])
    os.kill(postmaster, signal.SIGSTOP)
    found = subprocess.run(
        ["pgrep", "-P", str(postmaster)], capture_output=True, text=True, check=True
    )
    for pid in found.stdout.split():
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    os.kill(postmaster, signal.SIGKILL)
    cluster.stop()
