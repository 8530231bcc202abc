"""Evidence of orders, the pieces it comes in, and the pictures themselves, each once."""

from datetime import datetime
from typing import Any
from uuid import UUID

from geoalchemy2 import Geometry
from geoalchemy2.elements import WKBElement
from sqlalchemy import ForeignKey, Index, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, text_enum
from app.evidence.rules import PositionFrom, UploadState
from app.worktypes.rules import EvidenceKind


class Blob(Base):
    """A picture by the hash of what was sent; the same picture for two orders is here once.

    Its files lie in the folder of the upload that brought it. `media_type` and sizes in pixels are
    those of what is kept: after `looked_at` that is the picture without its metadata. Where and
    when it was taken, as its own metadata said, is kept here until it is forgotten.
    """

    __tablename__ = "evidence_blob"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    folder: Mapped[UUID]
    media_type: Mapped[str]
    width: Mapped[int]
    height: Mapped[int]
    taken_at: Mapped[datetime | None]
    point: Mapped[WKBElement | None] = mapped_column(
        Geometry("POINT", srid=4326, spatial_index=False)
    )
    looked_at: Mapped[datetime | None]
    forgotten_at: Mapped[datetime | None]


class Evidence(Row, Base):
    """A photo or signature of an order, from its announcement on; its id is its upload's, too.

    `received` of its `bytes` are there. `taken_at` and `point` (WGS-84) are what the phone said;
    `distance_m`, `far`, `old` and `reused` are what a look at it found; `refusal` holds the facts
    of what was wrong with its content. `org_unit_id` is the order's when it was announced. `late`
    was announced by somebody whose order it was no longer.
    """

    __tablename__ = "evidence"
    __table_args__ = (
        Index("ix_evidence_work_order_id", "work_order_id"),
        Index("ix_evidence_blob_sha256", "blob_sha256"),
        Index("ix_evidence_expiring", "expires_at", postgresql_where=text("state = 'announced'")),
        Index(
            "ix_evidence_outstanding",
            "org_unit_id",
            "announced_at",
            "id",
            postgresql_where=text("state IN ('announced', 'expired')"),
        ),
        Index(
            "ix_evidence_kept",
            "org_unit_id",
            "stored_at",
            postgresql_where=text("state = 'stored' AND forgotten_at IS NULL"),
        ),
    )

    work_order_id: Mapped[UUID] = mapped_column(ForeignKey("work_order.id"))
    visit_id: Mapped[UUID | None] = mapped_column(ForeignKey("visit.id"))
    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    requirement: Mapped[str]
    kind: Mapped[EvidenceKind] = mapped_column(text_enum(EvidenceKind))
    sha256: Mapped[str]
    bytes: Mapped[int]
    upload_metadata: Mapped[str]
    filename: Mapped[str | None]
    taken_at: Mapped[datetime | None]
    point: Mapped[WKBElement | None] = mapped_column(
        Geometry("POINT", srid=4326, spatial_index=False)
    )
    state: Mapped[UploadState] = mapped_column(text_enum(UploadState))
    received: Mapped[int] = mapped_column(server_default=text("0"))
    announced_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    stored_at: Mapped[datetime | None]
    refusal: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    blob_sha256: Mapped[str | None] = mapped_column(ForeignKey("evidence_blob.sha256"))
    position_from: Mapped[PositionFrom | None] = mapped_column(text_enum(PositionFrom))
    distance_m: Mapped[float | None]
    far: Mapped[bool | None]
    old: Mapped[bool | None]
    reused: Mapped[bool | None]
    late: Mapped[bool] = mapped_column(server_default=text("false"))
    forgotten_at: Mapped[datetime | None]


class EvidencePiece(Base):
    """A run of bytes of an upload that is stored, from `begins` up to `ends`, under a name."""

    __tablename__ = "evidence_piece"

    evidence_id: Mapped[UUID] = mapped_column(ForeignKey("evidence.id"), primary_key=True)
    begins: Mapped[int] = mapped_column(primary_key=True)
    ends: Mapped[int]
    name: Mapped[str]
