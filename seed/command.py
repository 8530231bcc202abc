"""`yingwei load`: a file of customers, technicians, offerings or rules into the tables."""

import asyncio
import codecs
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from app.auth import audit
from app.core.db import open_database
from app.core.errors import Invalid
from app.core.files import BadLine, FileRefused, readable
from app.core.i18n import Words
from app.core.loading import Report
from app.core.settings import Settings
from seed.load import CSV_LOADERS, YAML_LOADERS

KINDS = (*CSV_LOADERS, *YAML_LOADERS)


def load_file(
    settings: Settings, kind: str, file: Path, *, encoding: str, skip_refused: bool
) -> Report:
    """Load a file into the settings' database and print what became of it, in one transaction.

    Raises Invalid for an encoding that does not exist, and FileRefused after the lines that are
    wrong have been printed; then nothing is loaded.
    """
    try:
        codecs.lookup(encoding)
    except LookupError:
        message = f"there is no encoding {encoding!r}"
        raise Invalid(errors=[{"field": "encoding", "message": message}]) from None
    console = Console()

    async def load() -> Report:
        database = open_database(settings)
        database.before_commit = audit.record
        try:
            async with database.begin() as tx:
                audit.acting(tx, f"load {kind}")
                with file.open(encoding=encoding, newline="") as lines:
                    if kind in CSV_LOADERS:
                        return await CSV_LOADERS[kind](tx, lines, skip_refused=skip_refused)
                    document = "".join(readable(kind, lines))
                    return await YAML_LOADERS[kind](tx, document, skip_refused=skip_refused)
        finally:
            await database.close()

    try:
        with console.status(f"loading {file.name}"):
            report = asyncio.run(load())
    except FileRefused as refused:
        lines = [
            BadLine(one["line"], one["field"], one["value"], Words(one["zh"], one["en"]))
            for one in refused.facts["lines"]
        ]
        _tell(console, lines)
        raise
    _tell(console, report.bad)
    console.print(str(report))
    return report


def _tell(console: Console, bad: Sequence[BadLine]) -> None:
    if not bad:
        return
    table = Table("line", "field", "value", "原因", "why")
    for fault in bad:
        table.add_row(str(fault.line), fault.field, fault.value, fault.words.zh, fault.words.en)
    console.print(table)
