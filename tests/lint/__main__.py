"""`make lint-openapi`: hold api_docs/openapi.json against OWASP's and Zalando's rules, by Spectral.

Exit code 0: nothing was found. 1: something was, and the table says what and where. 3: this machine
lacks node or npm, or the registry does not answer.
"""

import json
import shutil
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.clients.tools import FailedError, LeftOutError, needs, packages_of_npm, run

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
OUT = ROOT / ".local" / "lint"
DOCUMENT = ROOT / "api_docs" / "openapi.json"
RULES = "spectral.yaml"
SHOWN = 5


def findings() -> list[dict[str, Any]]:
    """Install Spectral once, and give all that it finds. Raises LeftOutError and FailedError."""
    needs("node", "npm")
    try:
        at = packages_of_npm(HERE, OUT, OUT / "logs" / "install.log")
    except FailedError as failed:
        raise LeftOutError(f"npm could not install Spectral: {failed}") from failed
    shutil.copy(HERE / RULES, at)
    told = at / "findings.json"
    told.unlink(missing_ok=True)
    spectral = (at / "node_modules" / ".bin" / "spectral", "lint", DOCUMENT, "--ruleset", RULES)
    # Findings are counted here, so Spectral need not fail for them.
    quiet = ("--quiet", "--format", "json", "--output", told, "--fail-severity", "error")
    try:
        run(*spectral, *quiet, at=at, log=OUT / "logs" / "spectral.log")
    except FailedError:
        if not told.exists():
            raise
    found: list[dict[str, Any]] = json.loads(told.read_text())
    return found


def main() -> int:
    """Show what was found, by rule."""
    console = Console()
    console.width = max(console.width, 112)
    try:
        with console.status("Spectral reads the description…"):
            found = findings()
    except LeftOutError as missing:
        console.print(f"[yellow]Left out:[/yellow] {missing}", highlight=False)
        return 3
    except FailedError as failed:
        console.print(str(failed), markup=False)
        return 1
    if not found:
        console.print("Nothing found: OWASP's and Zalando's rules, but for the five overrides.")
        return 0
    by_rule = defaultdict(list)
    for one in found:
        by_rule[one["code"]].append("/".join(map(str, one["path"])))
    table = Table("found", "rule", f"where (the first {SHOWN})")
    for rule, places in sorted(by_rule.items(), key=lambda each: -len(each[1])):
        table.add_row(str(len(places)), rule, "\n".join(places[:SHOWN]))
    console.print(table)
    return 1


if __name__ == "__main__":
    sys.exit(main())
