"""Putting together what stands against a sale and its install. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any, NamedTuple

from app.catalog.rules import BusinessType, OnSite
from app.core.errors import plain
from app.dispatch.rules import Need, NotOffered, PassedOver
from app.feasibility.rules.codes import CANNOT_BE_HAD, OF_DAY, OF_GATE, Blocks, Infeasible, No
from app.real_name.rules import RealName, RealNameState
from app.serviceability.rules import LineAt
from app.suggestions.rules import HeldBack
from app.suggestions.rules.facts import INSTALL, Facts


class Piece(NamedTuple):
    """An offering of the catalogue as far as it matters here, and how many of it are wanted."""

    code: str
    business_type: BusinessType
    requires: Sequence[str]
    excludes: Sequence[str]
    speed_mbps: int | None
    skill: str | None
    terminal: str | None
    minutes: int | None
    quantity: int = 1

    @property
    def need(self) -> Need | None:
        """What installing takes; None where nothing has to be installed."""
        if self.minutes is None:
            return None
        return Need(
            self.minutes * self.quantity,
            frozenset() if self.skill is None else frozenset({self.skill}),
            () if self.terminal is None else (self.terminal,) * self.quantity,
        )


def together(pieces: Iterable[Piece]) -> Need | None:
    """Add up what installing several things in one go takes; None where there is nothing."""
    needs = [piece.need for piece in pieces]
    found = [need for need in needs if need is not None]
    if not found:
        return None
    return Need(
        sum(need.minutes for need in found),
        frozenset().union(*(need.skills for need in found)),
        tuple(kind for need in found for kind in need.terminals),
    )


def covers(held: Need, need: Need) -> bool:
    """Tell whether what was held is enough."""
    return (
        need.minutes <= held.minutes
        and need.skills <= held.skills
        and all(
            need.terminals.count(kind) <= held.terminals.count(kind) for kind in {*need.terminals}
        )
    )


@dataclass(frozen=True)
class Lacking:
    """What a technician at the door lacks for some work; `free_minutes` are what today has left."""

    skills: Sequence[str]
    terminals: Sequence[str]
    time: PassedOver | NotOffered | None
    free_minutes: float


class Wanted(IntEnum):
    """For what a customer's real name has to be checked, as the parameter has it."""

    NEVER = 0
    NEW_LINES = 1
    ALWAYS = 2


class Person(NamedTuple):
    """What is known of a customer's real name, and for what it has to be checked."""

    name: RealName | None
    now: datetime
    wanted: Wanted


def against_sale(
    piece: Piece,
    gates: Sequence[HeldBack],
    on_site: OnSite,
    facts: Facts,
    line: LineAt | None,
    person: Person,
) -> list[No]:
    """List what stands against selling something, with the facts, the weightiest first.

    `on_site` is what may be done with it at the door of this customer.
    """
    noes = []
    if on_site is OnSite.LEAD_ONLY:
        noes.append(No(Infeasible.NOT_SOLD_HERE, {"business_type": piece.business_type.value}))
    noes.extend(_of_gates(piece, gates, facts, line))
    new_line = piece.speed_mbps is not None and facts.speed_mbps is None
    noes.extend(against_person(person, new_line=new_line))
    return noes


def cannot_be_had(
    piece: Piece, gates: Sequence[HeldBack], facts: Facts, line: LineAt | None
) -> list[No]:
    """List why something cannot be had at all, by what is known for certain: what is missing at
    the door of an install may be just what that brings."""
    unsure = _INSTALL_MAY_BRING if facts.work_type == INSTALL else frozenset[Infeasible]()
    return [
        no
        for no in _of_gates(piece, gates, facts, line)
        if no.code in CANNOT_BE_HAD and no.code not in unsure
    ]


# A service that is being installed is held, and has its port, only once that is done.
_INSTALL_MAY_BRING = frozenset({Infeasible.REQUIRES_OTHER, Infeasible.NO_FREE_PORT})


def against_person(person: Person, *, new_line: bool) -> list[No]:
    """Say what a customer's real name stands in the way of.

    A check that did not pass always does; one that is missing, over or without an outcome, where
    the operator wants one.
    """
    name = person.name
    if name is not None and name.state is RealNameState.FAILED:
        return [No(Infeasible.REAL_NAME_FAILED, {"code": name.code and name.code.value})]
    wanted = person.wanted is Wanted.ALWAYS or (new_line and person.wanted is Wanted.NEW_LINES)
    if not wanted or (name is not None and name.good(person.now)):
        return []
    facts = {
        "state": None if name is None else name.state.value,
        "valid_until": None if name is None else plain(name.valid_until),
    }
    return [No(Infeasible.REAL_NAME_MISSING, facts)]


def _of_gates(
    piece: Piece, gates: Sequence[HeldBack], facts: Facts, line: LineAt | None
) -> list[No]:
    return [No(OF_GATE[gate], _facts(gate, piece, facts, line)) for gate in gates]


def _facts(gate: HeldBack, piece: Piece, facts: Facts, line: LineAt | None) -> Mapping[str, Any]:
    if gate is HeldBack.ALREADY_HELD:
        return {"held": sorted((facts.held | facts.terminals) & {piece.code, *piece.excludes})}
    if gate is HeldBack.REQUIRES_OTHER:
        return {"missing": sorted({*piece.requires} - facts.held - facts.brought_here)}
    if gate is HeldBack.ARREARS:
        return {"arrears_fen": facts.arrears_fen}
    if gate in (HeldBack.LINE_UNKNOWN, HeldBack.LINE_TOO_SLOW):
        return {"wanted_mbps": piece.speed_mbps, "max_mbps": facts.line_max_mbps, **_told(line)}
    if gate is HeldBack.NO_FREE_PORT:
        return {"reason": line and line.reason, **_told(line)}
    return {}


def _told(line: LineAt | None) -> Mapping[str, Any]:
    if line is None:
        return {"source": None, "as_of": None}
    return {"source": line.source.value, "as_of": plain(line.as_of)}


def against_install(need: Need, lacking: Lacking | None) -> list[No]:
    """List what stands against installing something now; nothing known of the day is no place."""
    if lacking is None:
        return [No(Infeasible.PLACE_NOT_COVERED, {})]
    noes = []
    if lacking.skills:
        noes.append(No(Infeasible.SKILL_MISSING, {"skills": list(lacking.skills)}))
    if lacking.terminals:
        noes.append(No(Infeasible.NOT_IN_THE_VAN, {"terminals": list(lacking.terminals)}))
    if lacking.time is not None:
        facts = {"minutes": need.minutes, "free_minutes": round(lacking.free_minutes)}
        noes.append(No(OF_DAY[lacking.time], facts))
    return noes


def sellable(noes: Iterable[No]) -> bool:
    """Tell whether nothing stands in the way of the sale itself."""
    return all(no.blocks is not Blocks.SALE for no in noes)
