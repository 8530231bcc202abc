"""yingwei: the command line of the product."""

import signal
import sys
from collections.abc import Sequence

import typer

from app.cli import (
    accounts,
    customers,
    days,
    documents,
    grids,
    loading,
    phones,
    serving,
    simulators,
)
from app.core.cluster import ClusterFailed, PostgresMissing
from app.core.errors import Problem

cli = typer.Typer(
    no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False
)
for room in (serving, simulators, documents, accounts, days, loading):
    cli.add_typer(room.cli)


def _tables() -> None:
    """Load every room's tables: foreign keys reach into rooms that a command does not name."""
    import app.tables  # noqa: F401 - it is loaded for what it registers


for name, group, about in (
    ("grids", grids.grids, "Grids: layers in and out, addresses that follow, growth."),
    ("privacy", customers.privacy, "Persons' data: export, erase, and forget what is over."),
    ("travel", days.travel, "How long ways take."),
    ("policy", customers.policy, "What suggestions learn, and who lets it decide."),
    ("lifecycle", customers.lifecycle, "Where customers stand."),
    ("sync", phones.sync, "Phones that work offline."),
):
    cli.add_typer(group, name=name, help=about, callback=_tables)


def _ended(number: int, _frame: object) -> None:
    sys.exit(128 + number)


def main() -> None:
    """Run the command line; refusals are shown in words, with exit code 1 or 2 (install first)."""
    # A request to stop is a normal end, so that what was started is stopped too.
    for asked in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(asked, _ended)
    run()


def run(words: Sequence[str] | None = None) -> None:
    """Run one command, of the process's own words unless given; it ends with SystemExit."""
    try:
        cli(words)
    except Problem as problem:
        print(f"{problem.title.zh} · {problem.title.en}", file=sys.stderr)
        print(f"{problem.detail('zh')}\n{problem.detail('en')}", file=sys.stderr)
        sys.exit(1)
    except (PostgresMissing, ClusterFailed) as failed:
        print(failed, file=sys.stderr)
        sys.exit(failed.exit_code)
