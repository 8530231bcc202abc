"""A phone says what it is going to send, or takes it back."""

from datetime import datetime, timedelta
from uuid import UUID

from geoalchemy2.shape import from_shape
from shapely import Point
from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, technician_of
from app.core import jobs
from app.core.db import is_broken, new_id
from app.core.errors import Invalid, NotFound, SameIdOtherContent, TooLarge
from app.core.parameter_values import parameters_in_force
from app.evidence import queries, rules
from app.evidence.models import Evidence, EvidencePiece
from app.evidence.rules import Announcement, UploadState
from app.evidence.rules.parameters import GRACE, MOST_BYTES, MOST_FILES, UPLOAD_KEPT
from app.evidence.rules.uploads import COMPLETED
from app.workorders.models import WorkOrder
from app.workorders.queries import for_change as order_for_change
from app.workorders.rules import State
from app.worktypes.queries import template_of


async def announce(
    tx: AsyncSession, caller: Caller, said: Announcement, *, now: datetime
) -> Evidence:
    """Take the announcement of a picture for an order that the caller holds or assists with.

    One whose order went to somebody else while the phone was offline is taken as well, and marked
    `late`: what was done there is kept, and the order's new holder and its supervisors see it.
    One that is there already, for this order or from this technician, is stored at once. The same
    announcement under the same id is answered like the first, also when the order is no longer the
    caller's; one that had expired goes on from its first byte.

    Of a customer who was erased meanwhile no picture is awaited any more. Raises NotFound,
    EvidenceClosed, TooLarge, TooMuchEvidence, Invalid, SameIdOtherContent, PictureRefused for what
    was refused before, and UploadGone for what was withdrawn.
    """
    technician_id = technician_of(caller)
    order, late = await _order_of(tx, said.work_order_id, technician_id)
    if order is not None and await queries.is_of_nobody(tx, order.customer_id):
        order = None
    if said.id is not None:
        before = await queries.for_change(tx, said.id)
        if before is not None:
            return await _again(tx, before, said, caller, order, now, late=late)
    if order is None:
        raise NotFound()
    numbers = await parameters_in_force(tx)
    most_bytes = numbers.whole(MOST_BYTES, now, caller.org_path)
    if said.bytes > most_bytes:
        raise TooLarge(limit=f"{most_bytes} bytes")
    if not late:
        _check_open(order, now, numbers.number(GRACE, now, caller.org_path))
    rules.check_requirement(
        await template_of(tx, order.template_id, order.work_type), said.requirement, said.kind
    )
    most = numbers.whole(MOST_FILES, now, caller.org_path)
    if await queries.number_of(tx, order.id, late=late) >= most:
        raise rules.TooMuchEvidence(most=most)
    # A visit that was begun too late is not known here, and another's is not theirs.
    visit_id = None if late else await queries.visit_of(tx, order.id, said.visit_id)
    if said.visit_id is not None and visit_id is None and not late:
        raise Invalid(errors=[{"field": "visit_id", "message": "not a visit of this order"}])
    evidence = Evidence(
        id=said.id or new_id(),
        work_order_id=order.id,
        visit_id=visit_id,
        org_unit_id=order.org_unit_id,
        technician_id=technician_id,
        requirement=said.requirement,
        kind=said.kind,
        sha256=said.sha256,
        bytes=said.bytes,
        upload_metadata=said.upload_metadata,
        filename=said.filename,
        taken_at=said.taken_at,
        point=from_shape(Point(*said.point), srid=4326) if said.point else None,
        state=UploadState.ANNOUNCED,
        received=0,
        announced_at=now,
        expires_at=await _until(tx, caller, now),
        late=late,
    )
    await _link(tx, evidence, now)
    tx.add(evidence)
    try:
        await tx.flush()
    except IntegrityError as error:
        if is_broken("pk_evidence", error):
            raise SameIdOtherContent(id=evidence.id) from error
        raise
    if evidence.state is UploadState.STORED:
        await jobs.tell(tx, "evidence.stored", evidence_id=evidence.id)
    return evidence


async def _order_of(
    tx: AsyncSession, order_id: UUID, technician_id: UUID
) -> tuple[WorkOrder | None, bool]:
    """Give an order that a technician works on, under its lock, or has worked on until it was moved
    or cancelled, and whether it is too late; None for an order that was never theirs."""
    if await queries.works_on(tx, order_id, technician_id):
        order = await order_for_change(tx, order_id)
        if await queries.works_on(tx, order_id, technician_id):
            return order, order.state is State.CANCELLED
    if await queries.was_theirs(tx, order_id, technician_id):
        return await tx.get(WorkOrder, order_id, populate_existing=True), True
    return None, False


async def _again(
    tx: AsyncSession,
    before: Evidence,
    said: Announcement,
    caller: Caller,
    order: WorkOrder | None,
    now: datetime,
    *,
    late: bool,
) -> Evidence:
    alike = before.bytes == said.bytes and (
        rules.metadata_of(before.upload_metadata) == rules.metadata_of(said.upload_metadata)
    )
    if before.technician_id != caller.technician_id or not alike:
        raise SameIdOtherContent(id=before.id)
    if before.state is UploadState.REFUSED:
        raise rules.PictureRefused(**(before.refusal or {}))
    if before.state is UploadState.WITHDRAWN:
        raise rules.UploadGone(state=before.state)
    if before.state is UploadState.EXPIRED:
        if order is None:
            raise NotFound()
        if not late:
            grace_hours = (await parameters_in_force(tx)).number(GRACE, now, caller.org_path)
            _check_open(order, now, grace_hours)
        await tx.execute(delete(EvidencePiece).where(EvidencePiece.evidence_id == before.id))
        before.state, before.received = UploadState.ANNOUNCED, 0
        before.expires_at = await _until(tx, caller, now)
        await tx.flush()
    return before


async def _link(tx: AsyncSession, evidence: Evidence, now: datetime) -> None:
    """Let evidence be the picture that is there already, if the caller may know of it."""
    blob = await queries.known_blob(
        tx,
        evidence.sha256,
        evidence.kind,
        work_order_id=evidence.work_order_id,
        technician_id=evidence.technician_id,
    )
    if blob is not None:
        evidence.blob_sha256 = blob.sha256
        evidence.state, evidence.stored_at = UploadState.STORED, now
        evidence.received = evidence.bytes


async def withdraw(tx: AsyncSession, evidence_id: UUID, caller: Caller, *, now: datetime) -> None:
    """Take back what the caller announced, with its bytes; a second time changes nothing.

    Raises NotFound, and EvidenceClosed once the order is completed.
    """
    evidence = await queries.own(tx, evidence_id, technician_of(caller), lock=True)
    if evidence.state is UploadState.WITHDRAWN:
        return
    order = await tx.get_one(WorkOrder, evidence.work_order_id)
    if order.state in COMPLETED:
        grace_hours = (await parameters_in_force(tx)).number(GRACE, now, caller.org_path)
        raise rules.EvidenceClosed(state=order.state, grace_hours=grace_hours)
    evidence.state = UploadState.WITHDRAWN
    await jobs.tell(tx, "evidence.left", evidence_id=evidence.id)


async def _until(tx: AsyncSession, caller: Caller, now: datetime) -> datetime:
    hours = (await parameters_in_force(tx)).number(UPLOAD_KEPT, now, caller.org_path)
    return now + timedelta(hours=hours)


def _check_open(order: WorkOrder, now: datetime, grace_hours: float) -> None:
    if not rules.is_open(order.state, order.completed_at, now, grace_hours):
        raise rules.EvidenceClosed(state=order.state, grace_hours=grace_hours)
