"""The demo city's former customers: who left in the past months, why, and whether they answer."""

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from app.retention.rules import LeaveReason
from seed import terrain, words
from seed.dice import Dice
from seed.households import CITY, PRICES_FEN
from seed.terrain import Compound

LEAVERS = 60
# Their numbers begin beyond those of the households.
FIRST_NUMBER = 800_001

REASONS = {
    LeaveReason.PRICE: 26,
    LeaveReason.COMPETITOR: 30,
    LeaveReason.QUALITY: 12,
    LeaveReason.SERVICE: 6,
    LeaveReason.MOVED_AWAY: 16,
    LeaveReason.NO_NEED: 4,
    LeaveReason.DECEASED: 2,
    LeaveReason.UNKNOWN: 4,
}
COMPETITORS = ("云网通", "长河宽带", "澄视宽带")


def files(
    seed: int, compounds: list[Compound], today: date, as_of: datetime
) -> Mapping[str, list[str]]:
    """Write them as the CRM would: the lines of four files, by their kinds, in order of loading."""
    dice = Dice(seed, "leavers")
    tables: dict[str, list[dict[str, Any]]] = {
        kind: [] for kind in ("customers", "addresses", "subscriptions", "leavers")
    }
    for number in range(FIRST_NUMBER, FIRST_NUMBER + LEAVERS):
        for kind, row in _leaver(dice, number, dice.pick(compounds), today, as_of).items():
            tables[kind].append(row)
    return {kind: _lines(rows) for kind, rows in tables.items()}


def _leaver(
    dice: Dice, number: int, home: Compound, today: date, as_of: datetime
) -> dict[str, dict[str, Any]]:
    left_on = today - timedelta(days=dice.whole(5, 200))
    since = left_on - timedelta(days=dice.whole(200, 2400))
    speed = dice.pick((100, 200, 300))
    reason = dice.weighted(REASONS)
    building, room = f"{dice.whole(1, 9)}栋", f"4单元{dice.whole(1, 18)}{dice.whole(1, 2):02d}室"
    lon, lat = terrain.offset(home.place, dice.between(-40, 40), dice.between(-40, 40))
    code, address = f"C{number}", f"A{number}"
    return {
        "customers": {
            "code": code,
            "as_of": as_of.isoformat(),
            "org_unit": home.branch,
            "name": words.person(dice),
            "phone": words.phone(number),
            "activated_on": since,
            "arrears_fen": 0,
        },
        "addresses": {
            "code": address,
            "customer": code,
            "standard_address": f"{CITY}{home.street}{home.number}号{home.name}{building}{room}",
            "locality": home.name,
            "building": building,
            "room": room,
            "lon": lon,
            "lat": lat,
            "coordsys": "gcj02",
            "port_free": True,
            "max_speed_mbps": 1000,
            "checked_at": as_of.isoformat(),
        },
        "subscriptions": {
            "service_number": f"BB{number:08d}",
            "as_of": as_of.isoformat(),
            "customer": code,
            "address": address,
            "offering_code": f"BB-{speed}",
            "category": "broadband",
            "monthly_price_fen": PRICES_FEN[speed],
            "speed_mbps": speed,
            "started_on": since,
            "ended_on": left_on,
        },
        "leavers": {
            "customer": code,
            "left_on": left_on,
            "reason": reason.value,
            "competitor": dice.pick(COMPETITORS) if reason is LeaveReason.COMPETITOR else None,
            "reachable": None if dice.chance(0.3) else dice.chance(0.85),
        },
    }


def _lines(rows: Iterable[dict[str, Any]]) -> list[str]:
    text = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(text, list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow(row)
    return text.getvalue().splitlines(keepends=True)
