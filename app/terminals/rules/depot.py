"""What a depot does with many terminals at once: judged row by row, done as a whole or not."""

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from app.core.errors import Conflict, Invalid
from app.core.i18n import Words
from app.terminals.rules.custody import Handling, MoveNotAllowed, Place, Pool, Why, moved

# What a depot does, and why; the first reason is meant when nothing is said.
DEPOT: dict[Handling, tuple[Why, ...]] = {
    Handling.ISSUE: (Why.STOCK_UP,),
    Handling.RETURN: (Why.NOT_NEEDED, Why.WRONG_MODEL, Why.FAULTY),
    Handling.TRANSFER: (Why.LENT, Why.NOT_NEEDED),
    Handling.HAND_IN: (Why.HANDED_IN,),
    Handling.REFURBISH: (Why.HANDED_IN, Why.FAULTY),
    Handling.RESTOCK: (Why.TESTED_GOOD,),
    Handling.SCRAP: (Why.BEYOND_REPAIR, Why.OUTDATED),
    Handling.LOSE: (Why.LOST, Why.CUSTOMER_LOST_IT),
    Handling.FIND: (Why.FOUND,),
}
# Those that bring terminals into somebody's van.
INTO_A_VAN = frozenset({Handling.ISSUE, Handling.TRANSFER})


class RowFault(StrEnum):
    """Why one row of a batch cannot be done."""

    UNKNOWN = "unknown"
    REPEATED = "repeated"
    NOT_THERE = "not_there"
    SAME_VAN = "same_van"


FAULT_WORDS: dict[RowFault, Words] = {
    RowFault.UNKNOWN: Words(
        "本管辖范围内查无此串号", "nobody in your part of the organisation has this serial number"
    ),
    RowFault.REPEATED: Words("同一批中重复", "it stands in the list twice"),
    RowFault.NOT_THERE: Words(
        "目前登记在 {pool}，不能做 {handling}", "it is booked in {pool}, which rules out {handling}"
    ),
    RowFault.SAME_VAN: Words("已在此人车上", "it is in that van already"),
}


class TerminalsNotMoved(Conflict):
    slug = "terminals-not-moved"
    title = Words(
        zh="部分终端无法流转，未作任何更改", en="Some terminals cannot be moved; none was"
    )
    advice = Words(
        zh="{refused} 个串号无法流转：请按 facts.rows 修改后整批重发。",
        en="{refused} serial numbers cannot be moved: mend what facts.rows names and send all "
        "again.",
    )


class Van(NamedTuple):
    """Whose van terminals go into, and which org unit answers for them there."""

    technician_id: UUID
    org_unit_id: UUID


def depot_reason(handling: Handling, why: Why | None, *, van: bool) -> Why:
    """Give why a depot does something. Raises Invalid for what it does not do, or not so."""
    errors = []
    known = DEPOT.get(handling)
    if known is None:
        names = ", ".join(sorted(one.value for one in DEPOT))
        errors.append({"field": "handling", "message": f"a depot does: {names}"})
    elif why is not None and why not in known:
        names = ", ".join(one.value for one in known)
        errors.append({"field": "why", "message": f"{handling.value} has the reasons: {names}"})
    if known is not None and van != (handling in INTO_A_VAN):
        message = "issue and transfer need the technician whose van it is, and nothing else does"
        errors.append({"field": "technician_id", "message": message})
    if errors:
        raise Invalid(errors=errors)
    assert known is not None
    return why or known[0]


def depot_place(handling: Handling, at: Place, van: Van | None) -> Place:
    """Give the place a depot brings a terminal to."""
    if van is not None:
        return Place(Pool.VAN, van.org_unit_id, technician_id=van.technician_id)
    return Place(_POOLS[handling], at.org_unit_id)


_POOLS: dict[Handling, Pool] = {
    Handling.RETURN: Pool.WAREHOUSE,
    Handling.HAND_IN: Pool.RECOVERED,
    Handling.REFURBISH: Pool.REFURBISH,
    Handling.RESTOCK: Pool.WAREHOUSE,
    Handling.SCRAP: Pool.SCRAP,
    Handling.LOSE: Pool.LOST,
    Handling.FIND: Pool.WAREHOUSE,
}


class Judged(NamedTuple):
    """What can become of one row: the place it goes to, or why it goes nowhere."""

    serial_number: str
    before: Place | None
    after: Place | None
    fault: RowFault | None = None
    words: Words | None = None


def judge_batch(
    handling: Handling,
    serials: Sequence[str],
    places: Mapping[str, Place],
    van: Van | None,
) -> list[Judged]:
    """Judge each row of a batch; `places` are those of the terminals the caller may move."""
    times = Counter(serials)
    judged = []
    for serial in serials:
        place = places.get(serial)
        if place is None or times[serial] > 1:
            fault = RowFault.UNKNOWN if place is None else RowFault.REPEATED
            judged.append(Judged(serial, place, None, fault, FAULT_WORDS[fault]))
            continue
        after = depot_place(handling, place, van)
        if van is not None and place.technician_id == van.technician_id:
            fault = RowFault.SAME_VAN
            judged.append(Judged(serial, place, None, fault, FAULT_WORDS[fault]))
            continue
        try:
            judged.append(Judged(serial, place, moved(serial, place, handling, after)))
        except MoveNotAllowed:
            fault = RowFault.NOT_THERE
            words = Words(
                *(
                    part.format(pool=place.pool.value, handling=handling.value)
                    for part in (FAULT_WORDS[fault].zh, FAULT_WORDS[fault].en)
                )
            )
            judged.append(Judged(serial, place, None, fault, words))
    return judged
