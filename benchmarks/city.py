"""A city to place orders in: published precincts and real requests, or made ones of the same size.

The real ones lie in `../shared/data/geo/boston` beside the project (its README names the sources);
where that folder is missing, squares and seeded points take their place.
"""

import csv
import gzip
import random
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
import psycopg

from app.core.db import new_id
from app.dispatch.importing import read_map
from benchmarks.stand import ROOT

BOSTON = ROOT.parent / "shared" / "data" / "geo" / "boston"
ZONE = "America/New_York"
# A Monday morning after the last request; all of them come at once, as after a long outage.
NOW = datetime(2015, 5, 4, 8, 0, tzinfo=ZoneInfo(ZONE))

ORDERS, STAND_INS, GRIDS = 36_266, 5_240, 253
PEOPLE_A_GRID = 16


@dataclass(frozen=True)
class City:
    """A layer of grids as GeoJSON in WGS-84, and orders in the shape the API takes."""

    origin: str
    layer: bytes
    code_field: str
    orders: list[dict[str, Any]]


def city() -> City:
    """Read the real city, or make one."""
    return _real(BOSTON) if BOSTON.is_dir() else _made()


def _real(folder: Path) -> City:
    mapping = read_map((ROOT / "seed" / "maps" / "boston_311.yaml").read_text(encoding="utf-8"))
    with gzip.open(folder / "service_requests_2015_jan_apr.csv.gz", "rt", newline="") as file:
        orders = [
            mapping.order(row, source="city-311", coordsys=mapping.coordsys)
            for row in csv.DictReader(file)
        ]
    layer = (folder / "precincts.geojson").read_bytes()
    return City("precincts and service requests of Boston, 2015", layer, "precinct", orders)


def _made() -> City:
    dice = random.Random(2015)
    west, south, step, side = -71.19, 42.23, 0.013, 16
    squares = [
        (west + step * (n % side), south + step * (n // side), f"{n:04d}") for n in range(GRIDS)
    ]
    features = [
        {
            "type": "Feature",
            "properties": {"precinct": code},
            "geometry": {
                "type": "Polygon",
                "coordinates": [
                    [[x, y], [x + step, y], [x + step, y + step], [x, y + step], [x, y]]
                ],
            },
        }
        for x, y, code in squares
    ]
    orders = []
    for n in range(ORDERS):
        x, y, code = dice.choice(squares)
        street = f"{dice.randrange(60)} Street of {code}"
        lon, lat = x + step * dice.random(), y + step * dice.random()
        if n % ORDERS < STAND_INS:
            lon, lat = -71.0587, 42.3594
        orders.append(
            {
                "source": "made",
                "external_id": str(n),
                "work_type": "repair",
                "address": street,
                "locality": street,
                "reported_at": NOW.isoformat(),
                "summary": "Street light out (PWDx)",
                "point": {"lon": round(lon, 4), "lat": round(lat, 4), "coordsys": "wgs84"},
            }
        )
    dice.shuffle(orders)
    layer = orjson.dumps({"type": "FeatureCollection", "features": features})
    return City("a made city of squares", layer, "precinct", orders)


_STAFF = """
INSERT INTO technician (id, org_unit_id, code, name)
SELECT md5(g.code || n)::uuid, g.org_unit_id, g.code || '-' || n, 'Technician ' || g.code || n
FROM grid g, generate_series(1, %(people)s) AS n;
INSERT INTO technician_skill (technician_id, skill) SELECT id, 'broadband' FROM technician;
INSERT INTO shift (id, technician_id, weekday, starts_at, ends_at)
SELECT gen_random_uuid(), id, weekday, '08:00', '17:00'
FROM technician, generate_series(0, 6) AS weekday;
INSERT INTO grid_membership (id, grid_id, technician_id, kind, rank, valid_from)
SELECT gen_random_uuid(), g.id, md5(g.code || n)::uuid,
    CASE n WHEN 1 THEN 'primary' ELSE 'backup' END, n, '2015-01-01'
FROM grid g, generate_series(1, %(people)s) AS n
"""


def found(database_url: str) -> tuple[UUID, str]:
    """Make the city's org unit in an empty migrated database; return its id and path."""
    unit_id, path = new_id(), "city."
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO org_unit (id, code, name_zh, name_en, level, path, time_zone)"
            " VALUES (%s, 'city', '市', 'City', 'city', %s, %s)",
            [unit_id, path, ZONE],
        )
    return unit_id, path


def staff(database_url: str) -> None:
    """Give every grid a primary and 15 backups who work from 8 to 17 every day."""
    with psycopg.connect(database_url) as connection:
        for statement in _STAFF.split(";"):
            connection.execute(statement, {"people": PEOPLE_A_GRID})
