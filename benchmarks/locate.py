"""Where points lie: by the index in memory, by PostGIS, and through the HTTP API.

The yardstick is PostGIS's own statement, which the tests hold the index to.
"""

import gc
import random
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import process_time
from typing import Any, NamedTuple

import numpy as np
import orjson
import shapely
from fastapi import FastAPI

from app.auth.rules import Role
from app.core.clock import FixedClock
from app.core.db import Database, open_database
from app.core.settings import Settings
from app.grids import locating
from app.grids.locating import GridIndex
from app.main import create_app
from benchmarks import city, load
from benchmarks.lattice import lattice
from benchmarks.report import Figure, milliseconds, shown, table
from benchmarks.stand import Server, Stand, settle
from tests.make.judge import judge

LOCATE = "/v1/grids/locate"
NEAR_M = 15.0
MOST = 10_000  # points in a request, and in a question to the index


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    points: int = 100_000
    judged: int = 10_000
    side: int = 71
    rounds: int = 5
    single: int = 1_000
    bulk: int = 20


FULL = Plan()
QUICK = Plan(points=2_000, judged=500, side=8, rounds=1, single=20, bulk=1)


class Land(NamedTuple):
    """Grids as GeoJSON, the field of their codes, and points to find in them (WGS-84)."""

    name: str
    layer: bytes
    code_field: str
    points: Any


@dataclass
class Measured:
    """Processor seconds a point, round by round, and what HTTP cost."""

    grids: int = 0
    build: float = 0.0
    index: list[float] = field(default_factory=list)
    postgis: list[float] = field(default_factory=list)
    handled: float = 0.0
    one: "Asked | None" = None
    many: "Asked | None" = None

    @property
    def ratio(self) -> float:
        """How much less the index costs than PostGIS: the median over the rounds."""
        return median(b / a for a, b in zip(self.index, self.postgis, strict=True))


class Asked(NamedTuple):
    """A request of one kind: processor seconds of the API and of PostgreSQL, and the latencies."""

    api: float
    postgres: float
    latencies: load.Timing


async def measure(stand: Stand, plan: Plan) -> list[Figure]:
    """Measure, print, and return the figures that have marks."""
    lands = [_real(plan), _made(plan)]
    found = []
    with stand.progress() as progress:
        task = progress.add_task("locate", total=len(lands) * (plan.rounds + 2))
        for number, land in enumerate(lands):
            name = f"locate_{number}"
            url = stand.database(name)
            unit = city.found(url)
            token = stand.token(Role.ADMIN, *unit)
            with stand.server(name, url, city.NOW) as server:
                await _import(server, land, token)
                settle(url)
                measured = await _in_memory(stand, url, land, plan, lambda: progress.advance(task))
                measured.handled = await _in_process(stand, url, land, token, plan.single)
                measured.one = await _over_http(stand, server, land, token, 1, plan.single)
                progress.advance(task)
                measured.many = await _over_http(stand, server, land, token, MOST, plan.bulk)
                progress.advance(task)
            stand.drop(name)
            found.append((land, measured))
    return _report(stand, plan, found)


def _real(plan: Plan) -> Land:
    town = city.city()
    points = [(o["point"]["lon"], o["point"]["lat"]) for o in town.orders if o.get("point")]
    dice = random.Random(1)
    some = np.array([dice.choice(points) for _ in range(plan.points)])
    return Land(town.origin, town.layer, town.code_field, some)


def _made(plan: Plan) -> Land:
    cells = lattice(plan.side, west=113.5, south=22.4, width=0.008)
    features = [
        {
            "type": "Feature",
            "properties": {"code": f"{number:04d}"},
            "geometry": shapely.geometry.mapping(cell),
        }
        for number, cell in enumerate(cells)
    ]
    west, south, east, north = shapely.total_bounds(cells)
    dice = np.random.default_rng(1)
    points = dice.uniform((west, south), (east, north), (plan.points, 2))
    layer = orjson.dumps({"type": "FeatureCollection", "features": features})
    return Land(f"{len(cells):,} made cells of 57 vertices", layer, "code", points)


async def _import(server: Server, land: Land, token: str) -> None:
    path = f"/v1/grids/import?coordsys=wgs84&name_field={land.code_field}"
    body = load.request("POST", path, token=token, body=land.layer, kind="application/geo+json")
    await load.run(server.port, [body], connections=1, keep_replies=True)


