"""A branch on the morning of a day: its people, grids and orders, which nobody has yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import psycopg

from app.core.db import new_id
from benchmarks.stand import settle

SHANGHAI = ZoneInfo("Asia/Shanghai")
DAY = date(2026, 3, 2)
WEST, SOUTH, SIDE, ROWS = 113.0, 22.5, 0.02, 3


def at(hour: int, minute: int = 0) -> datetime:
    """A local moment of the day."""
    return datetime(DAY.year, DAY.month, DAY.day, hour, minute, tzinfo=SHANGHAI).astimezone(UTC)


MORNING, NOW = at(7), at(11, 20)


@dataclass(frozen=True)
class Scale:
    """How much to measure; each branch is a day of its own."""

    branches: int = 6
    technicians: int = 30
    orders: int = 150
    morning_seconds: float = 3.0


@dataclass(frozen=True)
class Branch:
    """A branch of the scene."""

    id: UUID
    path: str


def write(url: str, scale: Scale) -> list[Branch]:
    """Write branches with their people, grids and orders, which nobody has yet."""
    options = "-c session_replication_role=replica -c timezone=UTC"
    branches = []
    with psycopg.connect(url, autocommit=True, options=options) as connection:
        top = new_id()
        _unit(connection, top, "gd", "province", None, "gd.")
        for number in range(scale.branches):
            unit = Branch(new_id(), f"gd.b{number}.")
            _unit(connection, unit.id, f"b{number}", "branch", top, unit.path)
            _branch(connection, unit, number, scale)
            branches.append(unit)
    settle(url)
    return branches


def _unit(
    connection: psycopg.Connection[Any],
    unit_id: UUID,
    code: str,
    level: str,
    parent: UUID | None,
    path: str,
) -> None:
    connection.execute(
        "INSERT INTO org_unit (id, code, name_zh, name_en, level, parent_id, path)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        [unit_id, code, code, code, level, parent, path],
    )


def _branch(connection: psycopg.Connection[Any], unit: Branch, number: int, scale: Scale) -> None:
    draw = np.random.default_rng([7, number])
    south = SOUTH + 0.1 * number
    grids = [new_id() for _ in range(ROWS * ROWS)]
    middles = [
        (WEST + SIDE * (one % ROWS + 0.5), south + SIDE * (one // ROWS + 0.5))
        for one in range(len(grids))
    ]
    people = [new_id() for _ in range(scale.technicians)]
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO grid (id, org_unit_id, code, name, kind)"
            " VALUES (%s, %s, %s, %s, 'compound')",
            [
                (grid, unit.id, f"G{number}-{one}", f"G{number}-{one}")
                for one, grid in enumerate(grids)
            ],
        )
        cursor.executemany(
            "INSERT INTO grid_neighbour (grid_id, neighbour_id, distance_m) VALUES (%s, %s, 0)",
            [(one, other) for one in grids for other in grids if one != other],
        )
        for one, person in enumerate(people):
            lon, lat = middles[one % len(grids)] + draw.normal(0, SIDE / 3, 2)
            cursor.execute(
                "INSERT INTO technician (id, org_unit_id, code, name, home_point)"
                " VALUES (%s, %s, %s, '李师傅', ST_SetSRID(ST_MakePoint(%s, %s), 4326))",
                [person, unit.id, f"T{number}-{one}", lon, lat],
            )
            skills = ["fibre", *(["copper"] if draw.random() < 0.45 else [])]
            cursor.executemany(
                "INSERT INTO technician_skill (technician_id, skill) VALUES (%s, %s)",
                [(person, skill) for skill in skills],
            )
            cursor.executemany(
                "INSERT INTO shift (id, technician_id, weekday, starts_at, ends_at)"
                " VALUES (%s, %s, 0, %s, %s)",
                [(new_id(), person, "08:30", "12:00"), (new_id(), person, "13:30", "18:00")],
            )
            # The first of a grid is its primary, the others its backups by rank.
            kind = "primary" if one < len(grids) else "backup"
            cursor.execute(
                "INSERT INTO grid_membership"
                " (id, grid_id, technician_id, kind, rank, valid_from)"
                " VALUES (%s, %s, %s, %s, %s, '2026-01-01')",
                [new_id(), grids[one % len(grids)], person, kind, max(1, one // len(grids))],
            )
        for one in range(scale.orders):
            _order(cursor, draw, unit, f"{number}-{one}", grids, middles)


def _order(
    cursor: psycopg.Cursor[Any],
    draw: np.random.Generator,
    unit: Branch,
    name: str,
    grids: Sequence[UUID],
    middles: Sequence[tuple[float, float]],
) -> None:
    grid = int(draw.integers(len(grids)))
    lon, lat = middles[grid] + draw.normal(0, SIDE / 4, 2)
    kind = int(draw.choice(3, p=[0.35, 0.5, 0.15]))
    booked = draw.random() < 0.35
    opens = at(int(draw.choice([8, 10, 13, 15]))) if booked else None
    due = at(int(draw.integers(10, 19))) if kind == 1 and not booked else None
    cursor.execute(
        "INSERT INTO work_order (id, org_unit_id, source, external_id, content_hash, work_type,"
        " priority, state, address, summary, point, grid_id, skills, estimated_minutes,"
        " appointment_from, appointment_until, due_at, reported_at, received_at)"
        " VALUES (%s, %s, 'crm', %s, '', %s, %s, 'located', '幸福路1号', '宽带断网',"
        " ST_SetSRID(ST_MakePoint(%s, %s), 4326), %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            new_id(),
            unit.id,
            name,
            ("install", "repair", "care")[kind],
            int(draw.choice(4, p=[0.05, 0.2, 0.5, 0.25])) + 1,
            lon,
            lat,
            grids[grid],
            ["fibre", *(["copper"] if draw.random() < 0.15 else [])],
            int((90, 60, 30)[kind] + draw.integers(-10, 16)),
            opens,
            opens and opens + timedelta(hours=2),
            due,
            MORNING,
            MORNING,
        ],
    )
