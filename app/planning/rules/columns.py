"""Columns of a district's problem that take some thought: breaks, ownership, skills. Pure.

Seconds are counted from the origin, a local midnight.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from app.dispatch.rules.costs import BACKUP_CLASS, ELSEWHERE, PRIMARY, SAME, Terms
from app.dispatch.solver import Plan
from app.grids.rules import MembershipKind
from app.planning.rules.asked import Asked, Membership, Person, Wanted
from app.travel.rules import Place

BITS = 63
"""Skills that one district may ask for, with a bit for each who has declined something."""
BACKUPS = 4
"""Backups later than so many cost no more."""


class TooManySkills(ValueError):
    """The orders of one district ask for more skills than there are bits."""


class Places:
    """The rows of the matrix: places that are the same have one."""

    def __init__(self) -> None:
        self.rows: list[Place | None] = []
        self._known: dict[Place, int] = {}

    def row(self, place: Place | None) -> int:
        if place is not None and place in self._known:
            return self._known[place]
        self.rows.append(place)
        if place is not None:
            self._known[place] = len(self.rows) - 1
        return len(self.rows) - 1


class Row(NamedTuple):
    """A visit's numbers, as the kernel takes them."""

    duration: int
    opens: int
    closes: int
    due: int
    late_weight: int
    unplaced: int


class Lunch(NamedTuple):
    """When lunch may begin, and how long it takes; no length is no lunch."""

    earliest: int
    latest: int
    length: int


def lunch_of(person: Person, origin: int) -> Lunch:
    """The break that may move, and what a day at work has more than they may work in it.

    Without a break of its own that surplus may be had at any time of the day.
    """
    frame = person.frame
    off = sum(pause.length for pause in frame.breaks)
    surplus = max(0, frame.ends - frame.begins - off - person.most)
    for pause in frame.breaks:
        if pause.slack:
            begins = pause.begins - origin
            return Lunch(max(0, begins - pause.slack), begins + pause.slack, pause.length + surplus)
    if not surplus:
        return Lunch(0, 0, 0)
    begins, ends = frame.begins - origin, frame.ends - origin
    return Lunch(begins, ends - surplus, surplus)


def at_work(person: Person, lunch: Lunch) -> int:
    """Seconds at work, without breaks and leave."""
    rests = sum(pause.length for pause in person.frame.breaks if not pause.slack)
    return max(0, person.frame.ends - person.frame.begins - rests - lunch.length)


class Block(NamedTuple):
    """A time that is somebody's own, as a visit only they can make."""

    column: int
    place: int
    opens: int
    closes: int
    seconds: int
    moves: bool  # a leave ends when it ends; a visit promised takes as long as it takes


def blocks_of(
    asked: Asked,
    seat: Mapping[UUID, int],
    lunches: Sequence[Lunch],
    homes: Sequence[int],
    places: Places,
) -> list[Block]:
    """Leave in the middle of a day is spent at home; a slot that is held is somewhere."""
    blocks = []
    for column, person in enumerate(asked.people):
        lunch_had = False
        for pause in person.frame.breaks:
            if pause.slack and not lunch_had:
                lunch_had = True
                continue
            begins = pause.begins - asked.origin
            blocks.append(
                Block(
                    column,
                    homes[column],
                    max(0, begins - pause.slack),
                    begins + pause.slack,
                    pause.length,
                    moves=pause.slack > 0,
                )
            )
    blocks += [
        Block(
            seat[one.technician_id],
            places.row(None),
            max(0, one.opens),
            one.closes,
            one.seconds,
            moves=True,
        )
        for one in asked.taken
        if one.technician_id in seat and one.closes >= (asked.now or 0)
    ]
    return blocks


def reached(
    block: Block,
    asked: Asked,
    wanted: Sequence[Wanted],
    rows: Sequence[int],
    columns: Sequence[Row],
    starts: Sequence[int],
    frozen: Plan,
    travel: NDArray[np.int32],
) -> Block:
    """Let a leave begin when its owner can be home, where what is frozen takes longer."""
    time = asked.people[block.column].frame.begins - asked.origin
    place = starts[block.column]
    for visit in frozen[block.column]:
        time = max(time + int(travel[place, rows[visit]]), columns[visit].opens)
        time, place = time + columns[visit].duration, rows[visit]
    there = time + int(travel[place, block.place])
    if there <= block.closes:
        return block
    less = 0 if block.moves else there - block.opens
    return block._replace(opens=there, closes=there, seconds=max(0, block.seconds - less))


