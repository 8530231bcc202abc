"""`yingwei import-orders`: a CSV file through the same bulk intake as over HTTP, with a report."""

import asyncio
import csv
import gzip
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from sqlalchemy import select

from app.auth import audit
from app.auth.models import OrgUnit
from app.core.clock import clock_from
from app.core.db import open_database
from app.core.errors import Invalid, NotFound
from app.core.geo import CoordSys
from app.core.settings import Settings
from app.dispatch.importing import OrderMap, read_map
from app.dispatch.lines import Line
from app.dispatch.rules import LONGEST_LINE, NotTakenIn
from app.dispatch.schemas.intake import order_from, verdict_line
from app.dispatch.service.bulk import BulkIntake
from app.dispatch.service.bulk import Read as ReadLine
from app.workorders.rules import Sender

# Lines of one HTTP request: its verdicts come when all are read, and the bar moves with them.
LINES_A_REQUEST = 5000
# How long a server may take over one such request.
PATIENCE_SECONDS = 300

# Takes a verdict, and how many rows were sent before those that it numbers.
Told = Callable[[dict[str, Any], int], None]


@dataclass
class Tally:
    """What became of the rows; `refused` holds their numbers, each with slug and words."""

    verdicts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    refused: dict[int, tuple[str, str]] = field(default_factory=dict)

    def add(self, verdict: dict[str, Any], *, after: int = 0) -> int:
        """Count a verdict in the shape of VerdictOut on rows behind the first `after` ones.

        Returns the last row's number.
        """
        first, last = after + int(verdict["line"]), after + int(verdict["through"])
        self.verdicts[verdict["verdict"]] += last - first + 1
        if verdict["reason"]:
            self.reasons[verdict["reason"]] += 1
        if verdict["problem"]:
            for number in range(first, last + 1):
                self.refused[number] = _words(verdict["problem"])
        return last


def _words(problem: dict[str, Any]) -> tuple[str, str]:
    slug = problem["type"].rpartition(":")[2]
    errors = problem["facts"].get("errors")
    if not errors:
        return slug, problem["detail"]
    return slug, "; ".join(f"{error['field']}: {error['message']}" for error in errors)


def import_orders(
    settings: Settings,
    file: Path,
    *,
    map_file: Path,
    source: str,
    coordsys: CoordSys | None,
    org_unit_code: str | None,
    url: str | None,
    token: str,
    refused_file: Path | None,
) -> Tally:
    """Take in the rows of a CSV file (plain or .gz) and print what became of them.

    With `url` and `token` they go to a server; without, straight into the settings' database, as
    the org unit of that code. Refused rows are written to `refused_file` with the reasons. Raises
    Invalid for a map that is wrong or does not fit the file, NotFound for an unknown org unit, and
    NotTakenIn when the server refuses; what it has taken in by then is a duplicate the next time.
    """
    mapping = read_map(map_file.read_text(encoding="utf-8"))
    coordsys = coordsys or mapping.coordsys
    if "lon" in mapping.fields and coordsys is None:
        raise Invalid(errors=[{"field": "coordsys", "message": "say it in the map or the command"}])
    with _rows(file, mapping) as (columns, rows):
        mapping.check_columns(columns)
        total = sum(1 for _ in rows)
    console, tally = Console(), Tally()
    with (
        Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        ) as progress,
        _rows(file, mapping) as (_, rows),
    ):
        bar = progress.add_task(file.name, total=total)
        lines = (orjson.dumps(mapping.order(row, source=source, coordsys=coordsys)) for row in rows)

        def told(verdict: dict[str, Any], after: int) -> None:
            progress.update(bar, completed=tally.add(verdict, after=after))

        if url is None:
            asyncio.run(_into_database(settings, lines, org_unit_code, told))
        else:
            _to_server(lines, url, token, told)
    if refused_file is not None and tally.refused:
        _write_refused(file, mapping, refused_file, tally)
    _tell(console, tally, refused_file)
    return tally


@contextmanager
def _rows(file: Path, mapping: OrderMap) -> Iterator[tuple[list[str], Iterator[dict[str, str]]]]:
    """Open a CSV file: its columns, and its rows by column; cells that are missing are empty."""
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rt", encoding=mapping.encoding, newline="") as reading:
        rows = csv.DictReader(reading, restval="")
        yield list(rows.fieldnames or ()), rows


async def _into_database(
    settings: Settings,
    texts: Iterator[bytes],
    org_unit_code: str | None,
    told: Told,
) -> None:
    clock = clock_from(settings.clock)
    database = open_database(settings)
    database.before_commit = audit.record
    longest = int(LONGEST_LINE.default)

    async def orders() -> AsyncIterator[ReadLine]:
        now = clock.now()
        for number, text in enumerate(texts, 1):
            external_id, order = order_from(Line(number, text), now, longest=longest)
            yield ReadLine(number, external_id, order)

    try:
        async with database.read() as read:
            unit = (
                await read.execute(
                    select(OrgUnit.id, OrgUnit.path).where(OrgUnit.code == org_unit_code)
                )
            ).one_or_none()
        if unit is None:
            raise NotFound(org_unit_code=org_unit_code)
        sender = Sender(None, unit.id, unit.path)
        intake = BulkIntake(database, sender, clock, action="command_line_import_orders")
        async for chunk in intake.take_in(orders()):
            for judged in chunk:
                told(orjson.loads(verdict_line(judged, "en", "")), 0)
    finally:
        await database.close()


def _to_server(texts: Iterator[bytes], url: str, token: str, told: Told) -> None:
    sent = 0
    headers = {"authorization": f"Bearer {token}", "content-type": "application/x-ndjson"}
    with httpx.Client(base_url=url, headers=headers, timeout=PATIENCE_SECONDS) as client:
        while lines := list(islice(texts, LINES_A_REQUEST)):
            try:
                answer = client.post("/v1/work-orders/bulk", content=b"\n".join(lines))
            except httpx.HTTPError as error:
                raise NotTakenIn(url=url, answer=str(error), taken_in=sent) from error
            if answer.status_code != 200:
                raise NotTakenIn(
                    url=url, answer=f"{answer.status_code} {answer.text[:500]}", taken_in=sent
                )
            for line in answer.content.splitlines():
                told(orjson.loads(line), sent)
            sent += len(lines)


def _write_refused(file: Path, mapping: OrderMap, refused_file: Path, tally: Tally) -> None:
    with (
        _rows(file, mapping) as (columns, rows),
        refused_file.open("w", encoding="utf-8", newline="") as writing,
    ):
        writer = csv.writer(writing)
        writer.writerow(["line", "problem", "words", *columns])
        for number, row in enumerate(rows, 1):
            if number in tally.refused:
                cells = [row[column] for column in columns]
                writer.writerow([number, *tally.refused[number], *cells])


def _tell(console: Console, tally: Tally, refused_file: Path | None) -> None:
    table = Table("verdict", "reason", "orders")
    for verdict, count in tally.verdicts.most_common():
        table.add_row(verdict, "", f"{count:,}")
        if verdict == "unplaced":
            for reason, of_these in tally.reasons.most_common():
                table.add_row("", reason, f"{of_these:,}")
    for slug, count in Counter(slug for slug, _ in tally.refused.values()).most_common():
        table.add_row("", slug, f"{count:,}")
    console.print(table)
    for number, (_, words) in islice(tally.refused.items(), 10):
        console.print(f"row {number}: {words}")
    if refused_file is not None and tally.refused:
        console.print(f"refused rows with their reasons: {refused_file}")
