"""What memberships do when the grids they belong to are redrawn.

| command | rule |
|---|---|
| reshape, move_border | unchanged |
| split | each new part gets copies of those in force or to come, so nobody's ground is vacant |
| merge, retire with an heir | the heir keeps its own; those of the others end, and their people become backups behind the heir's; loans end |
| retire | those in force end, those to come are taken back |

All from the local day of the change on. Whoever belongs to the heir already, as primary or as
backup, is not added again, and nobody is added twice.
"""  # noqa: E501 - a table

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from uuid import UUID

from app.grids.rules import ChangeKind, MembershipKind


class Becomes(StrEnum):
    """What becomes of somebody's belonging to a grid."""

    KEPT = "kept"
    COPIED = "copied"
    BACKUP = "backup"
    ENDED = "ended"
    TAKEN_BACK = "taken_back"


@dataclass(frozen=True, slots=True)
class Member:
    """A membership: who looks after which grid; local days, `valid_to` excluded (None: open)."""

    id: UUID
    grid_id: UUID
    technician_id: UUID
    kind: MembershipKind
    rank: int
    valid_from: date
    valid_to: date | None
    weekdays: int
    ratio: int


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a membership. `member` is how it will be: with its end where it ends, and
    new, with the grid it is for and no id of its own yet, where it is copied or a backup."""

    becomes: Becomes
    member: Member


def follow(
    kind: ChangeKind,
    members: Iterable[Member],
    *,
    days: Mapping[UUID, date],
    new: Sequence[UUID] = (),
    heir: UUID | None = None,
) -> list[Fate]:
    """Say what becomes of the memberships of the grids that a change concerns.

    `days` is the local day of the change by grid, old grids and new; `new` are the grids that a
    split makes, `heir` is the grid that takes the others over. Those past already, or taken
    back, are left out.
    """
    living = [
        one
        for one in members
        if one.valid_to is None or one.valid_to > max(one.valid_from, days[one.grid_id])
    ]
    if kind is ChangeKind.SPLIT:
        kept = [Fate(Becomes.KEPT, one) for one in living]
        return kept + [
            Fate(Becomes.COPIED, _from_on(replace(one, grid_id=part), days[part]))
            for part in new
            for one in living
        ]
    if heir is not None:
        return _merged(living, days, heir)
    if kind is ChangeKind.RETIRE:
        return [_ended(one, days[one.grid_id]) for one in living]
    return [Fate(Becomes.KEPT, one) for one in living]


def _merged(living: Sequence[Member], days: Mapping[UUID, date], heir: UUID) -> list[Fate]:
    heirs = [one for one in living if one.grid_id == heir]
    others = [one for one in living if one.grid_id != heir]
    known = {one.technician_id for one in heirs if one.kind is not MembershipKind.LOAN}
    rank = max((one.rank for one in heirs if one.kind is MembershipKind.BACKUP), default=0)
    fates = [Fate(Becomes.KEPT, one) for one in heirs]
    fates += [_ended(one, days[one.grid_id]) for one in others]
    # Primaries come first, in the order in which the grids were named; then backups by rank.
    for one in sorted(others, key=lambda one: (one.kind is not MembershipKind.PRIMARY, one.rank)):
        if one.kind is MembershipKind.LOAN or one.technician_id in known:
            continue
        known.add(one.technician_id)
        rank += 1
        backup = replace(one, grid_id=heir, kind=MembershipKind.BACKUP, rank=rank)
        fates.append(Fate(Becomes.BACKUP, _from_on(backup, days[heir])))
    return fates


def _from_on(one: Member, day: date) -> Member:
    return replace(one, valid_from=max(one.valid_from, day))


def _ended(one: Member, day: date) -> Fate:
    """End a membership on a day; one that has not begun by then ends on the day it begins."""
    became = Becomes.ENDED if one.valid_from < day else Becomes.TAKEN_BACK
    return Fate(became, replace(one, valid_to=max(one.valid_from, day)))
