"""A command of many rows that give grids to people, end that, or hand grids over.

Pure: it is judged against the memberships as they stand, row by row, each with its own verdict;
whoever carries it out does all of it or nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple
from uuid import UUID

from app.core.errors import Conflict, NotFound, Problem, SameIdOtherContent
from app.core.i18n import Words
from app.grids.rules import MembershipKind
from app.grids.rules.terms import PrimaryTaken, Term, check_days, check_end


class OtherPredecessor(Conflict):
    slug = "other-predecessor"
    title = Words(zh="该网格的主责并非所指人员", en="The grid's primary is somebody else")
    advice = Words(
        zh="{day} 的主责为：{technician_name}（{technician_code}）；请刷新后再交接。",
        en="On {day} its primary is {technician_name} ({technician_code}); look again, then hand "
        "over.",
    )


class RowsCollide(Conflict):
    slug = "rows-collide"
    title = Words(
        zh="与同一批的另一行冲突", en="This row collides with another of the same command"
    )
    advice = Words(
        zh="与第 {other_row} 行针对同一编号、同一任期或同一网格的同一时间；请只保留一行。",
        en="Row {other_row} speaks of the same id, the same membership, or the same grid and time; "
        "keep one of them.",
    )


class MembershipsRefused(Conflict):
    slug = "memberships-refused"
    title = Words(zh="部分行无法执行，未作任何更改", en="Some rows cannot be done; none was")
    advice = Words(
        zh="{refused} 行无法执行：请按 facts.rows 修改后整批重发，未作任何更改。",
        en="{refused} rows cannot be done: mend what facts.rows names and send all again; nothing "
        "was changed.",
    )


class Assign(NamedTuple):
    """A row that gives a grid to a technician."""

    term: Term


class HandOver(NamedTuple):
    """A row that makes somebody a grid's primary; whoever is primary on that day ends then.

    `from_technician_id` says who that must be, if it matters.
    """

    term: Term
    from_technician_id: UUID | None


class End(NamedTuple):
    """A row that ends a membership."""

    membership_id: UUID
    valid_to: date


Row = Assign | HandOver | End


def day_of(row: Row) -> date:
    """Say from which local day on a row changes something."""
    return row.valid_to if isinstance(row, End) else row.term.valid_from


@dataclass(frozen=True, slots=True)
class Ground:
    """What a command meets, as far as its caller may see and change it.

    `terms` are the grids' memberships that still hold on the first day of the command, and those
    the rows name; `elsewhere` are ids of rows that stand for a membership of no such grid; `names`
    are codes and names of technicians.
    """

    grids: Collection[UUID]
    technicians: Collection[UUID]
    terms: Sequence[Term]
    elsewhere: Collection[UUID]
    names: Mapping[UUID, tuple[str, str]]


class Judged(NamedTuple):
    """What a row comes to: the membership that it begins or ends, or why it cannot be done.

    `predecessor` is the primary who ends on the day a new one begins. `known` says that all of it
    is so already.
    """

    row: Row
    term: Term | None = None
    predecessor: Term | None = None
    known: bool = False
    problem: Problem | None = None


@dataclass(slots=True)
class Plan:
    """A whole command, judged: a verdict for each row, and what it begins and ends."""

    rows: list[Judged]
    begins: list[Term] = field(default_factory=list)
    ends: dict[UUID, date] = field(default_factory=dict)
    terms: dict[UUID, Term] = field(default_factory=dict)

    @property
    def refused(self) -> list[tuple[int, Problem]]:
        """The rows that cannot be done, by their numbers from 0, and why."""
        return [(n, one.problem) for n, one in enumerate(self.rows) if one.problem is not None]


class Person(NamedTuple):
    """A technician as grids know them; `ours` is whether they belong to the caller's subtree."""

    id: UUID
    code: str
    name: str
    active: bool
    ours: bool


class Judgement(NamedTuple):
    """A command, judged: the plan, and code and name of its grids and what its people are."""

    plan: Plan
    grids: dict[UUID, tuple[str, str]]
    people: dict[UUID, Person]


def judge(rows: Sequence[Row], ground: Ground) -> Plan:
    """Judge every row of a command, whose ends count before its beginnings.

    Nothing is raised: the plan has each refused row's Problem, and `terms` as the rest leaves them.
    """
    court = _Court(ground)
    verdicts: dict[int, Judged] = {}
    in_turn = sorted(range(len(rows)), key=lambda n: not isinstance(rows[n], End))
    for n in in_turn:
        row = rows[n]
        try:
            verdicts[n] = court.end(n, row) if isinstance(row, End) else court.begin(n, row)
        except Problem as problem:
            verdicts[n] = Judged(row, problem=problem)
    plan = court.plan
    plan.rows = [verdicts[n] for n in range(len(rows))]
    return plan


