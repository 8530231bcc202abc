"""What is told of a command: the figures of its preview, kept with the change that was made."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.core.errors import plain
from app.core.i18n import Words
from app.territory.rules.following import Becomes, Fate
from app.territory.rules.plan import NewGap, Outcome, Plan

# Overlaps, gaps and members named at most; what is left out is counted.
MOST_NAMED = 200


@dataclass(frozen=True, slots=True)
class Numbers:
    """What an operator has set: see `redraw`."""

    overlap_m2: float
    sliver_m2: float
    gap_m2: float


@dataclass(frozen=True, slots=True)
class Named:
    """The codes of the grids a caller may know of; others are told by their number."""

    codes: Mapping[UUID, str]

    def all_of(self, grid_ids: Collection[UUID]) -> list[str]:
        """List codes in order; grids that may not be named are one entry, `+n`."""
        known = sorted({self.codes[one] for one in grid_ids if one in self.codes})
        others = len({one for one in grid_ids if one not in self.codes})
        return [*known, f"+{others}"] if others else known


WARNINGS: dict[str, Words] = {
    "overlap": Words(
        zh="新增重叠 {area_m2} 平方米（与 {others}），超过上限 {limit_m2}；提交时需确认",
        en="{area_m2} m2 more lie in two grids (with {others}), above the limit of {limit_m2}; the "
        "command needs accept_overlap",
    ),
    "gap": Words(
        zh="新增空白 {area_m2} 平方米，不属于任何网格",
        en="{area_m2} m2 would belong to no grid any more",
    ),
    "in-pieces": Words(
        zh="网格 {code} 将由 {pieces} 块不相连的区域组成",
        en="{code} would consist of {pieces} pieces that do not touch",
    ),
    "outside": Words(
        zh="所画部分有 {area_m2} 平方米在原网格之外，不予计入",
        en="{area_m2} m2 of what was drawn lie outside of the grid and are left out",
    ),
    "addresses-without-grid": Words(
        zh="{count} 个地址将不属于任何网格", en="{count} addresses would be in no grid"
    ),
    "orders-without-grid": Words(
        zh="{count} 张未完工单将不属于任何网格", en="{count} open orders would be in no grid"
    ),
}


def tell(
    made: Plan,
    ground: Outcome,
    named: Named,
    numbers: Numbers,
    *,
    addresses: Mapping[str, Any],
    orders: Mapping[str, Any],
    fates: Sequence[Fate],
    people: Mapping[UUID, str],
    notes: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Put together what a command does, in JSON's own types."""
    ours = [one for one in ground.overlaps if one.neighbour_id in named.codes]
    others = [one for one in ground.overlaps if one.neighbour_id not in named.codes]
    told = {
        "grids": [_grid(made, ground, named, grid_id) for grid_id in made.grid_ids],
        "addresses": dict(addresses),
        "orders": dict(orders),
        "members": {
            "affected": len({fate.member.technician_id for fate in fates}),
            "changes": [
                _member(fate, named, people) for fate in fates if fate.becomes is not Becomes.KEPT
            ][:MOST_NAMED],
        },
        "overlaps": [
            {
                "code": named.codes[one.grid_id],
                "neighbour_code": named.codes[one.neighbour_id],
                "area_m2": one.area_m2,
            }
            for one in ours[:MOST_NAMED]
        ],
        "overlaps_elsewhere": {
            "grids": len({one.neighbour_id for one in others}),
            "area_m2": round(sum(one.area_m2 for one in others), 2),
        },
        "gaps": [_gap(one, named) for one in ground.gaps[:MOST_NAMED]],
        "warnings": _warnings(made, ground, named, numbers, addresses, orders),
        "notes": [dict(note) for note in notes],
    }
    return dict(plain(told))


def _grid(made: Plan, ground: Outcome, named: Named, grid_id: UUID) -> dict[str, Any]:
    size = ground.grounds[grid_id]
    if grid_id in made.new:
        becomes = "new"
    elif grid_id in made.retired:
        becomes = "retired"
    else:
        becomes = "changed" if size.gained_m2 or size.lost_m2 else "same"
    return {
        "grid_id": grid_id,
        "code": named.codes[grid_id],
        "becomes": becomes,
        "area_before_m2": size.before_m2,
        "area_after_m2": size.after_m2,
        "gained_m2": size.gained_m2,
        "lost_m2": size.lost_m2,
    }


def _member(fate: Fate, named: Named, people: Mapping[UUID, str]) -> dict[str, Any]:
    one = fate.member
    return {
        "technician_id": one.technician_id,
        "technician_code": people[one.technician_id],
        "grid_code": named.codes[one.grid_id],
        "kind": one.kind,
        "rank": one.rank,
        "becomes": fate.becomes,
        "valid_from": one.valid_from,
        "valid_to": one.valid_to,
    }


def _gap(gap: NewGap, named: Named) -> dict[str, Any]:
    return {
        "area_m2": gap.area_m2,
        "beside": sorted(named.codes[one] for one in gap.beside if one in named.codes),
        "beside_elsewhere": sum(one not in named.codes for one in gap.beside),
    }


def _warnings(
    made: Plan,
    ground: Outcome,
    named: Named,
    numbers: Numbers,
    addresses: Mapping[str, Any],
    orders: Mapping[str, Any],
) -> list[dict[str, Any]]:
    found: list[tuple[str, dict[str, Any]]] = []
    over = [one for one in ground.overlaps if one.area_m2 > numbers.overlap_m2]
    if over:
        facts = {
            "area_m2": round(sum(one.area_m2 for one in over)),
            "limit_m2": round(numbers.overlap_m2),
            "others": ", ".join(named.all_of([one.neighbour_id for one in over])),
        }
        found.append(("overlap", facts))
    gap = sum(one.area_m2 for one in ground.gaps)
    if gap > numbers.gap_m2:
        found.append(("gap", {"area_m2": round(gap)}))
    for grid_id in made.after:
        before = len(made.before[grid_id].geoms) if grid_id in made.before else 1
        pieces = ground.grounds[grid_id].pieces
        if pieces > max(before, 1):
            found.append(("in-pieces", {"code": named.codes[grid_id], "pieces": pieces}))
    if made.outside_m2 > numbers.sliver_m2:
        found.append(("outside", {"area_m2": round(made.outside_m2)}))
    for code, counts in (("addresses-without-grid", addresses), ("orders-without-grid", orders)):
        if counts["without_grid"]:
            found.append((code, {"count": counts["without_grid"]}))
    return [
        {
            "code": code,
            "facts": facts,
            "zh": WARNINGS[code].zh.format_map(facts),
            "en": WARNINGS[code].en.format_map(facts),
        }
        for code, facts in found
    ]
