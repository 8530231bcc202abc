"""What a cell of a file can hold: each reader takes the cell's text, or says what it should be."""

import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from app.core.geo import CoordSys, to_wgs84
from app.core.i18n import Words


class NotReadable(ValueError):
    """A value cannot be what it should be; `field` names it where the whole line was judged."""

    def __init__(self, words: Words, field: str | None = None) -> None:
        super().__init__(words.en)
        self.words = words
        self.field = field


Read = Callable[[str], Any]


def text(most: int = 200) -> Read:
    """Make the reader of a text of at most so many characters."""
    words = Words(
        zh=f"最多 {most} 个字符，且不能含控制符", en=f"at most {most} printable characters"
    )

    def read(cell: str) -> str:
        if len(cell) > most or not cell.isprintable():
            raise NotReadable(words)
        return cell

    return read


_CODE = re.compile(r"[\w.\-:/]{1,64}")


def code(cell: str) -> str:
    """Read an identifier: letters, digits and `_ . - : /`, at most 64 of them."""
    if not _CODE.fullmatch(cell):
        raise NotReadable(
            Words(zh="编码只能含字母、数字和 _.-:/", en="a code has letters, digits and _ . - : /")
        )
    return cell


def whole(least: int = 0, most: int = 2**53) -> Read:
    """Make the reader of a whole number within bounds."""
    words = Words(zh=f"须为 {least} 至 {most} 的整数", en=f"a whole number from {least} to {most}")

    def read(cell: str) -> int:
        try:
            value = int(cell)
        except ValueError:
            raise NotReadable(words) from None
        if not least <= value <= most:
            raise NotReadable(words)
        return value

    return read


def number(least: float, most: float) -> Read:
    """Make the reader of a number within bounds."""
    words = Words(zh=f"须为 {least} 至 {most} 的数", en=f"a number from {least} to {most}")

    def read(cell: str) -> float:
        try:
            value = float(cell)
        except ValueError:
            raise NotReadable(words) from None
        if not (math.isfinite(value) and least <= value <= most):
            raise NotReadable(words)
        return value

    return read


def day(cell: str) -> date:
    """Read a day as 2026-03-02, or as 2026/3/2, which is what spreadsheets turn it into."""
    try:
        return date(*map(int, cell.replace("/", "-").split("-", 2)))
    except (ValueError, TypeError):
        raise NotReadable(Words(zh="日期格式为 2026-03-02", en="a day is 2026-03-02")) from None


def moment(cell: str) -> datetime:
    """Read a moment with its zone, as 2026-03-02T08:00:00+08:00."""
    try:
        value = datetime.fromisoformat(cell)
    except ValueError:
        value = None
    if value is None or value.tzinfo is None:
        raise NotReadable(
            Words(
                zh="时间须带时区，如 2026-03-02T08:00:00+08:00",
                en="a moment has a zone: 2026-03-02T08:00:00+08:00",
            )
        )
    return value


_FLAGS = {"true": True, "1": True, "yes": True, "是": True}
_FLAGS |= {"false": False, "0": False, "no": False, "否": False}


def flag(cell: str) -> bool:
    """Read yes or no: true/false, 1/0, yes/no, 是/否."""
    value = _FLAGS.get(cell.lower())
    if value is None:
        raise NotReadable(Words(zh="须为 是 或 否", en="yes or no"))
    return value


def one_of(kind: type[StrEnum]) -> Read:
    """Make the reader of an enum's values."""
    known = {str(member.value): member for member in kind}
    words = Words(zh=f"须为其中之一：{', '.join(known)}", en=f"one of {', '.join(known)}")

    def read(cell: str) -> StrEnum:
        member = known.get(cell)
        if member is None:
            raise NotReadable(words)
        return member

    return read


def point(row: Mapping[str, Any], lon: str, lat: str, coordsys: str) -> str | None:
    """Join three cells of a line to a point in WGS-84, as EWKT; None when all three are empty.

    Raises NotReadable when some are missing: a point of unknown system is never guessed at.
    """
    given = [row.get(name) for name in (lon, lat, coordsys)]
    if all(value is None for value in given):
        return None
    if any(value is None for value in given):
        raise NotReadable(
            Words(
                zh="经度、纬度和坐标系须同时给出",
                en="longitude, latitude and coordinate system come together",
            ),
            field=coordsys,
        )
    x, y = to_wgs84(row[lon], row[lat], CoordSys(row[coordsys]))
    return f"SRID=4326;POINT({x!r} {y!r})"


LON, LAT, COORDSYS = number(-180, 180), number(-90, 90), one_of(CoordSys)
