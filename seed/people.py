"""The demo city's technicians: who they are, when they work, and which grids they look after."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from app.grids.rules import MembershipKind
from app.technicians.rules import LeaveCause
from seed import terrain, words
from seed.dice import Dice, id_of
from seed.terrain import BRANCHES, Grid, Place

ZONE = ZoneInfo("Asia/Shanghai")
A_BRANCH_HAS = 20

# Every so many technicians have a skill. Everybody can do fibre, and connect what stands at home
# beside a gateway; cameras are for some, and old copper and companies' lines for few.
SKILLS = {"iptv": 1, "wifi": 1, "camera": 2, "copper": 5, "enterprise": 7}

# How a week is worked, and how many of a hundred work it so.
SHIFTS = {
    "mon-fri 08:00-12:00 13:00-17:30; sat 08:30-12:00": 48,
    "mon-thu 08:00-12:00 13:00-17:30; sat-sun 08:30-12:00 13:00-17:30": 25,
    "mon-tue 10:30-14:30 15:00-19:30; thu-sun 10:30-14:30 15:00-19:30": 17,
    "tue-sat 08:00-12:00 13:00-17:30; sun 09:00-12:00": 10,
}
CONTRACTORS = ("澄湖通达通信服务有限公司", "云江恒信网络工程有限公司")


@dataclass(frozen=True)
class Technician:
    """A technician; `home` is in GCJ-02 degrees, skills and shifts are written as in a file."""

    code: str
    name: str
    branch: str
    phone: str
    contractor: str | None
    skills: str
    shifts: str
    home: Place


@dataclass(frozen=True)
class Membership:
    """Who looks after a grid, and in what way."""

    id: UUID
    grid: str
    technician: str
    kind: MembershipKind
    rank: int


@dataclass(frozen=True)
class Leave:
    """A time somebody does not work."""

    id: UUID
    technician: str
    starts_at: datetime
    ends_at: datetime
    cause: LeaveCause


def technicians(seed: int) -> list[Technician]:
    """Hire twenty technicians for each branch."""
    dice = Dice(seed, "technicians")
    made: list[Technician] = []
    for branch in BRANCHES:
        for nth in range(A_BRANCH_HAS):
            number = len(made) + 1
            # Dealt out in turn and not by chance, so that no branch is without a skill.
            levels = {"fibre": dice.whole(2, 5)}
            for place, (skill, every) in enumerate(SKILLS.items()):
                if (nth + place) % every == 0:
                    levels[skill] = dice.whole(1, 5)
            made.append(
                Technician(
                    code=f"T{number:03d}",
                    name=words.person(dice),
                    branch=branch,
                    phone=words.phone(90_000_000 + number),
                    contractor=dice.pick(CONTRACTORS) if dice.chance(0.4) else None,
                    skills="; ".join(f"{skill}:{level}" for skill, level in levels.items()),
                    shifts=dice.weighted(SHIFTS),
                    home=terrain.offset(
                        (terrain.LON, terrain.LAT),
                        dice.between(-4500, 4500),
                        dice.between(-4500, 4500),
                    ),
                )
            )
    return made


def memberships(seed: int, grids: list[Grid], people: list[Technician]) -> list[Membership]:
    """Give each grid one primary and one or two backups, all of its own branch.

    Of a branch's twenty, eleven are primaries: four of two grids and seven of one; nine of none.
    """
    made = []
    for branch in BRANCHES:
        dice = Dice(seed, f"memberships of {branch}")
        crew = [person.code for person in dice.shuffled(people) if person.branch == branch]
        theirs = [grid.code for grid in grids if grid.branch == branch]
        primaries = crew[:11] + crew[:4]
        spare = crew[::-1]
        for nth, (grid, primary) in enumerate(zip(theirs, primaries, strict=True)):
            made.append(_member(seed, grid, primary, MembershipKind.PRIMARY, 1))
            # Those without a grid of their own stand in first, each in turn.
            others = [code for code in spare[nth:] + spare[:nth] if code != primary]
            backups = others[: 2 if dice.chance(0.6) else 1]
            made += [
                _member(seed, grid, code, MembershipKind.BACKUP, rank)
                for rank, code in enumerate(backups, start=1)
            ]
    return made


def _member(seed: int, grid: str, technician: str, kind: MembershipKind, rank: int) -> Membership:
    return Membership(
        id=id_of(seed, "membership", grid, kind.value, rank),
        grid=grid,
        technician=technician,
        kind=kind,
        rank=rank,
    )


def leaves(seed: int, people: list[Technician], today: date) -> list[Leave]:
    """Send four people away: two for these days, one for this afternoon, one in a week."""
    dice = Dice(seed, "leave")
    midnight = datetime.combine(today, datetime.min.time(), ZONE)
    times = (
        (midnight - timedelta(days=1), timedelta(days=3), LeaveCause.ILLNESS),
        (midnight, timedelta(days=5), LeaveCause.HOLIDAY),
        (midnight + timedelta(hours=13), timedelta(hours=5), LeaveCause.TRAINING),
        (midnight + timedelta(days=7), timedelta(days=2), LeaveCause.HOLIDAY),
    )
    away = dice.shuffled(people)
    return [
        Leave(
            id=id_of(seed, "leave", today, nth),
            technician=person.code,
            starts_at=starts_at,
            ends_at=starts_at + lasts,
            cause=cause,
        )
        for nth, (person, (starts_at, lasts, cause)) in enumerate(zip(away, times, strict=False))
    ]
