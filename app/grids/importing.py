"""Layers into the database: grids by code, a new dated boundary where the shape changed, and the
neighbours worked out anew. One transaction, all or nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import orjson
import shapely
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import new_id
from app.core.errors import Conflict, Invalid
from app.core.i18n import Words
from app.grids.layers import Layer, Verdict
from app.grids.rules import GridKind


class LayerHasRefusals(Invalid):
    """Some features cannot be taken, so nothing was."""

    slug = "layer-has-refusals"
    title: ClassVar[Words] = Words(
        zh="图层中有要素无法导入,未导入任何内容", en="Some features cannot be taken; none was"
    )
    advice: ClassVar[Words] = Words(
        zh="请按 facts.features 逐条修改,或选择跳过它们(skip_refused)。",
        en="Mend what facts.features names, or ask to leave those out (skip_refused).",
    )


class CodeElsewhere(Conflict):
    """A grid of that code belongs to another part of the organisation."""

    slug = "grid-code-elsewhere"
    title: ClassVar[Words] = Words(zh="网格编码已被其他单位使用", en="Grid codes used elsewhere")
    advice: ClassVar[Words] = Words(
        zh="编码 {codes} 属于其他单位,请更换编码字段或前缀。",
        en="{codes} belong to another unit; choose another code field or a prefix.",
    )


@dataclass(frozen=True)
class Imported:
    """What an import did to the grids; codes in the order of the file."""

    created: Sequence[str]
    reshaped: Sequence[str]
    unchanged: Sequence[str]


# The lock keeps two imports from making the same grid; reading goes on meanwhile.
_LOCK = text("SELECT pg_advisory_xact_lock(hashtext('yingwei.grids.import'))")

_KNOWN = text(
    """
    SELECT g.code, g.id, g.org_unit_id = :org_unit_id AS ours, b.id AS boundary_id,
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
_CLOSE = text(
    "UPDATE grid_boundary SET valid_to = :now"
    " WHERE valid_to IS NULL AND grid_id = ANY(CAST(:ids AS uuid[]))"
)
_INSERT_BOUNDARIES = text(
    """
    INSERT INTO grid_boundary (id, grid_id, boundary, area_m2, valid_from, source, notes)
    SELECT id, grid_id, ST_Multi(ST_GeomFromWKB(wkb, 4326)), area_m2, :now, :source,
        CAST(notes AS jsonb)
    FROM unnest(CAST(:ids AS uuid[]), CAST(:grid_ids AS uuid[]), CAST(:wkbs AS bytea[]),
        CAST(:areas AS float8[]), CAST(:notes AS text[]))
        AS given (id, grid_id, wkb, area_m2, notes)
    """
)
# Grids count as neighbours up to 50 m apart, since a street lies between many of them. A degree of
# latitude is at least 110,574 m; the box in degrees finds candidates by the index, the
# distance on the ellipsoid decides.
_NEIGHBOURS = (
    text(
        """
        DELETE FROM grid_neighbour
        WHERE grid_id = ANY(CAST(:ids AS uuid[])) OR neighbour_id = ANY(CAST(:ids AS uuid[]))
        """
    ),
    text(
        """
        WITH pair AS (
            SELECT a.grid_id AS one, b.grid_id AS other,
                ST_Distance(a.boundary::geography, b.boundary::geography) AS metres
            FROM grid_boundary a
            JOIN grid_boundary b ON b.valid_to IS NULL AND b.grid_id <> a.grid_id
                AND b.boundary && ST_Expand(a.boundary, 50.0 / (110574 *
                    greatest(cos(radians(greatest(abs(ST_YMin(a.boundary)),
                                                  abs(ST_YMax(a.boundary))))), 0.01)))
                AND ST_DWithin(a.boundary::geography, b.boundary::geography, 50.0)
            WHERE a.valid_to IS NULL AND a.grid_id = ANY(CAST(:ids AS uuid[]))
        )
        INSERT INTO grid_neighbour (grid_id, neighbour_id, distance_m)
        SELECT one, other, metres FROM pair
        UNION
        SELECT other, one, metres FROM pair
        ON CONFLICT DO NOTHING
        """
    ),
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
    prefix: str = "",
    skip_refused: bool = False,
) -> Imported:
    """Write a layer's grids for an org unit, merged with what is there by `prefix` + code.

    A known grid whose shape is the same is left alone; where it changed, the old boundary ends at
    `now` and the new one begins, so the past stays readable. Raises LayerHasRefusals (unless those
    features are to be left out) and CodeElsewhere; then nothing is written.
    """
    bad = refused(layer)
    if bad and not skip_refused:
        raise LayerHasRefusals(features=bad[:200], refused=len(bad))
    await tx.execute(_LOCK)
    features = {prefix + feature.key: feature for feature in layer.features}
    codes = list(features)
    wkbs = {code: shapely.to_wkb(feature.geometry) for code, feature in features.items()}
    known = {
        row.code: row
        for row in await tx.execute(
            _KNOWN,
            {"codes": codes, "wkbs": [wkbs[code] for code in codes], "org_unit_id": org_unit_id},
        )
    }
    elsewhere = [code for code, row in known.items() if not row.ours]
    if elsewhere:
        raise CodeElsewhere(codes=elsewhere[:20])
    created = [code for code in codes if code not in known]
    reshaped = [code for code in codes if code in known and not known[code].same]
    ids = {code: known[code].id if code in known else new_id() for code in codes}
    changed = created + reshaped
    if changed:
        await tx.execute(
            _INSERT_GRIDS,
            {
                "ids": [ids[code] for code in created],
                "codes": created,
                "names": [features[code].name for code in created],
                "org_unit_id": org_unit_id,
                "kind": kind.value,
            },
        )
        await tx.execute(_CLOSE, {"ids": [ids[code] for code in reshaped], "now": now})
        await tx.execute(
            _INSERT_BOUNDARIES,
            {
                "ids": [new_id() for _ in changed],
                "grid_ids": [ids[code] for code in changed],
                "wkbs": [wkbs[code] for code in changed],
                "areas": [features[code].area_m2 for code in changed],
                "notes": [_notes(features[code].notes) for code in changed],
                "source": source,
                "now": now,
            },
        )
        for statement in _NEIGHBOURS:
            await tx.execute(statement.bindparams(ids=[ids[code] for code in changed]))
    unchanged = [code for code in codes if code in known and known[code].same]
    return Imported(created, reshaped, unchanged)


def _notes(findings: Sequence[Any]) -> str:
    return orjson.dumps([finding.plain() for finding in findings], default=str).decode()
