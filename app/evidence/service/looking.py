"""A look at a picture that is stored: a thumbnail, where and when it was taken, and its metadata
taken out of what is kept."""

from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from geoalchemy2.elements import WKBElement
from geoalchemy2.shape import from_shape, to_shape
from shapely import Point
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import jobs
from app.core.db import Database
from app.core.geo import distance_m
from app.core.parameter_values import parameters_in_force
from app.evidence import pictures, queries, rules
from app.evidence.models import Blob, Evidence
from app.evidence.pictures import Looked
from app.evidence.rules import PictureRefused, PositionFrom, UploadState
from app.evidence.rules.parameters import FAR, OLD, THUMBNAIL
from app.evidence.service.settling import SENT
from app.evidence.storage import Storage
from app.workorders.models import WorkOrder
from app.workorders.queries import org_units

KEPT, SMALL = "kept", "thumbnail"


async def look(database: Database, storage: Storage, evidence_id: UUID, *, now: datetime) -> None:
    """Look at the picture of a piece of evidence, if nobody has, and mark the evidence.

    It can be done twice without harm. A picture that turns out to be damaged is refused after all.
    Raises StorageFull and Unavailable.
    """
    async with database.begin() as tx:
        evidence = await tx.get(Evidence, evidence_id, populate_existing=True)
        if evidence is None or evidence.state is not UploadState.STORED:
            return
        assert evidence.blob_sha256 is not None
        blob = await tx.get_one(Blob, evidence.blob_sha256, populate_existing=True)
        numbers = await parameters_in_force(tx)
        units = await org_units(tx, ids=[evidence.org_unit_id])
        unit = units.by_id[evidence.org_unit_id]
        side = numbers.whole(THUMBNAIL, now, unit.path)
    if blob.looked_at is None and blob.forgotten_at is None:
        try:
            async with storage.turn:
                data = await storage.read(blob.folder, SENT)
                looked = await pictures.aside(pictures.look_at, data, side)
                await storage.put(blob.folder, KEPT, looked.kept, lasting=True)
                await storage.put(blob.folder, SMALL, looked.thumbnail)
        except PictureRefused as refused:
            await _refuse(database, evidence_id, refused)
            return
        async with database.begin() as tx:
            needed = await _looked(tx, blob, looked, unit.zone, now)
        if not needed:
            await storage.remove(blob.folder, (KEPT, SMALL, SENT))
    async with database.begin() as tx:
        await mark(tx, evidence_id, now=now)
    # Only now is what was sent, with all it told, no longer needed.
    for folder in {evidence_id, blob.folder}:
        await tidy(storage, folder, blob.folder)


async def _refuse(database: Database, evidence_id: UUID, refused: PictureRefused) -> None:
    """Refuse after all a picture whose damage shows only now; it is announced anew."""
    async with database.begin() as tx:
        evidence = await queries.for_change(tx, evidence_id)
        if evidence is not None and evidence.state is UploadState.STORED:
            evidence.state, evidence.refusal = UploadState.REFUSED, refused.facts
            await jobs.tell(tx, "evidence.left", evidence_id=evidence_id)


async def _looked(
    tx: AsyncSession, seen: Blob, looked: Looked, zone: ZoneInfo, now: datetime
) -> bool:
    """Note what a look found; tells whether the files that it made are needed."""
    blob = await queries.blob_for_change(tx, seen.sha256)
    # It may have been forgotten, and brought back by another upload, while it was looked at.
    if blob is None or blob.forgotten_at is not None or blob.folder != seen.folder:
        return False
    if blob.looked_at is not None:
        return True
    blob.looked_at, blob.width, blob.height = now, looked.width, looked.height
    taken_at = looked.taken_at
    if taken_at is not None and taken_at.tzinfo is None:
        taken_at = taken_at.replace(tzinfo=zone)
    blob.taken_at = taken_at
    blob.point = from_shape(Point(*looked.point), srid=4326) if looked.point else None
    return True


async def mark(tx: AsyncSession, evidence_id: UUID, *, now: datetime) -> None:
    """Mark evidence by where and when its picture says it was taken, or else the phone said."""
    evidence = await queries.for_change(tx, evidence_id)
    if evidence is None or evidence.blob_sha256 is None:
        return
    blob = await tx.get_one(Blob, evidence.blob_sha256, populate_existing=True)
    order = await tx.get_one(WorkOrder, evidence.work_order_id, populate_existing=True)
    units = await org_units(tx, ids=[evidence.org_unit_id])
    org_path = units.by_id[evidence.org_unit_id].path
    numbers = await parameters_in_force(tx)
    point, evidence.position_from = evidence.point, None
    if blob.point is not None:
        point, evidence.position_from = blob.point, PositionFrom.PICTURE
    elif point is not None:
        evidence.position_from = PositionFrom.PHONE
    evidence.distance_m = _between(order.point, point)
    began = await queries.set_out_at(tx, evidence.work_order_id, evidence.visit_id)
    evidence.far, evidence.old = rules.marks_of(
        distance_m=evidence.distance_m,
        taken_at=blob.taken_at or evidence.taken_at,
        since=began or evidence.announced_at,
        far_m=numbers.number(FAR, now, org_path),
        old_minutes=numbers.number(OLD, now, org_path),
    )
    if evidence.late:
        # When they set out is not known here: that came too late as well.
        evidence.old = None
    evidence.reused = await queries.used_elsewhere(tx, blob.sha256, evidence.work_order_id)


def _between(address: WKBElement | None, taken: WKBElement | None) -> float | None:
    """How far two points are from each other, in metres; None where one is not known."""
    if address is None or taken is None:
        return None
    one, other = to_shape(address), to_shape(taken)
    assert isinstance(one, Point) and isinstance(other, Point)
    return round(distance_m(one.x, one.y, other.x, other.y), 1)


async def tidy(storage: Storage, folder: UUID, kept_in: UUID) -> None:
    """Remove what an upload that is over has left in its folder: its pieces, the picture as it was
    sent, and all of it where the picture is kept in another one."""
    kept = (KEPT, SMALL) if folder == kept_in else ()
    left = [name for name in await storage.names(folder) if name not in kept]
    await storage.remove(folder, left)
