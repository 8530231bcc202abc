"""Which gates are in force for an org unit on a day: versions that an operator has set."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple
from uuid import UUID

from app.core.errors import Conflict
from app.core.i18n import Words
from app.suggestions.rules import HeldBack
from app.suggestions.rules.gates import ABSOLUTE, HOLDS, Off

# The numbers by which each gate decides, as `Limits` and the parameters `suggestions.*` name them.
NUMBERS: dict[HeldBack, tuple[str, ...]] = {
    HeldBack.JUST_ACCEPTED: ("accepted_days",),
    HeldBack.REPEAT_FAULT: ("repeat_fault_days",),
    HeldBack.COMPLAINT_RECENT: ("complaint_days",),
    HeldBack.DISSATISFIED: ("complaint_days",),
    HeldBack.NOT_FASTER: ("low_usage_gb",),
    HeldBack.LINE_FALLS_SHORT: ("measured_share", "measured_days"),
    HeldBack.NO_RENEWAL_DUE: ("renewal_days",),
    HeldBack.NO_NEED: ("low_usage_gb",),
    HeldBack.FEW_CALLS: ("many_calls", "calls_days"),
    HeldBack.NOT_WORTH_A_CONTACT: ("contact_cost_fen",),
    HeldBack.PITCHED_IN_THIS_VISIT: ("pitched_per_visit",),
    HeldBack.SHOWN_IN_THIS_VISIT: ("shown",),
    HeldBack.CONTACTS_MONTH: ("contacts_month",),
    HeldBack.CONTACTS_YEAR: ("contacts_year",),
    HeldBack.CONTACT_GAP: ("contact_gap_days",),
    HeldBack.SLOT_TAKEN: ("slot_hours",),
    HeldBack.REFUSED_OFTEN: ("refusals", "refusal_days"),
    HeldBack.DECLINED_RECENTLY: ("declined_days",),
    HeldBack.DECLINED_GROUP: ("declined_group_days",),
}

KNOWN = tuple(hold.code for hold in HOLDS)


class GateAbsolute(Conflict):
    slug = "gate-absolute"
    title = Words(zh="该限制不能关闭", en="This gate cannot be switched off")
    advice = Words(
        zh="{code} 由法律或规范要求，始终有效。",
        en="{code} is asked for by law or decency and always holds.",
    )


class GateVersion(NamedTuple):
    """That a gate holds or does not, for an org unit's subtree from a local day on."""

    id: UUID
    code: HeldBack
    version: int
    org_path: str
    valid_from: date
    in_force: bool


def in_force(
    versions: Sequence[GateVersion], org_path: str, day: date
) -> dict[HeldBack, GateVersion]:
    """Find the version of each gate for an org unit: the closest unit's, then the latest.

    A gate that no version speaks of holds.
    """
    found: dict[HeldBack, GateVersion] = {}
    for one in versions:
        if not org_path.startswith(one.org_path) or one.valid_from > day:
            continue
        other = found.get(one.code)
        if other is None or _rank(one) > _rank(other):
            found[one.code] = one
    return found


def _rank(one: GateVersion) -> tuple[int, date, int]:
    return len(one.org_path), one.valid_from, one.version


def switched_off(versions: Sequence[GateVersion], org_path: str, day: date) -> Off:
    """List the gates that do not hold for an org unit on a local day. Absolute ones always do."""
    found = in_force(versions, org_path, day)
    return frozenset(code for code, one in found.items() if not one.in_force) - ABSOLUTE


def may_be_switched(code: HeldBack, *, on: bool) -> None:
    """Check that a gate may be set so. Raises GateAbsolute."""
    if not on and code in ABSOLUTE:
        raise GateAbsolute(code=code)
