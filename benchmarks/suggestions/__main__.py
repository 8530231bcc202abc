"""The command line of the simulated field."""

import argparse
import signal
import sys
from pathlib import Path

from rich.console import Console

from app.core.cluster import Cluster, ClusterFailed, PostgresMissing
from benchmarks import machine, report
from benchmarks.suggestions import people, tables
from benchmarks.suggestions.field import field_of
from benchmarks.suggestions.oracle import perfect
from benchmarks.suggestions.rehearsal import rehearse
from benchmarks.suggestions.season import POLICIES, season


def main() -> int:
    """Play the field; the exit code tells whether it was played, not whether marks were met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.suggestions", description=__doc__)
    parser.add_argument("policy", nargs="*", help=f"{', '.join(POLICIES)}; all when left out")
    parser.add_argument("--decisions", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--data", type=Path, default=people.SHARED, help="folder of the published rows"
    )
    parser.add_argument(
        "--quick", action="store_true", help="see whether it runs; the figures mean nothing"
    )
    parser.add_argument(
        "--rehearse", action="store_true", help="the service's rules without its database"
    )
    parser.add_argument(
        "--untried", action="store_true", help="rehearse without trying, to tell what that costs"
    )
    parser.add_argument(
        "--troubled", action="store_true", help="faults and complaints everywhere, to try the rules"
    )
    parser.add_argument("--offline", action="store_true", help="foretell, play nothing")
    given = parser.parse_args()
    if unknown := set(given.policy) - set(POLICIES):
        parser.error(f"no such policy: {', '.join(sorted(unknown))}")
    # A request to end is met like Ctrl-C, so that processes and database are taken down first.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console() if sys.stdout.isatty() else Console(width=100)
    console.print(" · ".join(f"{name} {fact}" for name, fact in machine.facts().items()))
    decisions, copies = (400, 1) if given.quick else (given.decisions, 4)
    field = field_of(given.data, decisions, copies=copies, seed=given.seed, troubled=given.troubled)
    console.print(f"The field: {field.said}; {decisions:,} visits, seed {given.seed}.")
    if not field.published:
        console.print("The published rows are not there: the figures mean less.", style="yellow")
    figures = tables.foretold(console, given.data, given.seed)
    try:
        if not given.offline:
            wanted = given.policy or list(POLICIES)
            best = perfect(field)
            if given.rehearse or given.untried:
                played = {
                    name: rehearse(field, best, name, untried=given.untried) for name in wanted
                }
            else:
                with Cluster.throw_away(say=console.print) as cluster:
                    played = dict(season(console, cluster, field, best, wanted))
            figures += tables.played(console, best, played)
    except (PostgresMissing, ClusterFailed) as missing:
        console.print(str(missing), style="red")
        return missing.exit_code
    except KeyboardInterrupt:
        console.print("Stopped; nothing is left behind.")
        return 130
    if not given.quick:
        report.marks(console, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
