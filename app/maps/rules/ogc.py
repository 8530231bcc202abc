"""OGC API - Features - Part 1: Core (OGC 17-069r4): which requests it knows, and how they are read.

The standard wants 400 for a parameter that is unknown or not valid, and none for a `limit` that is
too large.
"""

import math
import re
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from app.core.errors import Malformed
from app.core.i18n import Words

CONFORMS_TO = (
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
)
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
GREGORIAN = "http://www.opengis.net/def/uom/ISO-8601/0/Gregorian"
GEOJSON = "application/geo+json"
OPENAPI = "application/vnd.oai.openapi+json;version=3.1"

USUAL_LIMIT, MOST_LIMIT = 100, 1000


class ParameterRefused(Malformed):
    slug = "query-parameter-refused"
    title = Words(zh="查询参数有误", en="A query parameter cannot be understood")
    advice = Words(zh="参数 {parameter}：{why_zh}", en="Parameter {parameter}: {why_en}")


def refused(parameter: str, zh: str, en: str) -> ParameterRefused:
    """Say what is wrong with a parameter, in both languages."""
    return ParameterRefused(parameter=parameter, why_zh=zh, why_en=en)


def check_known(given: Iterable[str], known: Collection[str]) -> None:
    """Check that a request has no parameter that its resource does not know, and each once.

    Raises ParameterRefused.
    """
    seen: set[str] = set()
    for name in given:
        if name not in known:
            told = ", ".join(sorted(known)) or "-"
            raise refused(
                name[:100],
                f"此资源没有这个参数；可用参数：{told}。",
                f"This resource has no such parameter; it has: {told}.",
            )
        if name in seen:
            raise refused(name, "只能给出一次。", "Give it once.")
        seen.add(name)


def limit_of(given: str | None) -> int:
    """Read `limit`: how many features a page has, at most MOST_LIMIT. Raises ParameterRefused."""
    if given is None:
        return USUAL_LIMIT
    if not re.fullmatch(r"[0-9]{1,9}", given) or int(given) < 1:
        raise refused("limit", "须为不小于 1 的整数。", "A whole number of at least 1 is wanted.")
    return min(int(given), MOST_LIMIT)


class Box(NamedTuple):
    """A rectangle in WGS-84 degrees (CRS84) that does not cross the 180th meridian."""

    west: float
    south: float
    east: float
    north: float


def boxes_of(given: str | None) -> list[Box]:
    """Read `bbox`: four numbers, or six of which the heights are passed over, since grids have
    none. A box that crosses the 180th meridian has its west east of its east and becomes two.

    Raises ParameterRefused.
    """
    if given is None:
        return []
    try:
        numbers = [float(part) for part in given.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (4, 6) or not all(map(math.isfinite, numbers)):
        raise refused(
            "bbox",
            "须为 4 个数（西、南、东、北）或 6 个数（另含最低与最高高程），以逗号分隔。",
            "Four numbers (west,south,east,north) or six (with the lowest and highest height) are "
            "wanted, with commas between them.",
        )
    if len(numbers) == 6:
        west, south, lowest, east, north, highest = numbers
    else:
        west, south, east, north = numbers
        lowest = highest = 0.0
    on_earth = all(abs(lon) <= 180 for lon in (west, east)) and -90 <= south <= north <= 90
    if not on_earth or lowest > highest:
        raise refused(
            "bbox",
            "须为 CRS84（先经度后纬度）：经度 -180 至 180，纬度 -90 至 90，且南不大于北。",
            "CRS84 is wanted, longitude first: longitudes from -180 to 180, latitudes from -90 to "
            "90, south not above north.",
        )
    if west > east:
        return [Box(west, south, 180.0, north), Box(-180.0, south, east, north)]
    return [Box(west, south, east, north)]


class Span(NamedTuple):
    """From one moment (UTC) to another, both included; None is open. An instant is both."""

    since: datetime | None
    until: datetime | None


_MOMENT = re.compile(
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+\-]\d{2}:\d{2})", re.IGNORECASE
)


def span_of(given: str | None) -> Span | None:
    """Read `datetime`: an instant of RFC 3339, or two with a slash between them, of which one may
    be open (`..` or nothing). Raises ParameterRefused."""
    if given is None:
        return None
    # The plus of a time zone becomes a blank where a client does not encode it.
    parts = given.replace(" ", "+").split("/")
    if len(parts) == 1:
        return Span(_moment(parts[0]), _moment(parts[0]))
    if len(parts) != 2:
        raise _not_a_time()
    since, until = (None if part in ("", "..") else _moment(part) for part in parts)
    if since is None and until is None:
        raise _not_a_time()
    if since is not None and until is not None and since > until:
        raise _not_a_time()
    return Span(since, until)


def _moment(part: str) -> datetime:
    if not _MOMENT.fullmatch(part):
        raise _not_a_time()
    try:
        return datetime.fromisoformat(part.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _not_a_time() from None


def _not_a_time() -> ParameterRefused:
    return refused(
        "datetime",
        "须为 RFC 3339 时刻（如 2026-03-02T00:00:00Z），或以 / 分隔的起止时刻，一端可为 ..。",
        "A moment of RFC 3339 is wanted (2026-03-02T00:00:00Z), or two with a slash between them, "
        "of which one may be ..",
    )