async def _in_memory(stand: Stand, url: str, land: Land, plan: Plan, done: Any) -> Measured:
    """Ask the index and PostGIS in turns, and see that both say the same."""
    measured = Measured()
    database = open_database(Settings(database_url=url))
    try:
        async with database.begin() as tx:
            began = process_time()
            index = await locating.for_keeps(tx)
            measured.build, measured.grids = process_time() - began, len(index.shapes)
        for round_ in range(plan.rounds):
            measured.index.append(_by_index(index, land.points))
            some = land.points[round_ :: max(1, len(land.points) // plan.judged)][: plan.judged]
            measured.postgis.append(await _by_postgis(stand, database, index, some))
            done()
    finally:
        await database.close()
    return measured


def _by_index(index: GridIndex, points: Any) -> float:
    began = process_time()
    for at in range(0, len(points), MOST):
        some = points[at : at + MOST]
        index.locate(some[:, 0], some[:, 1], near_m=NEAR_M).places()
    return (process_time() - began) / len(points)


async def _by_postgis(stand: Stand, database: Database, index: GridIndex, points: Any) -> float:
    lons, lats = points[:, 0].tolist(), points[:, 1].tolist()
    async with database.read() as session:
        await judge(session, lons[:10], lats[:10], near_m=NEAR_M)
        own, postgres = process_time(), stand.postgres_cpu()
        verdicts = await judge(session, lons, lats, near_m=NEAR_M)
        seconds = process_time() - own + stand.postgres_cpu() - postgres
    places = index.locate(lons, lats, near_m=NEAR_M).places()
    differ = sum(
        (place.grid_id, place.near_border) != tuple(verdict)
        for place, verdict in zip(places, verdicts, strict=True)
    )
    if differ:
        raise AssertionError(f"index and PostGIS differ in {differ} of {len(points)} points")
    return seconds / len(points)


async def _in_process(stand: Stand, url: str, land: Land, token: str, requests: int) -> float:
    """Hand requests for one point to the whole application, without a network in between."""
    settings = stand.settings.model_copy(update={"database_url": url, "log_level": "WARNING"})
    application = create_app(settings, clock=FixedClock(city.NOW))
    bodies = [_body(some) for some in land.points[:requests, None].tolist()]
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    async with application.router.lifespan_context(application):
        await _handle(application, headers, bodies[0])
        gc.collect()
        gc.freeze()  # as `yingwei serve` does
        try:
            began = process_time()
            for body in bodies:
                await _handle(application, headers, body)
            return (process_time() - began) / requests
        finally:
            gc.unfreeze()


async def _handle(application: FastAPI, headers: dict[str, str], body: bytes) -> None:
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": "POST",
        "path": LOCATE,
        "raw_path": LOCATE.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "server": ("localhost", 80),
        "client": ("localhost", 1),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message.get("status", 200) != 200:
            raise load.Unexpected(str(message))

    await application(scope, receive, send)


def _body(points: Sequence[Sequence[float]]) -> bytes:
    asked = [{"lon": lon, "lat": lat, "coordsys": "wgs84"} for lon, lat in points]
    return orjson.dumps({"points": asked})


async def _over_http(
    stand: Stand, server: Server, land: Land, token: str, size: int, requests: int
) -> Asked:
    """Ask for `size` points at a time over one connection, one request after the other."""
    asks = []
    for number in range(requests):
        some = np.roll(land.points, -number * size, axis=0)[:size].tolist()
        asks.append(load.request("POST", LOCATE, token=token, body=_body(some)))
    await load.run(server.port, asks[:1], connections=1)
    api, postgres = server.cpu(), server.backends_cpu()
    timing = await load.run(server.port, asks, connections=1)
    return Asked(
        (server.cpu() - api) / requests,
        (server.backends_cpu() - postgres) / requests,
        timing,
    )


def _report(stand: Stand, plan: Plan, found: Sequence[tuple[Land, Measured]]) -> list[Figure]:
    figures = []
    for land, measured in found:
        one, many = measured.one, measured.many
        assert one is not None and many is not None
        rate = 1 / median(measured.index)
        table(
            stand.console,
            f"Locate: {land.name}, {measured.grids:,} grids",
            ["", ""],
            [
                ["index, points/s on one core", shown(rate)],
                ["index, CPU a point, us", shown(median(measured.index) * 1e6)],
                ["PostGIS, CPU a point, us", shown(median(measured.postgis) * 1e6)],
                ["PostGIS: x the index", shown(measured.ratio)],
                ["index made for the first time, CPU ms", milliseconds(measured.build)],
                ["one point, handled in process, CPU ms", milliseconds(measured.handled)],
                ["one point over HTTP, API CPU ms", milliseconds(one.api)],
                ["one point over HTTP, PG CPU ms", milliseconds(one.postgres)],
                ["one point over HTTP, p50 ms", milliseconds(one.latencies.percentile(0.5))],
                [f"{MOST:,} points over HTTP, API CPU ms", milliseconds(many.api)],
                [
                    f"{MOST:,} points over HTTP, p50 ms",
                    milliseconds(many.latencies.percentile(0.5)),
                ],
            ],
        )
        figures += [
            Figure(f"{measured.grids:,} grids, index", rate, "points/s", at_least=100_000),
            Figure(
                f"{measured.grids:,} grids, one point", measured.handled * 1000, "ms CPU", at_most=1
            ),
            Figure(
                f"{measured.grids:,} grids, {MOST:,} points", many.api * 1000, "ms CPU", at_most=100
            ),
        ]
    return figures
