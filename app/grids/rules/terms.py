"""Who has which grid from when till when: what may begin and end, and the order of backups."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import NamedTuple
from uuid import UUID

from app.core.errors import Conflict, Invalid
from app.core.i18n import Words
from app.grids.rules import MembershipKind
from app.grids.rules.asking import EVERY_DAY, in_force


class Term(NamedTuple):
    """A membership as it stands or is wanted; local days, `valid_to` excluded, null is open."""

    id: UUID
    grid_id: UUID
    technician_id: UUID
    kind: MembershipKind
    rank: int
    valid_from: date
    valid_to: date | None
    weekdays: int = EVERY_DAY
    ratio: int = 100

    def holds_on(self, day: date) -> bool:
        """Tell whether a local day lies within it, whatever the weekday."""
        return in_force(day, self.valid_from, self.valid_to)

    def meets(self, other: "Term") -> bool:
        """Tell whether two of them hold on a day in common; one taken back never held."""
        return (
            self.valid_from != self.valid_to
            and other.valid_from != other.valid_to
            and (self.valid_to is None or other.valid_from < self.valid_to)
            and (other.valid_to is None or self.valid_from < other.valid_to)
        )


# --- refusals ---------------------------------------------------------------------------------


class PrimaryTaken(Conflict):
    """A grid has one primary at a time."""

    slug = "primary-taken"
    title = Words(
        zh="该网格在此期间已有主责人员", en="This grid already has a primary in that time"
    )
    advice = Words(
        zh="{technician_name}（{technician_code}）自 {valid_from} 起为主责；"
        "请先结束其主责，或改为备岗。",
        en="{technician_name} ({technician_code}) is primary from {valid_from}; end that first, "
        "or make a backup.",
    )


# --- one by one -------------------------------------------------------------------------------


def check_days(kind: MembershipKind, valid_from: date, valid_to: date | None) -> None:
    """Check that a membership ends after it begins, and that a loan ends. Raises Invalid."""
    if valid_to is None and kind is MembershipKind.LOAN:
        raise Invalid(errors=[{"field": "valid_to", "message": "a loan has an end"}])
    if valid_to is not None and valid_to <= valid_from:
        raise Invalid(errors=[{"field": "valid_to", "message": "must lie after valid_from"}])


def check_end(valid_from: date, valid_to: date | None, last_excluded: date) -> None:
    """Check that an end lies not before the beginning nor after the end there is. Raises Invalid.

    An end is not put off: somebody may come after it.
    """
    if last_excluded < valid_from or (valid_to is not None and last_excluded > valid_to):
        until = f" and not after {valid_to}" if valid_to else ""
        raise Invalid(
            errors=[{"field": "valid_to", "message": f"must not lie before {valid_from}{until}"}]
        )


# --- in which order backups are asked ---------------------------------------------------------


class BackupsNotNamed(Conflict):
    slug = "backups-not-named"
    title = Words(zh="备岗名单与实际不符", en="These are not the grid's backups")
    advice = Words(
        zh="该网格自 {day} 起的备岗为：{backups}；请每位各列一次。",
        en="From {day} on its backups are {backups}; name each of them once.",
    )


class Reordered(NamedTuple):
    """How backups come into a new order: new ranks as they stand, ends, and what begins instead."""

    ranks: dict[UUID, int]
    ends: dict[UUID, date]
    begins: list[Term]


def reordered(
    backups: Sequence[Term],
    technician_ids: Sequence[UUID],
    day: date,
    *,
    names: Mapping[UUID, tuple[str, str]],
    new_id: Callable[[], UUID],
) -> Reordered:
    """Let a grid's backups be asked in an order from a local day on; what was before it stays.

    `backups` are those that hold on that day or later. One that began before is ended that day and
    goes on under a new id with its new rank, so that the past keeps its order. Raises
    BackupsNotNamed unless each backup is named exactly once.
    """
    held = {one.technician_id for one in backups}
    missing = held - set(technician_ids)
    unknown = set(technician_ids) - held
    if missing or unknown or len(set(technician_ids)) != len(technician_ids):
        raise BackupsNotNamed(
            day=day,
            backups=sorted(names[one][0] for one in held) or ["—"],
            missing=sorted(names[one][0] for one in missing),
            unknown=sorted(str(one) for one in unknown),
        )
    wanted = {technician_id: rank for rank, technician_id in enumerate(technician_ids, 1)}
    change = Reordered({}, {}, [])
    for one in backups:
        rank = wanted[one.technician_id]
        if one.rank == rank:
            continue
        if one.valid_from >= day:
            change.ranks[one.id] = rank
            continue
        change.ends[one.id] = day
        change.begins.append(one._replace(id=new_id(), rank=rank, valid_from=day))
    return change
