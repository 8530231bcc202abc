"""The command line of the benchmarks."""

import argparse
import signal
import sys

import uvloop
from rich.console import Console

from app.core.cluster import ClusterFailed, PostgresMissing
from benchmarks import machine, report
from benchmarks.load import Unexpected
from benchmarks.parts import PARTS, measure
from benchmarks.stand import stand


def main() -> int:
    """Run the benchmarks; the exit code tells whether they ran, not whether marks were met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("part", nargs="*", help=f"{', '.join(PARTS)}; all when left out")
    parser.add_argument(
        "--quick", action="store_true", help="see whether they run; the figures mean nothing"
    )
    given = parser.parse_args()
    if unknown := set(given.part) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    # A request to end is met like Ctrl-C, so that servers and database are taken down first.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console()
    if not console.is_terminal:
        console = Console(width=100)
    try:
        with stand(console) as ground:
            facts = machine.facts() | {"PostgreSQL": ground.postgres_version}
            console.print(" · ".join(f"{name} {fact}" for name, fact in facts.items()))
            figures = uvloop.run(measure(ground, given.part or list(PARTS), quick=given.quick))
            if figures and not given.quick:
                report.marks(console, figures)
    except (PostgresMissing, ClusterFailed, machine.NotMeasurable) as missing:
        console.print(str(missing), style="red")
        return missing.exit_code
    except KeyboardInterrupt:
        console.print("Stopped; nothing is left behind.")
        return 130
    except Unexpected as failure:
        console.print(f"An unexpected answer: {failure}", style="red")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