def ownership_costs(terms: Terms) -> Iterable[int]:
    """By class, with the later backups after the four."""
    yield from terms.ownership
    for rank in range(2, BACKUPS + 1):
        yield terms.owned(BACKUP_CLASS, rank)


def ownership(
    asked: Asked, wanted: Sequence[Wanted], seat: Mapping[UUID, int]
) -> tuple[list[int], NDArray[np.uint8]]:
    """Each visit's grid, and how everybody belongs to each of them; the last row is no grid."""
    rows: dict[UUID | None, int] = {}
    classes: list[NDArray[np.uint8]] = []
    grids = []
    for one in wanted:
        grid_id = one.fact.grid_id
        if grid_id not in rows:
            rows[grid_id] = len(classes)
            row = np.full(len(seat), SAME if one.ours else ELSEWHERE, np.uint8)
            for member in asked.memberships.get(grid_id, ()) if grid_id is not None else ():
                if member.technician_id in seat:
                    column = seat[member.technician_id]
                    known = int(row[column])
                    found = _class_of(member)
                    costs = list(ownership_costs(asked.terms))
                    row[column] = min(known, found, key=lambda each: (costs[each], each))
            classes.append(row)
        grids.append(rows[grid_id])
    classes.append(np.zeros(len(seat), np.uint8))
    return grids, np.stack(classes)


def _class_of(member: Membership) -> int:
    if member.kind is not MembershipKind.BACKUP:
        return PRIMARY
    return BACKUP_CLASS if member.rank <= 1 else ELSEWHERE + min(member.rank, BACKUPS) - 1


def skills(people: Sequence[Person], wanted: Sequence[Wanted]) -> tuple[list[int], list[int], int]:
    """Skills as bits: what everybody has, what each visit needs, how many bits are skills.

    Who has declined an order lacks a skill that everybody else has. Where there are not bits
    enough for all who have declined something, the first ones count. Raises TooManySkills.
    """
    names = sorted({skill for one in wanted for skill in one.skills})
    if len(names) > BITS:
        raise TooManySkills(f"{len(names)} skills in one district, {BITS} at the most")
    bits = {skill: 1 << place for place, skill in enumerate(names)}
    here = {person.technician_id for person in people}
    decliners = sorted({who for one in wanted for who in one.declined if who in here})
    spare = range(len(names), BITS)
    nots = {who: 1 << place for who, place in zip(decliners, spare, strict=False)}
    everybody = sum(nots.values())
    has = [
        sum(bits.get(skill, 0) for skill in person.skills)
        | everybody & ~nots.get(person.technician_id, 0)
        for person in people
    ]
    needs = [
        sum(bits[skill] for skill in one.skills)
        | sum(
            nots[who]
            for who in one.declined
            if who in nots and who not in (one.fact.holder_id, one.pinned_to)
        )
        for one in wanted
    ]
    return has, needs, len(names)


def stock(
    people: Sequence[Person], wanted: Sequence[Wanted], pinned: Sequence[int], frozen: Plan
) -> tuple[list[list[int]], list[list[int]]]:
    """Terminals by kind: how many each visit takes from a van, and how many each van has for them.

    What orders need that are not planned here, or that stay where they are (frozen, or somebody's
    whatever is in their van), is left out of both: it is taken from its holder's van already.
    """
    kinds = sorted({kind for one in wanted for kind in one.terminals})
    if not kinds:
        return [], []
    stays = {visit for prefix in frozen for visit in prefix}
    stays |= {visit for visit, seat in enumerate(pinned) if seat >= 0}
    moving = {one.fact.order_id for visit, one in enumerate(wanted) if visit not in stays}
    needs = [
        [0 if visit in stays else one.terminals.count(kind) for kind in kinds]
        for visit, one in enumerate(wanted)
    ]
    vans = []
    for person in people:
        left = Counter(person.van.left)
        for order_id, terminals in person.van.needed.items():
            if order_id in moving:
                left.update(terminals)
        vans.append([max(0, left[kind]) for kind in kinds])
    return needs, vans
