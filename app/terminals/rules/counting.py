"""Counting a van: what should be there against what is, and what a difference comes from."""

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from app.core.errors import Conflict, Invalid
from app.core.i18n import Words
from app.core.parameters import Parameter
from app.terminals.rules.custody import Handling, Place, Pool, TerminalKind

_LEAST: dict[TerminalKind, tuple[float, str]] = {
    TerminalKind.ONT_GATEWAY: (2.0, "光猫"),
    TerminalKind.SET_TOP_BOX: (1.0, "机顶盒"),
    TerminalKind.WIFI_REPEATER: (1.0, "Wi-Fi 扩展器"),
    TerminalKind.CAMERA: (0.0, "摄像头"),
}
# With fewer than so many of a kind in the van, the technician is told to stock up.
LEAST_IN_VAN: dict[TerminalKind, Parameter] = {
    kind: Parameter(
        f"terminals.van_least_{kind.value}",
        default=least,
        unit="pieces",
        words=Words(
            f"车上{name}少于此数时提示补货",
            f"With fewer than so many in the van ({kind.value}) a technician is told to stock up",
        ),
        most=100.0,
    )
    for kind, (least, name) in _LEAST.items()
}


class CountState(StrEnum):
    """How far a count has come; a later count of the same van takes an open one's place."""

    OPEN = "open"
    SETTLED = "settled"
    REPLACED = "replaced"


class Difference(StrEnum):
    """How what is there differs from what is booked there."""

    MISSING = "missing"
    SURPLUS = "surplus"
    WRONG_KIND = "wrong_kind"


class Cause(StrEnum):
    """What a difference comes from.

    `found` of what was missing means that it was there after all; `not_ours` leaves a surplus to
    those it is booked with.
    """

    LOST = "lost"
    FOUND = "found"
    MISBOOKED = "misbooked"
    NOT_OURS = "not_ours"


class Scanned(NamedTuple):
    """One terminal that was counted; the kind may be left out."""

    serial_number: str
    kind: TerminalKind | None


class Booked(NamedTuple):
    """A terminal as it is booked."""

    kind: TerminalKind
    place: Place


class Found(NamedTuple):
    """One difference: `pool` is where it is booked (None: nobody knows it), `kind` what it is
    booked as, `counted_kind` what it was counted as."""

    serial_number: str
    difference: Difference
    pool: Pool | None
    kind: TerminalKind | None
    counted_kind: TerminalKind | None


def differences(
    counted: Sequence[Scanned], booked: Mapping[str, Booked], technician_id: UUID
) -> list[Found]:
    """Compare what was counted with what a technician should have, in the van and in their hands.

    `booked` are all that are booked with the technician, and those that were counted and are
    known.
    """
    there = {one.serial_number: one.kind for one in counted}
    found = []
    for serial, one in booked.items():
        if one.place.technician_id == technician_id and serial not in there:
            found.append(Found(serial, Difference.MISSING, one.place.pool, one.kind, None))
    for serial, kind in there.items():
        known = booked.get(serial)
        if known is None:
            found.append(Found(serial, Difference.SURPLUS, None, None, kind))
        elif known.place.technician_id != technician_id:
            found.append(Found(serial, Difference.SURPLUS, known.place.pool, known.kind, kind))
        elif kind is not None and kind is not known.kind:
            found.append(Found(serial, Difference.WRONG_KIND, known.place.pool, known.kind, kind))
    return sorted(found, key=lambda one: (one.difference, one.serial_number))


def causes_of(found: Found) -> frozenset[Cause]:
    """List what a difference can come from."""
    if found.difference is Difference.MISSING:
        return frozenset({Cause.LOST, Cause.FOUND, Cause.MISBOOKED})
    if found.difference is Difference.WRONG_KIND:
        return frozenset({Cause.MISBOOKED, Cause.FOUND})
    if found.pool in (None, Pool.LOST, Pool.VOID):
        return frozenset({Cause.FOUND, Cause.NOT_OURS})
    return frozenset({Cause.MISBOOKED, Cause.NOT_OURS})


class CountSettled(Conflict):
    slug = "count-settled"
    title = Words(zh="该盘点已结束", en="This count is over")
    advice = Words(
        zh="盘点状态为 {state}；如需更正请重新盘点。",
        en="It is {state}; count the van again to put something right.",
    )


def check_causes(found: Sequence[Found], causes: Mapping[str, Cause]) -> None:
    """Check that each difference has a cause it can have. Raises Invalid with all that is wrong."""
    known = {one.serial_number: one for one in found}
    errors = [
        {"field": serial, "message": "the count has no such difference"}
        for serial in causes
        if serial not in known
    ]
    for serial, one in known.items():
        possible = causes_of(one)
        if causes.get(serial) not in possible:
            names = ", ".join(sorted(cause.value for cause in possible))
            errors.append(
                {"field": serial, "message": f"{one.difference.value} has one of: {names}"}
            )
    if errors:
        raise Invalid(errors=errors)


class Settling(NamedTuple):
    """What a cause makes of a difference."""

    handling: Handling
    after: Place


def settling(
    found: Found, cause: Cause, place: Place | None, technician_id: UUID, org_unit_id: UUID
) -> Settling | None:
    """Say where a difference's terminal goes; None when it stays where it is booked.

    `place` is where it is booked now, and the technician and their org unit are those of the van.
    What has been moved since it was counted stays where that has brought it.
    """
    pool = place.pool if place else None
    theirs = place is not None and place.technician_id == technician_id
    if pool is not found.pool or theirs != (found.difference is not Difference.SURPLUS):
        return None
    van = Place(Pool.VAN, org_unit_id, technician_id=technician_id)
    hands = Place(Pool.RECOVERED, org_unit_id, technician_id=technician_id)
    match found.difference, cause:
        case Difference.MISSING, Cause.LOST:
            assert place is not None
            return Settling(Handling.LOSE, Place(Pool.LOST, place.org_unit_id))
        case Difference.MISSING, Cause.MISBOOKED:
            assert place is not None
            if pool is Pool.RECOVERED:
                return Settling(Handling.HAND_IN, Place(Pool.RECOVERED, place.org_unit_id))
            return Settling(Handling.REBOOK, Place(Pool.WAREHOUSE, place.org_unit_id))
        case Difference.SURPLUS, Cause.FOUND:
            return Settling(Handling.FIND, van)
        case Difference.SURPLUS, Cause.MISBOOKED:
            # What was with a customer, recovered or scrapped is no stock to be fitted again.
            used = pool in (Pool.CUSTOMER, Pool.RECOVERED, Pool.SCRAP)
            return Settling(Handling.REBOOK, hands if used else van)
        case Difference.WRONG_KIND, Cause.MISBOOKED:
            assert place is not None
            return Settling(Handling.REBOOK, place)
    return None


def kinds_missing(found: Sequence[Found], causes: Mapping[str, Cause]) -> Collection[str]:
    """List what nobody knows and was counted without its kind, and is to be taken into stock."""
    return [
        one.serial_number
        for one in found
        if one.pool is None
        and one.counted_kind is None
        and causes.get(one.serial_number) is Cause.FOUND
    ]
