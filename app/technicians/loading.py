"""Loading technicians from CSV, with their skills and weekly shifts."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.core import cells, loading
from app.core.cells import COORDSYS, LAT, LON
from app.core.db import new_id
from app.core.files import Column, CsvFile, Made
from app.core.loading import Report, Staging, Target
from app.technicians.rules import shifts_from, skills_from


def _judge(row: dict[str, Any]) -> None:
    row["home_point"] = cells.point(row, "home_lon", "home_lat", "home_coordsys")
    # What a set-based statement can unnest: parallel arrays.
    row["skill_names"] = list(row.get("skills") or ())
    row["skill_levels"] = list((row.get("skills") or {}).values())
    shifts = row.get("shifts") or ()
    row["shift_ids"] = [new_id() for _ in shifts]
    row["shift_weekdays"] = [shift.weekday for shift in shifts]
    row["shift_starts"] = [shift.starts_at for shift in shifts]
    row["shift_ends"] = [shift.ends_at for shift in shifts]
    row["skills"] = row["shifts"] = None


FILE = CsvFile(
    what="technicians",
    columns=(
        Column("code", cells.code, required=True),
        Column("name", cells.text(100), required=True),
        Column("org_unit", cells.code, required=True),
        Column("phone", cells.text(30)),
        Column("contractor", cells.text()),
        Column("daily_minutes", cells.whole(0, 1440), "bigint", empty=480),
        Column("active", cells.flag, "boolean", empty=True),
        Column("skills", skills_from),
        Column("shifts", shifts_from),
        Column("home_lon", LON, "float8"),
        Column("home_lat", LAT, "float8"),
        Column("home_coordsys", COORDSYS),
    ),
    made=(
        Made("home_point", "geometry(Point, 4326)", needs="home_lon"),
        Made("skill_names", "text[]", needs="skills"),
        Made("skill_levels", "bigint[]", needs="skills"),
        Made("shift_ids", "uuid[]", needs="shifts"),
        Made("shift_weekdays", "bigint[]", needs="shifts"),
        Made("shift_starts", "time[]", needs="shifts"),
        Made("shift_ends", "time[]", needs="shifts"),
    ),
    judge=_judge,
)

_TECHNICIAN = Target(
    table="technician",
    key=("code",),
    columns={
        name: name
        for name in (
            "code",
            "name",
            "phone",
            "contractor",
            "daily_minutes",
            "active",
            "home_point",
        )
    },
    references={"org_unit_id": ("org_unit", "org_unit", "code")},
    versioned=True,
)

# A line whose skills or shifts differ counts as updated even when the technician's row does not.
_SKILLS = """
    WITH given AS (
        SELECT t.id AS technician_id, g.skill, g.level
        FROM {staged} AS s JOIN technician AS t ON t.code = s.code,
            unnest(s.skill_names, s.skill_levels) AS g (skill, level)
    ), gone AS (
        DELETE FROM technician_skill AS held USING {staged} AS s, technician AS t
        WHERE t.code = s.code AND held.technician_id = t.id AND held.skill <> ALL (s.skill_names)
        RETURNING held.technician_id
    ), put AS (
        INSERT INTO technician_skill AS held (technician_id, skill, level)
        SELECT technician_id, skill, level FROM given
        ON CONFLICT (technician_id, skill) DO UPDATE SET level = excluded.level
        WHERE held.level <> excluded.level
        RETURNING held.technician_id
    ), changed AS (SELECT technician_id FROM gone UNION SELECT technician_id FROM put)
    UPDATE {staged} AS s SET became = 'c' FROM changed, technician AS t
    WHERE t.id = changed.technician_id AND s.code = t.code AND s.became IS NULL
"""

# The ids of shifts are made beforehand, one for each time of each line.
_SHIFTS = """
    WITH given AS (
        SELECT t.id AS technician_id, g.id, g.weekday, g.starts_at, g.ends_at
        FROM {staged} AS s JOIN technician AS t ON t.code = s.code,
            unnest(s.shift_ids, s.shift_weekdays, s.shift_starts, s.shift_ends)
                AS g (id, weekday, starts_at, ends_at)
    ), gone AS (
        DELETE FROM shift AS held USING {staged} AS s, technician AS t
        WHERE t.code = s.code AND held.technician_id = t.id AND NOT EXISTS (
            SELECT FROM given WHERE given.technician_id = held.technician_id
                AND given.weekday = held.weekday AND given.starts_at = held.starts_at)
        RETURNING held.technician_id
    ), put AS (
        INSERT INTO shift AS held (id, technician_id, weekday, starts_at, ends_at)
        SELECT id, technician_id, weekday, starts_at, ends_at FROM given
        ON CONFLICT (technician_id, weekday, starts_at) DO UPDATE SET ends_at = excluded.ends_at
        WHERE held.ends_at <> excluded.ends_at
        RETURNING held.technician_id
    ), changed AS (SELECT technician_id FROM gone UNION SELECT technician_id FROM put)
    UPDATE {staged} AS s SET became = 'c' FROM changed, technician AS t
    WHERE t.id = changed.technician_id AND s.code = t.code AND s.became IS NULL
"""


async def load_technicians(
    tx: AsyncSession, lines: Iterable[str], *, skip_refused: bool = False
) -> Report:
    """Load technicians from the lines of a CSV file, by their code; org units must be there.

    `skills` is written `fibre:3; copper`, `shifts` is `mon-fri 08:30-12:00 13:30-18:00; sat
    09:00-12:00`; a file with these columns replaces what a technician had, one without them
    leaves it. Technicians that the file does not name stay as they are. Raises FileRefused when
    any line is wrong, unless `skip_refused`.
    """
    staged = await loading.stage(tx, FILE, lines)
    await staged.refuse_repeated("code")
    await staged.refuse_unknown("org_unit", "org_unit")
    staged.settle(skip_refused=skip_refused)
    await staged.merge(_TECHNICIAN)
    await _merge_lists(staged)
    report = await staged.report()
    if report.changed:
        audit.note(tx, table="technician", operation="load", count=report.inserted + report.updated)
    return report


async def _merge_lists(staged: Staging) -> None:
    if "skills" in staged.present:
        await staged.run(_SKILLS)
    if "shifts" in staged.present:
        await staged.run(_SHIFTS)
    await staged.run(
        "UPDATE technician SET version = version + 1"
        " FROM {staged} AS s WHERE s.code = technician.code AND s.became = 'c'"
    )
    await staged.run("UPDATE {staged} SET became = 'u' WHERE became = 'c'")
