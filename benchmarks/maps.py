"""Tiles of 5,041 grids at every zoom: first asked, known again, and asked by somebody else.

Beside them stands the statement one would write first, `ST_AsMVT` over the boundaries as they are
stored, run on a connection of its own and not packed. Both are asked in turns, zoom after zoom.
"""

import gzip
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import NamedTuple
from uuid import UUID

import psycopg
from sqlalchemy import text

from app.auth.rules import Role
from app.core.db import new_id, open_database
from app.core.geo import MERCATOR_EDGE_M, to_mercator
from app.core.settings import Settings
from app.grids import boundaries, tile_shapes
from app.grids.boundaries import Shape
from app.grids.models import Grid
from app.grids.rules import GridKind
from benchmarks import city, load, machine
from benchmarks.lattice import lattice
from benchmarks.report import Figure, milliseconds, shown, table
from benchmarks.stand import Server, Stand, settle

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
WEST, SOUTH = 112.0, 27.0
# What a province and a large city look like: so wide is a grid, in degrees.
GROUNDS = {"a province, grids 3 km wide": 0.03, "a city, grids 1 km wide": 0.01}


@dataclass(frozen=True)
class Plan:
    """How much to measure: `side` times `side` grids, so many tiles a zoom."""

    side: int
    zooms: range
    tiles: int
    rounds: int


FULL = Plan(side=71, zooms=range(5, 15), tiles=6, rounds=3)
QUICK = Plan(side=8, zooms=range(9, 12), tiles=2, rounds=1)

BARE = """
SELECT ST_AsMVT(t, 'grids', 4096, 'geom') FROM (
    SELECT ST_AsMVTGeom(ST_Transform(b.boundary, 3857), ST_TileEnvelope(%(z)s, %(x)s, %(y)s),
            4096, 64) AS geom,
        g.id::text AS id, g.code, g.name, g.kind
    FROM grid_boundary b JOIN grid g ON g.id = b.grid_id
    WHERE b.valid_to IS NULL
        AND b.boundary && ST_Transform(ST_TileEnvelope(%(z)s, %(x)s, %(y)s), 4326)
) AS t WHERE geom IS NOT NULL
"""


class Place(NamedTuple):
    """A tile's address."""

    z: int
    x: int
    y: int


@dataclass
class Samples:
    """What the tiles of a zoom took: processor seconds a tile, by round, of server and PostgreSQL
    together; latencies of every tile when first asked; and sizes, packed, in bytes."""

    cold: list[float] = field(default_factory=list)
    known: list[float] = field(default_factory=list)
    kept: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    bare_sizes: list[int] = field(default_factory=list)


async def measure(stand: Stand, plan: Plan) -> list[Figure]:
    """Measure, print, and return the figures that have marks."""
    figures = []
    for ground, width in GROUNDS.items():
        url = stand.database("maps")
        unit = city.found(url)
        drawing = await _fill(stand, url, unit[0], plan.side, width)
        settle(url)
        with stand.server("maps", url, NOW) as server, stand.progress() as progress:
            places = _places(plan, width)
            task = progress.add_task("asking for tiles", total=plan.rounds * len(places))
            samples = {z: Samples() for z in places}
            for number in range(plan.rounds + 1):
                # Round 0 is not counted: statements are prepared and pages read.
                token = stand.token(Role.SUPERVISOR, *unit)
                for z, here in places.items():
                    await _ask(server, token, here, samples[z] if number else Samples())
                    if number:
                        progress.advance(task)
        stand.drop("maps")
        _print(stand, plan, ground, samples, drawing)
        figures += _figures(ground, samples)
    return figures


async def _fill(
    stand: Stand, url: str, unit_id: UUID, side: int, width: float
) -> tuple[float, float]:
    """Bring the grids into force; the processor seconds of that, and of drawing them alone."""

    def spent() -> float:
        return time.process_time() + stand.postgres_cpu()

    cells = lattice(side, west=WEST, south=SOUTH, width=width)
    grids = [
        Grid(
            id=new_id(),
            org_unit_id=unit_id,
            code=f"G{n:04d}",
            name=f"网格{n}",
            kind=GridKind.COMPOUND,
        )
        for n in range(len(cells))
    ]
    ids = [grid.id for grid in grids]
    database = open_database(Settings(database_url=url, statement_timeout_seconds=300))
    async with database.begin() as tx:
        tx.add_all(grids)
        await tx.flush()
        await boundaries.alone(tx)
        began = spent()
        shapes = {key: Shape(cell, 1.0) for key, cell in zip(ids, cells, strict=True)}
        await boundaries.reshape(tx, shapes, source="benchmark", now=NOW)
        whole = spent() - began
        await tx.execute(text("DELETE FROM grid_tile_shape"))
        began = spent()
        await tile_shapes.draw(tx, ids)
        drawing = spent() - began
    await database.close()
    return whole, drawing


