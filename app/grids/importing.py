"""Layers into the database: merged by code or in place of what an org unit has, with a new dated
boundary where the shape changed, and the neighbours worked out anew. One transaction, all or
nothing; the orders and addresses that lie there are located anew by the job it tells."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.models import OrgUnit
from app.core import jobs
from app.core.db import new_id
from app.core.errors import Conflict, Invalid, SameIdOtherContent, plain
from app.core.geo import CoordSys
from app.core.i18n import Words
from app.grids import boundaries, locating
from app.grids.boundaries import Shape
from app.grids.doubts import doubts
from app.grids.layers import Layer, LayerFeature, Verdict, shapes
from app.grids.models import GridChange
from app.grids.retiring import memberships_to_end, retire
from app.grids.rules import ChangeKind, GridKind, ImportMode


class LayerHasRefusals(Invalid):
    """Some features cannot be taken, so nothing was."""

    slug = "layer-has-refusals"
    title: ClassVar[Words] = Words(
        zh="图层中有要素无法导入，未导入任何内容", en="Some features cannot be taken; none was"
    )
    advice: ClassVar[Words] = Words(
        zh="有 {refused} 个要素无法导入；请按 facts.features 逐条修改，或选择跳过它们"
        "（skip_refused）。",
        en="{refused} features cannot be taken: mend what facts.features names, or ask to leave "
        "those out (skip_refused).",
    )


class CodeElsewhere(Conflict):
    """A grid of that code belongs to another part of the organisation."""

    slug = "grid-code-elsewhere"
    title: ClassVar[Words] = Words(zh="网格编码已被其他单位使用", en="Grid codes used elsewhere")
    advice: ClassVar[Words] = Words(
        zh="编码 {codes} 属于其他单位，请更换编码字段或前缀。",
        en="{codes} belong to another unit; choose another code field or a prefix.",
    )


class CodeOfAnother(Conflict):
    """A code made from a name is already that of a grid with another name."""

    slug = "grid-code-of-another"
    title: ClassVar[Words] = Words(
        zh="由名称生成的编码已属于别的网格", en="Codes made from names belong to other grids"
    )
    advice: ClassVar[Words] = Words(
        zh="{clashes}；请选择编码字段，或使用前缀。如确为同一网格改名，也请提供编码字段。",
        en="{clashes}; choose a code field or a prefix. To rename a grid, give its code too.",
    )


class ReplacedByNothing(Invalid):
    """A file without a single grid would retire all that an org unit has."""

    slug = "grids-replaced-by-nothing"
    title: ClassVar[Words] = Words(
        zh="文件中没有可导入的网格，不能用来替换", en="A file without grids replaces nothing"
    )
    advice: ClassVar[Words] = Words(
        zh="替换会使该单位现有的 {grids} 个网格全部停用；请核对文件，或改用合并（mode=merge）。",
        en="It would retire all {grids} grids of the unit; check the file, or merge (mode=merge).",
    )


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is asked of an import. `file` is its name, where one is known; `change_id` is made by
    the caller, so that the same import asked twice is answered alike; `within` is the path of the
    part of the organisation whose grids may be compared with."""

    org_unit: OrgUnit
    coordsys: CoordSys
    kind: GridKind
    mode: ImportMode = ImportMode.MERGE
    file: str | None = None
    change_id: UUID | None = None
    account_id: UUID | None = None
    within: str = ""
    skip_refused: bool = False
    dry_run: bool = False
    # How the file was to be read: fields, prefix, layer, repairs.
    reading: Mapping[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """What the boundaries say they are from."""
        return ":".join(filter(None, ("import", self.file, self.coordsys.value)))

    def content(self, sha256: str) -> dict[str, Any]:
        """Everything asked, in JSON's own types; `sha256` stands for the file's bytes."""
        content: dict[str, Any] = plain(
            {
                "file": self.file,
                "sha256": sha256,
                "org_unit": self.org_unit.code,
                "coordsys": self.coordsys,
                "kind": self.kind,
                "mode": self.mode,
                "skip_refused": self.skip_refused,
                **self.reading,
            }
        )
        return content


@dataclass(frozen=True)
class Imported:
    """What an import did to the grids; codes in the order of the file, the retired by code.

    A renamed grid is also among the reshaped or the unchanged ones. `notes` are findings about
    the whole, `change_id` names the change it made, None where it changed nothing.
    """

    created: Sequence[str]
    reshaped: Sequence[str]
    unchanged: Sequence[str]
    renamed: Sequence[str]
    retired: Sequence[str] = ()
    memberships_ended: int = 0
    notes: Sequence[Mapping[str, Any]] = ()
    change_id: UUID | None = None

    def told(self) -> dict[str, Any]:
        """What the change keeps, to answer the same again."""
        return {name: value for name, value in vars(self).items() if name != "change_id"}


@dataclass(frozen=True, slots=True)
class _Known:
    """A grid that the database knows by a code of the file."""

    id: UUID
    name: str
    retired: bool
    same: bool


_KNOWN = text(
    """
    SELECT code, id, name, org_unit_id = :org_unit_id AS ours, retired_at IS NOT NULL AS retired
    FROM grid WHERE code = ANY(CAST(:codes AS text[]))
    """
)
_LEFT_OUT = text(
    """
    SELECT id, code FROM grid
    WHERE org_unit_id = :org_unit_id AND retired_at IS NULL
        AND code <> ALL(CAST(:codes AS text[]))
    ORDER BY code
    """
)
_INSERT_GRIDS = text(
    """
    INSERT INTO grid (id, org_unit_id, code, name, kind)
    SELECT id, :org_unit_id, code, name, :kind
    FROM unnest(CAST(:ids AS uuid[]), CAST(:codes AS text[]), CAST(:names AS text[]))
        AS given (id, code, name)
    """
)
# A grid that was retired and is in the file again is back.
_TOUCH = text(
    """
    UPDATE grid SET name = given.name, retired_at = NULL, version = version + 1
    FROM unnest(CAST(:ids AS uuid[]), CAST(:names AS text[])) AS given (id, name)
    WHERE grid.id = given.id
    """
)


def refused(layer: Layer) -> list[dict[str, Any]]:
    """List the features of a layer that cannot be taken, with every reason in both languages."""
    return [
        {
            "index": line.index,
            "name": line.name,
            "reasons": [finding.plain() for finding in line.findings if finding.refuses],
        }
        for line in layer.report
        if line.verdict is Verdict.REFUSED
    ]


async def write_layer(tx: AsyncSession, layer: Layer, wanted: Wanted, *, now: datetime) -> Imported:
    """Write a layer's grids for an org unit.

    A known grid whose shape is the same (see `shapes.alike`) is left alone; where it changed, the
    old boundary ends at `now` and the new one begins, so the past stays readable. A name that
    changed is changed where the file gives the codes. Grids of the unit that no feature of the
    file names are left alone too, or retired by `ImportMode.REPLACE`. A dry run tells what would
    be done, leaving out what is refused, and writes nothing. Raises LayerHasRefusals (unless those
    features are to be left out), CodeElsewhere, CodeOfAnother, ReplacedByNothing and
    SameIdOtherContent; then nothing is written.
    """
    bad = refused(layer)
    if bad and not (wanted.skip_refused or wanted.dry_run):
        raise LayerHasRefusals(refused=len(bad), features=bad[:200])
    await boundaries.alone(tx)
    content = wanted.content(layer.sha256)
    content_hash = hashlib.sha256(orjson.dumps(content)).hexdigest()
    earlier = await _earlier(tx, wanted, content_hash)
    if earlier is not None:
        return earlier
    features = {feature.code: feature for feature in layer.features}
    index = await locating.for_keeps(tx)
    known = await _known(tx, layer, features, wanted, index)
    doubted = await asyncio.to_thread(doubts, layer, wanted.coordsys, index, within=wanted.within)
    left_out = await _left_out(tx, layer, wanted)
    day = now.astimezone(ZoneInfo(wanted.org_unit.time_zone)).date()
    done = Imported(
        created=[code for code in features if code not in known],
        reshaped=[code for code in features if code in known and not known[code].same],
        unchanged=[code for code in features if code in known and known[code].same],
        renamed=[code for code, row in known.items() if row.name != features[code].name],
        retired=list(left_out),
        memberships_ended=await memberships_to_end(tx, list(left_out.values()), day=day),
        notes=[doubt.plain() for doubt in doubted],
        change_id=None if wanted.dry_run else wanted.change_id or new_id(),
    )
    changed = [*done.created, *done.reshaped, *done.renamed, *done.retired]
    if wanted.dry_run or not (changed or wanted.change_id):
        return replace(done, change_id=None)
    ids = {code: row.id for code, row in known.items()} | left_out
    ids |= {code: new_id() for code in done.created}
    tx.add(
        GridChange(
            id=done.change_id,
            org_unit_id=wanted.org_unit.id,
            kind=ChangeKind.IMPORT,
            at=now,
            account_id=wanted.account_id,
            reason=wanted.source,
            grid_ids=[ids[code] for code in dict.fromkeys(changed)],
            content_hash=content_hash,
            asked=content,
            told=done.told(),
        )
    )
    await tx.flush()
    await _write(tx, features, done, ids, wanted, now=now)
    if left_out:
        await retire(tx, list(left_out.values()), day=day, now=now)
    if changed:
        await jobs.tell(tx, "map.changed", change_id=done.change_id)
    return done


async def _write(
    tx: AsyncSession,
    features: Mapping[str, LayerFeature],
    done: Imported,
    ids: Mapping[str, UUID],
    wanted: Wanted,
    *,
    now: datetime,
) -> None:
    if done.created:
        await tx.execute(
            _INSERT_GRIDS,
            {
                "ids": [ids[code] for code in done.created],
                "codes": list(done.created),
                "names": [features[code].name for code in done.created],
                "org_unit_id": wanted.org_unit.id,
                "kind": wanted.kind.value,
            },
        )
        audit.note(tx, table="grid", operation="insert", ids=[ids[code] for code in done.created])
    touched = list(dict.fromkeys([*done.reshaped, *done.renamed]))
    if touched:
        given = {"ids": [ids[code] for code in touched]}
        await tx.execute(_TOUCH, given | {"names": [features[code].name for code in touched]})
    if done.renamed:
        renamed = [ids[code] for code in done.renamed]
        audit.note(tx, table="grid", operation="update", ids=renamed, columns=["name"])
    shaped = {ids[code]: features[code] for code in [*done.created, *done.reshaped]}
    if shaped:
        drawn = {
            grid_id: Shape(
                feature.geometry, feature.area_m2, [note.plain() for note in feature.notes]
            )
            for grid_id, feature in shaped.items()
        }
        await boundaries.reshape(tx, drawn, source=wanted.source, now=now, change_id=done.change_id)


async def _earlier(tx: AsyncSession, wanted: Wanted, content_hash: str) -> Imported | None:
    """Return what the same import did when it was asked before."""
    change = await tx.get(GridChange, wanted.change_id) if wanted.change_id else None
    if change is None:
        return None
    if change.content_hash != content_hash or change.account_id != wanted.account_id:
        raise SameIdOtherContent(id=change.id)
    return Imported(**change.told, change_id=change.id)


async def _known(
    tx: AsyncSession,
    layer: Layer,
    features: Mapping[str, LayerFeature],
    wanted: Wanted,
    index: locating.GridIndex,
) -> dict[str, _Known]:
    """Find the grids that the features' codes name, in the order of the file."""
    given = {"codes": list(features), "org_unit_id": wanted.org_unit.id}
    rows = {row.code: row for row in await tx.execute(_KNOWN, given)}
    elsewhere = [code for code in features if code in rows and not rows[code].ours]
    if elsewhere:
        raise CodeElsewhere(codes=", ".join(elsewhere[:20]))
    named = {code: row.name for code, row in rows.items() if row.name != features[code].name}
    if named and not layer.coded:
        clashes = [f"{code}: {name} / {features[code].name}" for code, name in named.items()]
        raise CodeOfAnother(clashes=", ".join(clashes[:20]))
    shaped = {one.grid_id: one.area for one in index.shapes.values()}
    drawn = [code for code in features if code in rows and rows[code].id in shaped]
    alike = await asyncio.to_thread(
        shapes.alike,
        shapes.shapes_of([features[code].geometry for code in drawn]),
        shapes.shapes_of([shaped[rows[code].id] for code in drawn]),
    )
    same = {code for code, yes in zip(drawn, alike.tolist(), strict=True) if yes}
    return {
        code: _Known(rows[code].id, rows[code].name, rows[code].retired, code in same)
        for code in features
        if code in rows
    }


async def _left_out(tx: AsyncSession, layer: Layer, wanted: Wanted) -> dict[str, UUID]:
    """Find the grids that replacing retires: those of the unit that no feature names, not even
    one that is refused."""
    if wanted.mode is not ImportMode.REPLACE:
        return {}
    given = {"codes": sorted(layer.codes()), "org_unit_id": wanted.org_unit.id}
    rows = {row.code: row.id for row in await tx.execute(_LEFT_OUT, given)}
    if rows and not layer.features:
        raise ReplacedByNothing(grids=len(rows))
    return rows
