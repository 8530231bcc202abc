"""How much of a sale's commission is credited when. All money is in whole fen.

The first part is a whole percentage of the sale's commission, rounded down to the fen; the second
part is the rest, so that both together are the commission to the fen. A month's cap cuts what
would go beyond it; what is taken back makes room again. What is given back after it was taken by
mistake is never cut, and takes up the room that it had made.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from app.core.i18n import Words
from app.core.parameters import Parameter

FIRST_PERCENT = Parameter(
    "commissions.first_percent",
    default=60.0,
    unit="%",
    words=Words(
        zh="订购系统受理后先计的酬金比例（取整）",
        en="The whole percentage of a commission credited once a sale is acknowledged",
    ),
    most=100,
)
KEPT_DAYS = Parameter(
    "commissions.kept_days",
    default=30.0,
    unit="days",
    words=Words(
        zh="受理后保持多少天未退订才计其余酬金",
        en="After how many days the rest is credited, if the customer kept it",
    ),
    least=1,
    most=365,
)
MONTH_CAP = Parameter(
    "commissions.month_cap_fen",
    default=1_000_000.0,
    unit="fen",
    words=Words(
        zh="每人每月酬金上限（分），以当月一日的取值为准",
        en="The most a technician is credited in a month, as in force on its first day",
    ),
    most=100_000_000,
)


@dataclass(frozen=True)
class Part:
    """A part of a sale's commission that is due to a technician in a month."""

    sale_id: UUID
    technician_id: UUID
    org_unit_id: UUID
    month: date
    fen: int


@dataclass(frozen=True)
class Credit:
    """What is credited of a part, and what the month's cap cut from it."""

    part: Part
    fen: int
    cut_fen: int


def first_part(commission_fen: int, percent: int) -> int:
    """Return the part of a commission that is credited first, rounded down to the fen."""
    return commission_fen * percent // 100


def left_of_first(fen: int, before: int, after: int) -> int:
    """Return what is left of the first part of a commission when an item is gone, after which
    `after` of `before` fen of the whole stand: as much of it, rounded down to the fen."""
    return fen * after // before


def left_of_second(fen: int, before: int, after: int) -> int:
    """Return what is left of the second part, as `left_of_first` does, rounded up to the fen: so
    both together are what stands, to the fen."""
    return -(-fen * after // before)


def month_of(at: datetime, zone: ZoneInfo) -> date:
    """Return the first day of the local month of a moment."""
    return at.astimezone(zone).date().replace(day=1)


def credited(
    parts: Sequence[Part],
    so_far: Mapping[tuple[UUID, date], int],
    caps: Mapping[tuple[UUID, date], int],
) -> list[Credit]:
    """Credit parts in their order, as far as the caps leave room.

    `so_far` is what each technician's month comes to by now, counter entries included, and `caps`
    the most it may come to.
    """
    standing = dict(so_far)
    found = []
    for part in parts:
        whose = (part.technician_id, part.month)
        before = standing.get(whose, 0)
        fen = max(0, min(part.fen, caps[whose] - before))
        standing[whose] = before + fen
        found.append(Credit(part, fen, part.fen - fen))
    return found


def total(fens: Iterable[int]) -> int:
    """Add up entries; counter entries are below nothing."""
    return sum(fens)