def _places(plan: Plan, width: float) -> dict[int, list[Place]]:
    """By zoom the tiles nearest the middle of the ground, where they are fullest."""
    middle = plan.side * width / 2
    (x,), (y,) = to_mercator([WEST + middle], [SOUTH + middle])
    places = {}
    for z in plan.zooms:
        side = 2 * MERCATOR_EDGE_M / 2**z
        column, row = (x + MERCATOR_EDGE_M) / side - 0.5, (MERCATOR_EDGE_M - y) / side - 0.5
        near = [
            Place(z, int(column) + east, int(row) + south)
            for east in range(-3, 5)
            for south in range(-3, 5)
        ]
        near.sort(key=lambda place: (place.x - column) ** 2 + (place.y - row) ** 2)
        # At low zooms all is in one tile, and the others would only make it look quicker.
        reach = plan.side * width / (360 / 2**z)
        places[z] = near[: max(1, min(plan.tiles, int(reach**2)))]
    return places


async def _ask(server: Server, token: str, places: list[Place], sample: Samples) -> None:
    """Ask for the tiles of a zoom, each way in turn."""

    def spent() -> float:
        return server.cpu() + server.backends_cpu()

    def asks(*tags: str) -> list[bytes]:
        return [
            load.request(
                "GET",
                f"/v1/tiles/grids/{place.z}/{place.x}/{place.y}.mvt",
                token=token,
                accept_encoding="gzip",
                if_none_match=tag,
            )
            for place, tag in zip(places, tags or ['"none"'] * len(places), strict=True)
        ]

    async def run(prepared: list[bytes], status: int, times: int = 1) -> tuple[float, load.Timing]:
        began = spent()
        timing = await load.run(
            server.port, prepared * times, connections=1, expect=(status,), keep_replies=True
        )
        return (spent() - began) / len(prepared) / times, timing

    with psycopg.connect(server.database_url, autocommit=True) as bare:
        # With a new edition of the map every tile is made anew; the first to ask reads its mark.
        bare.execute("UPDATE grid_edition SET edition = gen_random_uuid()")
        beyond = load.request("GET", "/v1/tiles/grids/16/0/0.mvt", token=token)
        await load.run(server.port, [beyond], connections=1, expect=(204,))
        cold, timing = await run(asks(), 200)
        sample.cold.append(cold)
        sample.latencies += timing.latencies
        sample.sizes += [len(reply.body) for reply in timing.replies]
        tags = [reply.header("etag") for reply in timing.replies]
        sample.known.append((await run(asks(*tags), 304, times=10))[0])
        sample.kept.append((await run(asks(), 200, times=10))[0])
        began = machine.cpu_seconds(bare.info.backend_pid)
        made = [bare.execute(BARE, place._asdict()).fetchone() for place in places]
        sample.bare.append((machine.cpu_seconds(bare.info.backend_pid) - began) / len(places))
        sample.bare_sizes += [len(gzip.compress(row[0], 5)) for row in made if row]


def _p95(seconds: list[float]) -> float:
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]


def _print(
    stand: Stand, plan: Plan, ground: str, samples: dict[int, Samples], drawing: tuple[float, float]
) -> None:
    table(
        stand.console,
        f"Tiles of {plan.side**2:,} grids, {ground}: ms of CPU a tile (server and PostgreSQL), "
        "p95 of what a client waits, KiB of the largest",
        ["zoom", "cold", "waits", "304", "kept", "KiB", "bare", "bare KiB", "cold/bare"],
        [
            [
                str(z),
                milliseconds(median(each.cold)),
                milliseconds(_p95(each.latencies)),
                milliseconds(median(each.known)),
                milliseconds(median(each.kept)),
                shown(max(each.sizes) / 1024),
                milliseconds(median(each.bare)),
                shown(max(each.bare_sizes) / 1024),
                shown(_ratio(each)),
            ]
            for z, each in samples.items()
        ],
    )
    whole, alone = drawing
    stand.console.print(
        f"Bringing the grids into force took {whole:.1f} s of CPU, drawing them {alone:.1f} more.",
        highlight=False,
    )


def _ratio(sample: Samples) -> float:
    return median(one / other for one, other in zip(sample.cold, sample.bare, strict=True))


def _figures(ground: str, samples: dict[int, Samples]) -> list[Figure]:
    name = ground.partition(",")[0]
    every = list(samples.values())
    return [
        Figure(
            f"tile of grids, {name}, worst zoom, CPU",
            max(median(each.cold) for each in every) * 1000,
            "ms",
            at_most=100,
        ),
        Figure(
            f"tile of grids, {name}, known again, CPU",
            median(each for sample in every for each in sample.known) * 1000,
            "ms",
            at_most=5,
        ),
        Figure(
            f"tile of grids, {name}, largest",
            max(max(each.sizes) for each in every) / 1024,
            "KiB",
            at_most=500,
        ),
    ]
