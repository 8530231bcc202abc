"""How far the demo city's grids have grown: islands of covered grids, and what lies between."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from uuid import UUID

from app.grids.rules import GridStage, MembershipKind
from seed.dice import Dice, id_of
from seed.people import Membership, Technician
from seed.terrain import Compound, Grid, cells

# The city from the north: k contracted, c covered, p pilot. Each branch has an island; a pilot
# between two of them, once it is covered, joins them.
STAGES = """
 _ c c . k k k _
 c c c p k k k c
 c k c . p k k c
 . c p . . p c .
 . . . p p . . .
 c c . p p . c c
 c k c . p c k c
 _ c c . . c c _
"""

# How many days before the day each stage began; an island grows from its contracted heart.
_GROWTH = {
    "p": ((GridStage.PILOT, 60),),
    "c": ((GridStage.PILOT, 420), (GridStage.COVERED, 150)),
    "k": ((GridStage.PILOT, 600), (GridStage.COVERED, 330), (GridStage.CONTRACTED, 60)),
}
A_YEAR = timedelta(days=365)


@dataclass(frozen=True)
class Contract:
    """A stage of a grid from one day to another; a contract has a holder and targets."""

    id: UUID
    grid: str
    stage: GridStage
    valid_from: date
    valid_to: date | None = None
    technician: str | None = None
    contractor: str | None = None
    target_customers: int | None = None
    target_monthly_sales: int | None = None
    target_on: date | None = None


def contracts(
    seed: int,
    grids: Sequence[Grid],
    people: Iterable[Technician],
    members: Iterable[Membership],
    compounds: Iterable[Compound],
    today: date,
) -> list[Contract]:
    """Give grids their stages, each ended by the next; a contract is held for a year.

    By the grid's primary, or by the contractor that the primary works for.
    """
    dice = Dice(seed, "contracts")
    person = {one.code: one for one in people}
    primary = {one.grid: one.technician for one in members if one.kind is MembershipKind.PRIMARY}
    homes: Counter[str] = Counter()
    for compound in compounds:
        homes[compound.grid] += compound.households
    rows = [line.split() for line in STAGES.strip().splitlines()][::-1]
    made: list[Contract] = []
    for grid, (i, j) in zip(grids, cells(), strict=True):
        # So that not all of an island grew on one day.
        late = timedelta(days=dice.whole(0, 55))
        for stage, ago in _GROWTH.get(rows[j][i], ()):
            since = today - timedelta(days=ago) + late * (stage is GridStage.COVERED)
            one = Contract(id_of(seed, "contract", grid.code, stage.value), grid.code, stage, since)
            if stage is GridStage.CONTRACTED:
                holder = person[primary[grid.code]]
                one = replace(
                    one,
                    valid_to=since + A_YEAR,
                    technician=None if holder.contractor else holder.code,
                    contractor=holder.contractor,
                    target_customers=homes[grid.code] * 5 // 4,
                    target_monthly_sales=dice.whole(4, 12),
                    target_on=since + A_YEAR,
                )
            made.append(one)
    return made