class _Court:
    """Judges rows one after the other, each against what those before it leave."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.plan = Plan([], terms={term.id: term for term in ground.terms})
        self.primaries: dict[UUID, set[UUID]] = {}
        for term in ground.terms:
            self._enter(term)
        self.row_of: dict[UUID, int] = {}
        self.begun: set[UUID] = set()

    def _enter(self, term: Term) -> None:
        self.plan.terms[term.id] = term
        if term.kind is MembershipKind.PRIMARY:
            self.primaries.setdefault(term.grid_id, set()).add(term.id)

    def _name(self, n: int, membership_id: UUID) -> None:
        other = self.row_of.setdefault(membership_id, n)
        if other != n:
            raise RowsCollide(other_row=other + 1, id=membership_id)

    def _end(self, term: Term, day: date) -> Term:
        ended = term._replace(valid_to=day)
        self.plan.ends[term.id] = day
        self.plan.terms[term.id] = ended
        return ended

    def end(self, n: int, row: End) -> Judged:
        """Judge a row that ends a membership. Raises its Problem."""
        term = self.plan.terms.get(row.membership_id)
        if term is None or term.grid_id not in self.ground.grids:
            raise NotFound(membership_id=row.membership_id)
        self._name(n, term.id)
        if term.valid_to == row.valid_to:
            return Judged(row, term, known=True)
        check_end(term.valid_from, term.valid_to, row.valid_to)
        return Judged(row, self._end(term, row.valid_to))

    def begin(self, n: int, row: Assign | HandOver) -> Judged:
        """Judge a row that gives a grid to somebody. Raises its Problem."""
        wanted = row.term
        if wanted.grid_id not in self.ground.grids:
            raise NotFound(grid_id=wanted.grid_id)
        if wanted.technician_id not in self.ground.technicians:
            raise NotFound(technician_id=wanted.technician_id)
        self._name(n, wanted.id)
        check_days(wanted.kind, wanted.valid_from, wanted.valid_to)
        before = self._last_before(wanted) if wanted.kind is MembershipKind.PRIMARY else None
        known = self.plan.terms.get(wanted.id)
        if known == wanted:
            return Judged(row, known, before, known=True)
        if known is not None or wanted.id in self.ground.elsewhere:
            raise SameIdOtherContent(id=wanted.id)
        now_held = None
        if isinstance(row, HandOver):
            now_held = self._primary_on(wanted.grid_id, wanted.valid_from)
            self._check_predecessor(row, now_held or before)
        # Another row says itself until when that one holds: a repeated command would contradict it.
        if now_held is not None and now_held.id in self.row_of:
            raise RowsCollide(other_row=self.row_of[now_held.id] + 1, id=now_held.id)
        self._check_alone(wanted, leaving=now_held)
        if now_held is not None:
            before = self._end(now_held, wanted.valid_from)
        self.plan.begins.append(wanted)
        self.begun.add(wanted.id)
        self._enter(wanted)
        return Judged(row, wanted, before)

    def _of_grid(self, grid_id: UUID) -> list[Term]:
        return [self.plan.terms[one] for one in self.primaries.get(grid_id, ())]

    def _primary_on(self, grid_id: UUID, day: date) -> Term | None:
        holding = (one for one in self._of_grid(grid_id) if one.holds_on(day))
        return next(holding, None)

    def _last_before(self, wanted: Term) -> Term | None:
        """Find the primary who ends on the day on which a new one begins."""
        ending = (
            one
            for one in self._of_grid(wanted.grid_id)
            if one.valid_to == wanted.valid_from and one.id != wanted.id
        )
        return max(ending, key=lambda one: (one.valid_from, one.id), default=None)

    def _check_predecessor(self, row: HandOver, found: Term | None) -> None:
        theirs_already = found is not None and found.technician_id == row.term.technician_id
        if found is not None and theirs_already and found.holds_on(row.term.valid_from):
            raise self._taken(found)
        if row.from_technician_id is None:
            return
        if found is None or found.technician_id != row.from_technician_id:
            code, name = self._names(found.technician_id) if found else ("—", "—")
            raise OtherPredecessor(
                day=row.term.valid_from, technician_code=code, technician_name=name
            )

    def _check_alone(self, wanted: Term, *, leaving: Term | None) -> None:
        if wanted.kind is not MembershipKind.PRIMARY:
            return
        for other in sorted(self._of_grid(wanted.grid_id), key=lambda one: one.valid_from):
            if other is leaving:
                continue
            if other.meets(wanted):
                if other.id in self.begun:
                    raise RowsCollide(other_row=self.row_of[other.id] + 1, id=other.id)
                raise self._taken(other)

    def _taken(self, other: Term) -> PrimaryTaken:
        code, name = self._names(other.technician_id)
        return PrimaryTaken(
            membership_id=other.id,
            grid_id=other.grid_id,
            technician_code=code,
            technician_name=name,
            valid_from=other.valid_from,
            valid_to=other.valid_to,
        )

    def _names(self, technician_id: UUID) -> tuple[str, str]:
        return self.ground.names.get(technician_id, ("—", "—"))
