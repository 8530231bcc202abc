"""The way out to a routing engine that knows the roads: OSRM or Valhalla, by their table calls."""

from collections.abc import Sequence
from typing import Any

import httpx
import orjson

from app.core.settings import Settings

Point = tuple[float, float]  # longitude and latitude in WGS-84 degrees


class RoadsUnavailable(Exception):
    """The engine did not answer, or not in its own terms; the words say which."""


class Roads:
    """A routing engine: how long it takes to drive from one point to some others.

    OSRM is asked by `GET /table/v1/driving/...`, Valhalla by `POST /sources_to_targets`. Close it
    with `aclose()`.
    """

    def __init__(
        self,
        base_url: str,
        engine: str = "osrm",
        *,
        time_limit: float = 10.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._base, self._engine = base_url.rstrip("/"), engine
        self._http = httpx.AsyncClient(timeout=time_limit, transport=transport)

    @staticmethod
    def of(settings: Settings) -> "Roads":
        """Make the engine that the settings name."""
        return Roads(
            settings.routing_url,
            settings.routing_engine,
            time_limit=settings.routing_timeout_seconds,
        )

    async def aclose(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def seconds(self, start: Point, ends: Sequence[Point]) -> list[float | None]:
        """Ask how long it takes to drive from a point to others; None where no road leads.

        Raises RoadsUnavailable.
        """
        try:
            answer = await (self._osrm if self._engine == "osrm" else self._valhalla)(start, ends)
            told = orjson.loads(answer.content)
        except httpx.HTTPError as error:
            raise RoadsUnavailable(f"no answer: {type(error).__name__}") from error
        except orjson.JSONDecodeError as error:
            raise RoadsUnavailable(f"{answer.status_code}, and the answer is not JSON") from error
        if answer.status_code != httpx.codes.OK:
            said = told.get("message") or told.get("error") if isinstance(told, dict) else None
            raise RoadsUnavailable(f"{answer.status_code}: {str(said)[:200]}")
        try:
            times = self._times(told)
        except (KeyError, IndexError, TypeError) as error:
            raise RoadsUnavailable("the answer is not a table") from error
        if len(times) != len(ends):
            raise RoadsUnavailable(f"{len(times)} times for {len(ends)} ways")
        return times

    def _times(self, told: Any) -> list[float | None]:
        if self._engine == "osrm":
            times = told["durations"][0]
        else:
            times = [one["time"] for one in told["sources_to_targets"][0]]
        return [None if time is None else float(time) for time in times]

    async def _osrm(self, start: Point, ends: Sequence[Point]) -> httpx.Response:
        places = ";".join(f"{lon:.6f},{lat:.6f}" for lon, lat in (start, *ends))
        return await self._http.get(
            f"{self._base}/table/v1/driving/{places}",
            params={
                "sources": "0",
                "destinations": ";".join(str(number) for number in range(1, len(ends) + 1)),
                "annotations": "duration",
            },
        )

    async def _valhalla(self, start: Point, ends: Sequence[Point]) -> httpx.Response:
        def place(point: Point) -> dict[str, float]:
            return {"lon": point[0], "lat": point[1]}

        asked = {
            "sources": [place(start)],
            "targets": [place(end) for end in ends],
            "costing": "auto",
        }
        return await self._http.post(f"{self._base}/sources_to_targets", json=asked)
