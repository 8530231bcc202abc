"""The demo as a newcomer meets it: one command, a printed day, Ctrl-C; and the same once more."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PLAYED = "Stop with Ctrl-C"


def run_demo(folder: Path) -> tuple[str, int]:
    """Run the demo until it serves, press Ctrl-C, and give what it printed and its exit code."""
    # Few people and a short day: who signs in, and whose phone is compared, is what takes long.
    day = ["--orders", "40", "--seconds", "10", "--technicians", "24"]
    command = [sys.executable, "-m", "app.cli", "demo", *day]
    environment = {k: v for k, v in os.environ.items() if k != "DATABASE_URL"}
    running = subprocess.Popen(
        [*command, "--folder", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**environment, "COLUMNS": "120"},
        start_new_session=True,
    )
    assert running.stdout is not None
    printed = ""
    with running:
        for line in running.stdout:
            printed += line
            if PLAYED in line:
                running.send_signal(signal.SIGINT)
    return printed, running.wait(60)


def left_behind(folder: Path) -> list[str]:
    """List the commands of living processes that name the demo's folder."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = place.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            environment = (place.parent / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(folder) in command or str(folder) in environment:
            found.append(command)
    return found


def figures(printed: str) -> dict[str, str]:
    """Read the rows of the printed table that a second run must not change.

    Who has what nobody had is not among them: the worker goes on trying.
    """
    wanted = ("Orders 工单", "completed", "Sales 随销", "In the ordering system 已同步")
    rows = {}
    for name in wanted:
        hit = re.search(rf"│\s+{re.escape(name)}\s+│\s+([\d,]+)", printed)
        rows[name] = hit[1] if hit else "missing"
    return rows


# Two starts of four processes and a day: on a machine with much else to do it takes minutes.
@pytest.mark.timeout(900)
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for what is left behind in /proc")
def test_a_day_is_played_once_and_ctrl_c_leaves_nothing_behind(tmp_path):
    first, code = run_demo(tmp_path / "demo")
    assert "Every order and every sale is accounted for" in first
    assert "Every picture, terminal and line is there exactly once" in first
    assert code == 130
    assert left_behind(tmp_path) == []
    assert figures(first)["Orders 工单"] == "40"

    # Nothing is played again: what is left is starting, comparing and printing.
    second, _ = run_demo(tmp_path / "demo")
    assert "0 orders in, 0 done" in second
    assert "(0 rows new)" in second
    assert "Every order and every sale is accounted for" in second
    assert "Every picture, terminal and line is there exactly once" in second
    assert figures(second) == figures(first)
    assert left_behind(tmp_path) == []
