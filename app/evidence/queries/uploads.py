"""What is needed to announce an upload and to take in its bytes."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import fetched
from app.core.errors import NotFound
from app.customers.models import Customer
from app.evidence.models import Blob, Evidence, EvidencePiece
from app.evidence.rules import UploadState
from app.worktypes.rules import EvidenceKind

# --- one upload -----------------------------------------------------------------------------------


async def for_change(tx: AsyncSession, evidence_id: UUID) -> Evidence | None:
    """Take a piece of evidence under its row lock, if there is one of this id."""
    return await tx.get(Evidence, evidence_id, with_for_update=True, populate_existing=True)


async def own(
    session: AsyncSession, evidence_id: UUID, technician_id: UUID | None, *, lock: bool = False
) -> Evidence:
    """Find what a technician announced. Raises NotFound for anybody else's."""
    found = await session.get(
        Evidence, evidence_id, with_for_update=lock or None, populate_existing=True
    )
    if found is None or found.technician_id != technician_id:
        raise NotFound()
    return found


async def pieces(session: AsyncSession, evidence_id: UUID) -> Sequence[EvidencePiece]:
    """List the pieces of an upload that are stored, in their order."""
    found = await session.scalars(
        select(EvidencePiece)
        .where(EvidencePiece.evidence_id == evidence_id)
        .order_by(EvidencePiece.begins)
    )
    return found.all()


_WORKS_ON = text(
    """
    SELECT EXISTS (
        SELECT FROM work_order o WHERE o.id = :order_id AND (
            o.holder_id = :technician_id OR EXISTS (
                SELECT FROM work_assist a
                WHERE a.work_order_id = o.id AND a.technician_id = :technician_id
                AND a.joined_at IS NOT NULL
                AND (a.ended_at IS NULL OR a.ended_at >= o.completed_at)
            )
        )
    )
    """
)


async def works_on(session: AsyncSession, order_id: UUID, technician_id: UUID | None) -> bool:
    """Tell whether a technician holds an order, or assists with it or did until it was done."""
    asked = {"order_id": order_id, "technician_id": technician_id}
    return technician_id is not None and bool(await session.scalar(_WORKS_ON, asked))


# The feed of phones keeps what was on whose phone for as long as a phone may be away, which is how
# long somebody's late work is awaited. It is of a room above, so it is named by its table. Whoever
# was asked to help has the order on the phone as well, and it was never theirs.
_WAS_THEIRS = text(
    """
    SELECT EXISTS (
        SELECT FROM sync_row WHERE technician_id = :technician_id AND row_id = :order_id
        AND kind IN ('holding', 'work_order')
    ) AND NOT EXISTS (
        SELECT FROM work_assist WHERE technician_id = :technician_id
        AND work_order_id = :order_id
    )
    """
)


async def was_theirs(session: AsyncSession, order_id: UUID, technician_id: UUID) -> bool:
    """Tell whether a technician has held an order lately, whoever has it by now."""
    asked = {"order_id": order_id, "technician_id": technician_id}
    return bool(await session.scalar(_WAS_THEIRS, asked))


async def is_of_nobody(session: AsyncSession, customer_id: UUID | None) -> bool:
    """Tell whether a customer was erased."""
    erased_at = select(Customer.erased_at).where(Customer.id == customer_id)
    return await session.scalar(erased_at) is not None


class Piece(NamedTuple):
    """A run of bytes that is stored under a name and not taken in yet."""

    begins: int
    ends: int
    name: str


# Two phones may send from the same place at once: the row is only moved on from where the pieces
# begin, so that one of them wins.
_ADVANCE = """
    WITH moved AS (
        UPDATE evidence
        SET received = %(ends)s, expires_at = greatest(expires_at, %(expires_at)s)
        WHERE id = %(id)s AND received = %(begins)s AND state = 'announced'
        RETURNING id
    ), kept AS (
        INSERT INTO evidence_piece (evidence_id, begins, ends, name)
        SELECT moved.id, piece.begins, piece.ends, piece.name
        FROM moved, unnest(
            CAST(%(piece_begins)s AS bigint[]), CAST(%(piece_ends)s AS bigint[]),
            CAST(%(names)s AS text[])
        ) AS piece (begins, ends, name)
    )
    SELECT id FROM moved
"""


async def advance(
    tx: AsyncSession, evidence_id: UUID, taken: Sequence[Piece], expires_at: datetime
) -> bool:
    """Take in pieces that follow each other; tells whether the upload stood where they begin."""
    rows = await fetched(
        tx,
        _ADVANCE,
        {
            "id": evidence_id,
            "begins": taken[0].begins,
            "ends": taken[-1].ends,
            "expires_at": expires_at,
            "piece_begins": [piece.begins for piece in taken],
            "piece_ends": [piece.ends for piece in taken],
            "names": [piece.name for piece in taken],
        },
    )
    return bool(rows)


# --- announcing -----------------------------------------------------------------------------------

_OF_ORDER = """
    SELECT count(*) FROM evidence
    WHERE work_order_id = %(work_order_id)s AND state IN ('stored', 'announced') AND late = %(late)s
"""


async def number_of(tx: AsyncSession, work_order_id: UUID, *, late: bool) -> int:
    """Count the files that an order has or awaits: those that came too late, or the others."""
    await tx.flush()
    ((number,),) = await fetched(tx, _OF_ORDER, {"work_order_id": work_order_id, "late": late})
    return int(number)


async def known_blob(
    tx: AsyncSession,
    sha256: str,
    kind: EvidenceKind,
    *,
    work_order_id: UUID,
    technician_id: UUID,
) -> Blob | None:
    """Find a picture that is there already for the same order, or from the same technician, under
    its row lock, so that it is not forgotten meanwhile. Others' pictures are not known to them, and
    a photo was not checked as a signature is."""
    linked = (
        select(Evidence.id)
        .where(
            Evidence.blob_sha256 == Blob.sha256,
            Evidence.state == UploadState.STORED,
            Evidence.kind == kind,
            (Evidence.work_order_id == work_order_id) | (Evidence.technician_id == technician_id),
        )
        .exists()
    )
    found: Blob | None = await tx.scalar(
        select(Blob)
        .where(Blob.sha256 == sha256, Blob.forgotten_at.is_(None), linked)
        .with_for_update(of=Blob)
        .execution_options(populate_existing=True)
    )
    return found


# Visits are of a room above, so they are named by their table.
_VISIT = text(
    """
    SELECT id FROM visit
    WHERE work_order_id = :work_order_id
    AND (id = :visit_id OR (CAST(:visit_id AS uuid) IS NULL AND ended_at IS NULL))
    """
)
_SET_OUT = text(
    """
    SELECT min(travel_started_at) FROM visit
    WHERE work_order_id = :work_order_id AND (id = :visit_id OR CAST(:visit_id AS uuid) IS NULL)
    """
)


async def visit_of(tx: AsyncSession, work_order_id: UUID, visit_id: UUID | None) -> UUID | None:
    """Find a visit of an order, or the one that is going on where none is named."""
    given = {"work_order_id": work_order_id, "visit_id": visit_id}
    found: UUID | None = await tx.scalar(_VISIT, given)
    return found


async def set_out_at(
    session: AsyncSession, work_order_id: UUID, visit_id: UUID | None
) -> datetime | None:
    """Say when a visit began, or an order's first one where none is named."""
    given = {"work_order_id": work_order_id, "visit_id": visit_id}
    found: datetime | None = await session.scalar(_SET_OUT, given)
    return found
