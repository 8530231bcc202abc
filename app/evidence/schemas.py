"""What a phone says of a picture in a tus upload's metadata, and evidence as it is shown."""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field, StringConstraints, ValidationError, model_validator
from sqlalchemy import Row

from app.core.geo import CoordSys, to_wgs84
from app.core.http import Answer, Code, DeviceTime, Input, invalid_from
from app.evidence.queries import LISTED
from app.evidence.rules import (
    Announcement,
    PictureFault,
    PositionFrom,
    UploadState,
    metadata_of,
)
from app.worktypes.rules import EvidenceKind

_FileName = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")
]


class MetadataIn(Input):
    """What Upload-Metadata holds; names that libraries add by themselves are left alone."""

    id: UUID | None = None
    work_order_id: UUID
    visit_id: UUID | None = None
    requirement: Code
    kind: EvidenceKind
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    filename: _FileName | None = None
    taken_at: DeviceTime | None = None
    lon: Annotated[float, Field(ge=-180, le=180)] | None = None
    lat: Annotated[float, Field(ge=-90, le=90)] | None = None
    coordsys: CoordSys | None = None

    @model_validator(mode="after")
    def _whole_point(self) -> Self:
        given = [self.lon is not None, self.lat is not None, self.coordsys is not None]
        if any(given) and not all(given):
            raise ValueError("lon, lat and coordsys are given together")
        return self

    @property
    def point(self) -> tuple[float, float] | None:
        """Where it was taken, as the phone says, in WGS-84 degrees, longitude first."""
        if self.lon is None or self.lat is None or self.coordsys is None:
            return None
        return to_wgs84(self.lon, self.lat, self.coordsys)


def announcement_of(length: int, header: str) -> Announcement:
    """Read what a phone announces with a new upload. Raises Malformed and Invalid."""
    told = metadata_of(header)
    try:
        read = MetadataIn.model_validate(
            {name: value for name, value in told.items() if name in MetadataIn.model_fields}
        )
    except ValidationError as error:
        raise invalid_from(error.errors()) from error
    return Announcement(
        id=read.id,
        work_order_id=read.work_order_id,
        visit_id=read.visit_id,
        requirement=read.requirement,
        kind=read.kind,
        sha256=read.sha256,
        bytes=length,
        filename=read.filename,
        taken_at=read.taken_at,
        point=read.point,
        upload_metadata=header,
    )


class EvidenceOut(Answer):
    """One photo or signature of an order, and what is to be pointed out of it."""

    id: UUID
    work_order_id: UUID
    visit_id: UUID | None
    technician_id: UUID
    requirement: str = Field(max_length=64, description="A code of the order's template, or other.")
    kind: EvidenceKind
    state: UploadState
    sha256: str = Field(max_length=64, description="Of what the phone sent, in hexadecimal.")
    bytes: int = Field(description="What the phone sends, in bytes.")
    received: int = Field(description="How much of that is there.")
    filename: str | None = Field(max_length=200)
    media_type: str | None = Field(max_length=40)
    width: int | None = Field(description="In pixels, upright.")
    height: int | None
    taken_at: datetime | None = Field(
        description="As the picture's own metadata says, or else the phone."
    )
    announced_at: datetime
    expires_at: datetime = Field(description="Until when bytes that are missing may come.")
    stored_at: datetime | None
    distance_m: float | None = Field(
        description="From where it was taken to the order's address; null where one is not known."
    )
    position_from: PositionFrom | None
    far: bool | None = Field(description="Taken farther from the address than `evidence.far_m`.")
    old: bool | None = Field(
        description="Taken more than `evidence.old_minutes` before the technician set out."
    )
    reused: bool | None = Field(description="The very same picture is evidence of another order.")
    late: bool = Field(
        description="Its technician brought it home after the order had gone to somebody else, or"
        " was cancelled."
    )
    fault: PictureFault | None = Field(description="What was wrong with it when it is refused.")
    content: str | None = Field(
        max_length=100, description="Where the picture is read; null until it is ready."
    )
    thumbnail: str | None = Field(max_length=100)
    forgotten_at: datetime | None = Field(description="When the picture was forgotten.")

    @classmethod
    def of(cls, row: Row[Any]) -> "EvidenceOut":
        """Shape what was read of a piece of evidence."""
        there = row.looked_at is not None and row.forgotten_at is None
        told = {name: getattr(row, name, None) for name in cls.model_fields}
        return cls.model_validate(
            {
                **told,
                "taken_at": row.picture_taken_at or row.taken_at,
                "fault": (row.refusal or {}).get("fault"),
                "content": f"/v1/evidence/{row.id}/content" if there else None,
                "thumbnail": f"/v1/evidence/{row.id}/thumbnail" if there else None,
            }
        )


class EvidenceList(Answer):
    """The evidence of one order, the newest first."""

    evidence: list[EvidenceOut] = Field(max_length=LISTED)


class OutstandingOut(Answer):
    """Evidence of a completed order that was announced and has not come."""

    id: UUID
    work_order_id: UUID
    external_id: str = Field(max_length=200, description="The order's, as its source calls it.")
    visit_id: UUID | None
    technician_id: UUID
    requirement: str = Field(max_length=64)
    kind: EvidenceKind
    state: UploadState
    bytes: int
    received: int
    announced_at: datetime
    completed_at: datetime
    expires_at: datetime


class OutstandingPage(Answer):
    """A page of what is outstanding, what is awaited longest first."""

    outstanding: list[OutstandingOut] = Field(max_length=200)
    next_page_token: str | None = Field(max_length=400)
