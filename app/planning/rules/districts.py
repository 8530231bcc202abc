"""A district's day as it is to be planned: the kernel's problem, and who and what its rows are.

All that a plan is made from is in it, so that it can be made again from what is stored: see
`pack` and `unpack`. Pure; seconds are counted from `origin`, a local midnight.
"""

import io
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from app.dispatch.solver import Costs, Plan, Problem, Technicians, Visits
from app.workorders.rules import State, UnplacedReason

VERSION = 1
"""Of what `pack` writes."""


class NotReadable(ValueError):
    """What was packed is of another version, or damaged."""


class Fact(NamedTuple):
    """What is known of an order beside what the kernel asks, as it was when the plan was begun.

    `due` is the promise as it was given, in seconds after the origin: what the kernel is told of
    an order that is late already is no promise any more. `grid_id` is where it lies.
    """

    order_id: UUID
    state: State
    holder_id: UUID | None
    planned_day: date | None
    grid_id: UUID | None
    due: int | None
    priority: int
    minutes: int


class LeftOut(NamedTuple):
    """An order that no search was asked about, and why it is nobody's in the plan."""

    fact: Fact
    reason: UnplacedReason


@dataclass(frozen=True, slots=True)
class District:
    """One org unit's day.

    The first visits of the problem are `facts`, in their order; after them come times in which
    people are not at work or promised to somebody else (leave, slots that are held). `current` is
    what is in force: everybody's visits in the order of the day, whether it holds or not. `day` is
    local; `points` are longitude and latitude of the problem's places, NaN where none is known.
    `absent` are not at work from now on, `away` are those of whom it became known that they cannot
    do all that they hold. `warm` is what the search begins with where that is another plan than
    what is in force. The lowest `skill_bits` bits of a visit's mask are skills; the others say who
    has declined it.
    """

    org_unit_id: UUID
    day: date
    origin: int
    problem: Problem
    facts: tuple[Fact, ...]
    technician_ids: tuple[UUID, ...]
    current: Plan
    left_out: tuple[LeftOut, ...]
    points: NDArray[np.float64]
    detour: float
    shift_ends: tuple[int, ...]
    skill_bits: int
    absent: frozenset[UUID] = frozenset()
    warm: Plan | None = None
    away: frozenset[UUID] = frozenset()

    @property
    def orders(self) -> int:
        """How many of the problem's visits are orders."""
        return len(self.facts)


def pack(districts: Sequence[District]) -> bytes:
    """Write districts down without any loss; `unpack` reads them again."""
    arrays: dict[str, NDArray[Any]] = {}
    heads = []
    for number, each in enumerate(districts):
        problem = each.problem
        for part in (problem.visits, problem.technicians):
            for name in part.__dataclass_fields__:
                arrays[f"{number}.{type(part).__name__}.{name}"] = getattr(part, name)
        travel = problem.travel
        small = not travel.size or int(travel.max()) < 1 << 16
        arrays[f"{number}.travel"] = travel.astype(np.uint16) if small else travel
        arrays[f"{number}.owner_class"] = problem.owner_class
        arrays[f"{number}.points"] = each.points
        heads.append(_head(each))
    kept = io.BytesIO()
    text = np.frombuffer(json.dumps({"version": VERSION, "districts": heads}).encode(), np.uint8)
    np.savez(kept, head=text, **arrays)  # type: ignore[arg-type]
    return zlib.compress(kept.getvalue(), 6)


def unpack(packed: bytes) -> list[District]:
    """Read what `pack` wrote. Raises NotReadable."""
    try:
        with np.load(io.BytesIO(zlib.decompress(packed)), allow_pickle=False) as kept:
            head = json.loads(kept["head"].tobytes())
            if head["version"] != VERSION:
                raise NotReadable(f"packed as version {head['version']}, read is {VERSION}")
            return [_district(kept, number, one) for number, one in enumerate(head["districts"])]
    except (OSError, KeyError, zlib.error) as error:
        raise NotReadable(str(error)) from error


def _head(each: District) -> dict[str, Any]:
    costs = each.problem.costs
    return {
        "org_unit_id": str(each.org_unit_id),
        "day": str(each.day),
        "origin": each.origin,
        "costs": [list(costs.ownership), costs.late_cap, costs.moved, costs.uneven],
        "frozen": each.problem.frozen,
        "facts": [_written(fact) for fact in each.facts],
        "technician_ids": [str(one) for one in each.technician_ids],
        "current": each.current,
        "left_out": [[_written(one.fact), one.reason] for one in each.left_out],
        "detour": each.detour,
        "shift_ends": each.shift_ends,
        "skill_bits": each.skill_bits,
        "absent": sorted(map(str, each.absent)),
        "away": sorted(map(str, each.away)),
        "warm": each.warm,
    }


def _written(fact: Fact) -> list[Any]:
    return [str(one) if isinstance(one, UUID | date) and one is not None else one for one in fact]


def _fact(written: Sequence[Any]) -> Fact:
    order_id, state, holder_id, day, grid_id, due, priority, minutes = written
    return Fact(
        UUID(order_id),
        State(state),
        UUID(holder_id) if holder_id else None,
        date.fromisoformat(day) if day else None,
        UUID(grid_id) if grid_id else None,
        due,
        priority,
        minutes,
    )


def _plan(written: Sequence[Sequence[int]]) -> Plan:
    return tuple(tuple(route) for route in written)


def _district(kept: Any, number: int, head: dict[str, Any]) -> District:
    def part(kind: type[Any]) -> Any:
        names = [each.name for each in fields(kind)]
        return kind(**{name: kept[f"{number}.{kind.__name__}.{name}"] for name in names})

    ownership, late_cap, moved, uneven = head["costs"]
    problem = Problem(
        part(Visits),
        part(Technicians),
        np.ascontiguousarray(kept[f"{number}.travel"], np.int32),
        kept[f"{number}.owner_class"],
        Costs(tuple(ownership), late_cap, moved, uneven),
        _plan(head["frozen"]),
    )
    return District(
        org_unit_id=UUID(head["org_unit_id"]),
        day=date.fromisoformat(head["day"]),
        origin=head["origin"],
        problem=problem,
        facts=tuple(_fact(one) for one in head["facts"]),
        technician_ids=tuple(UUID(one) for one in head["technician_ids"]),
        current=_plan(head["current"]),
        left_out=tuple(
            LeftOut(_fact(fact), UnplacedReason(reason)) for fact, reason in head["left_out"]
        ),
        points=kept[f"{number}.points"],
        detour=head["detour"],
        shift_ends=tuple(head["shift_ends"]),
        skill_bits=head["skill_bits"],
        absent=frozenset(UUID(one) for one in head["absent"]),
        away=frozenset(UUID(one) for one in head["away"]),
        warm=None if head["warm"] is None else _plan(head["warm"]),
    )
