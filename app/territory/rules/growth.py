"""How far an org unit's territory has grown: grids by stage, whom they cover, in which blocks."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from app.core.i18n import Words
from app.grids.rules import GridStage
from app.territory.rules.blocks import Candidate, RankBy, blocks, candidates, ranked
from app.territory.rules.stages import COVERED


class CoveredBy(StrEnum):
    """What makes a grid count as covered in a block: its stage, or that it has a primary."""

    STAGE = "stage"
    PRIMARY = "primary"


class Exclusion(StrEnum):
    """What a figure leaves out, or does not know of the day it is asked for."""

    NOT_LOCATED = "not_located"
    AS_OF_TODAY = "as_of_today"


EXCLUSION_WORDS: Mapping[Exclusion, Words] = {
    Exclusion.NOT_LOCATED: Words(
        zh="尚未归入网格的地址（待定位），不计入分母",
        en="addresses whose grid has still to be found; not in the denominator",
    ),
    Exclusion.AS_OF_TODAY: Words(
        zh="网格与客户按当前地图和地址计，只有阶段和主责按当日计",
        en="grids and customers are today's; only stages and primaries are of that day",
    ),
}


@dataclass(frozen=True, slots=True)
class Plot:
    """A grid on a local day: its org unit's path, and the customers it has today."""

    id: UUID
    code: str
    name: str
    path: str
    stage: GridStage
    has_primary: bool
    customers: int

    def covered(self, by: CoveredBy) -> bool:
        """Tell whether it counts as covered."""
        return self.has_primary if by is CoveredBy.PRIMARY else self.stage in COVERED


@dataclass(frozen=True, slots=True)
class Ground:
    """The plots of an org unit's subtree by code, and which share a border, by their places.

    `outside` and `waiting` are customers in no grid, and those whose grid is not found yet, by
    the path of their own org unit.
    """

    plots: Sequence[Plot]
    borders: Sequence[tuple[int, int]]
    outside: Mapping[str, int]
    waiting: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Share:
    """How many of how many."""

    numerator: int
    denominator: int

    @property
    def value(self) -> float | None:
        """The share, 0 to 1; None of nothing."""
        return self.numerator / self.denominator if self.denominator else None


@dataclass(frozen=True, slots=True)
class Part:
    """The figures of one org unit with all under it, by its path.

    `grid_coverage` are the customers in grids with a primary, `covered_share` those in covered or
    contracted grids, `in_grids` those in any, each of all customers; `waiting` are left out.
    """

    path: str
    stages: Mapping[GridStage, int]
    grids: int
    grid_coverage: Share
    covered_share: Share
    in_grids: Share
    blocks: int
    largest_block: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Block:
    """Covered grids that hang together, by their places among the plots."""

    grids: Sequence[int]
    customers: int


@dataclass(frozen=True, slots=True)
class Growth:
    """Parts (the org unit first, then those right under it), its blocks, and what to cover next."""

    parts: Sequence[Part]
    blocks: Sequence[Block]
    candidates: Sequence[Candidate]


def grow(
    ground: Ground, paths: Sequence[str], *, by: CoveredBy, rank_by: RankBy, top: int
) -> Growth:
    """Work out the figures of an org unit and of those right under it, given by their paths.

    Blocks come by customers, then grids, then the first code; a part's blocks end at its own
    border. Of the candidates the best `top` are given.
    """
    whole, *parts = paths
    plots = ground.plots
    covered = [place for place, plot in enumerate(plots) if plot.covered(by)]
    found = _blocks(plots, covered, ground.borders)
    homes = [_home(plot.path, whole) for plot in plots]
    inner = _blocks(
        plots, covered, [pair for pair in ground.borders if homes[pair[0]] == homes[pair[1]]]
    )
    figures = [_part(whole, plots, found, ground.outside, ground.waiting)]
    figures += [
        _part(
            path,
            [plot for plot, home in zip(plots, homes, strict=True) if home == path],
            [block for block in inner if homes[block.grids[0]] == path],
            {unit: count for unit, count in ground.outside.items() if unit.startswith(path)},
            {unit: count for unit, count in ground.waiting.items() if unit.startswith(path)},
        )
        for path in parts
    ]
    beside = candidates(
        [block.grids for block in found],
        ground.borders,
        {place: plot.customers for place, plot in enumerate(plots)},
    )
    return Growth(figures, found, ranked(beside, rank_by, top))


def _home(path: str, whole: str) -> str:
    """Give the path of the unit right under `whole` that a path lies in, or `whole` itself."""
    return path[: path.find(".", len(whole)) + 1] or whole


def _blocks(
    plots: Sequence[Plot], covered: Sequence[int], borders: Iterable[tuple[int, int]]
) -> list[Block]:
    found = [
        Block(grids, sum(plots[place].customers for place in grids))
        for grids in blocks(covered, borders)
    ]
    return sorted(found, key=lambda block: (-block.customers, -len(block.grids), block.grids[0]))


def _part(
    path: str,
    plots: Sequence[Plot],
    found: Sequence[Block],
    outside: Mapping[str, int],
    waiting: Mapping[str, int],
) -> Part:
    in_grids = sum(plot.customers for plot in plots)
    everybody = in_grids + sum(outside.values())
    with_primary = sum(plot.customers for plot in plots if plot.has_primary)
    covered = sum(plot.customers for plot in plots if plot.stage in COVERED)
    counted = Counter(plot.stage for plot in plots)
    return Part(
        path=path,
        stages={stage: counted[stage] for stage in GridStage},
        grids=len(plots),
        grid_coverage=Share(with_primary, everybody),
        covered_share=Share(covered, everybody),
        in_grids=Share(in_grids, everybody),
        blocks=len(found),
        largest_block=max((block.customers for block in found), default=0),
        waiting=sum(waiting.values()),
    )
