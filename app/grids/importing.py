"""Layers into the database: grids by code, a new dated boundary where the shape changed, and the
neighbours worked out anew. One transaction, all or nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import shapely
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.core.db import new_id
from app.core.errors import Conflict, Invalid
from app.core.i18n import Words
from app.grids import boundaries
from app.grids.boundaries import Shape
from app.grids.layers import Layer, LayerFeature, Verdict
from app.grids.rules import GridKind


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


@dataclass(frozen=True)
class Imported:
    """What an import did to the grids; codes in the order of the file.

    A renamed grid is also among the reshaped or the unchanged ones.
    """

    created: Sequence[str]
    reshaped: Sequence[str]
    unchanged: Sequence[str]
    renamed: Sequence[str]


_KNOWN = text(
    """
    SELECT g.code, g.id, g.name, g.org_unit_id = :org_unit_id AS ours,
        ST_Equals(b.boundary, ST_GeomFromWKB(given.wkb, 4326)) AS same
    FROM unnest(CAST(:codes AS text[]), CAST(:wkbs AS bytea[])) AS given (code, wkb)
    JOIN grid g ON g.code = given.code
    LEFT JOIN grid_boundary b ON b.grid_id = g.id AND b.valid_to IS NULL
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
_RENAME = text(
    """
    UPDATE grid SET name = given.name, version = version + 1
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


async def write_layer(
    tx: AsyncSession,
    layer: Layer,
    *,
    org_unit_id: UUID,
    kind: GridKind,
    source: str,
    now: datetime,
    skip_refused: bool = False,
    dry_run: bool = False,
) -> Imported:
    """Write a layer's grids for an org unit, merged by code with what is there.

    A known grid whose shape is the same is left alone; where it changed, the old boundary ends at
    `now` and the new one begins, so the past stays readable. A name that changed is changed where
    the file gives the codes. A dry run tells what would be done, leaving out what is refused, and
    writes nothing. Raises LayerHasRefusals (unless those features are to be left out),
    CodeElsewhere and CodeOfAnother; then nothing is written.
    """
    bad = refused(layer)
    if bad and not (skip_refused or dry_run):
        raise LayerHasRefusals(refused=len(bad), features=bad[:200])
    await boundaries.alone(tx)
    features = {feature.code: feature for feature in layer.features}
    known = await _known(tx, features, org_unit_id)
    renamed = [code for code, row in known.items() if row.name != features[code].name]
    if renamed and not layer.coded:
        clashes = [f"{code}: {known[code].name} / {features[code].name}" for code in renamed[:20]]
        raise CodeOfAnother(clashes=", ".join(clashes))
    done = Imported(
        created=[code for code in features if code not in known],
        reshaped=[code for code in features if code in known and not known[code].same],
        unchanged=[code for code in features if code in known and known[code].same],
        renamed=renamed,
    )
    if dry_run:
        return done
    ids = {code: known[code].id if code in known else new_id() for code in features}
    if done.created:
        await tx.execute(
            _INSERT_GRIDS,
            {
                "ids": [ids[code] for code in done.created],
                "codes": done.created,
                "names": [features[code].name for code in done.created],
                "org_unit_id": org_unit_id,
                "kind": kind.value,
            },
        )
        audit.note(tx, table="grid", operation="insert", ids=[ids[code] for code in done.created])
    if renamed:
        changed = [ids[code] for code in renamed]
        await tx.execute(_RENAME, {"ids": changed, "names": [features[c].name for c in renamed]})
        audit.note(tx, table="grid", operation="update", ids=changed, columns=["name"])
    shaped = {ids[code]: features[code] for code in [*done.created, *done.reshaped]}
    if shaped:
        shapes = {
            grid_id: Shape(
                feature.geometry, feature.area_m2, [note.plain() for note in feature.notes]
            )
            for grid_id, feature in shaped.items()
        }
        await boundaries.reshape(tx, shapes, source=source, now=now)
    return done


async def _known(
    tx: AsyncSession, features: dict[str, LayerFeature], org_unit_id: UUID
) -> dict[str, Any]:
    wkbs = [shapely.to_wkb(feature.geometry) for feature in features.values()]
    given = {"codes": list(features), "wkbs": wkbs, "org_unit_id": org_unit_id}
    rows = {row.code: row for row in await tx.execute(_KNOWN, given)}
    elsewhere = [code for code in features if code in rows and not rows[code].ours]
    if elsewhere:
        raise CodeElsewhere(codes=", ".join(elsewhere[:20]))
    return {code: rows[code] for code in features if code in rows}
