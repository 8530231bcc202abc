"""Clusters of a test's own, which it may stop, kill and start anew."""

import os
import signal

from app.core.cluster import Cluster
from app.migrating import upgrade


def with_tables(cluster: Cluster) -> str:
    """Make the product's database on a cluster; return its address."""
    url = cluster.create_database("yingwei")
    upgrade(url)
    return url


def kill(cluster: Cluster) -> None:
    """Kill a cluster's server with SIGKILL, and be none of its users any more: `start` starts it
    again."""
    pid_file = cluster.home / "data" / "postmaster.pid"
    os.kill(int(pid_file.read_text().split("\n", 1)[0]), signal.SIGKILL)
    cluster.stop()
