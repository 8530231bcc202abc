"""Pictures as phones take them, their uploads by tus, and templates that ask for them."""

import base64
import hashlib
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import date, datetime
from io import BytesIO
from typing import Any
from uuid import UUID

import httpx
from PIL import ExifTags, Image, ImageDraw
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import new_id
from app.core.i18n import Words
from app.workorders.models import WorkOrder
from app.worktypes.models import WorkTemplate
from app.worktypes.queries import READ
from app.worktypes.rules import (
    Acceptance,
    ClosingCode,
    EvidenceKind,
    Requirement,
    Template,
    WorkType,
)
from tests.make.visits import LAT, LON, Phone

BYTES = "application/offset+octet-stream"


def exif_of(
    *,
    orientation: int = 1,
    taken_at: str | None = None,
    offset: str | None = None,
    point: tuple[float, float] | None = None,
) -> Image.Exif:
    """Write what a phone's camera says of a photo."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "telling camera"
    exif[ExifTags.Base.Orientation] = orientation
    if taken_at:
        inner = {ExifTags.Base.DateTimeOriginal: taken_at}
        if offset:
            inner[ExifTags.Base.OffsetTimeOriginal] = offset
        exif[ExifTags.IFD.Exif] = inner
    if point:
        lon, lat = point
        exif[ExifTags.IFD.GPSInfo] = {
            ExifTags.GPS.GPSLatitudeRef: "N" if lat >= 0 else "S",
            ExifTags.GPS.GPSLatitude: (abs(lat), 0.0, 0.0),
            ExifTags.GPS.GPSLongitudeRef: "E" if lon >= 0 else "W",
            ExifTags.GPS.GPSLongitude: (abs(lon), 0.0, 0.0),
        }
    return exif


def photo(
    width: int = 480,
    height: int = 360,
    *,
    kind: str = "JPEG",
    seed: int = 0,
    exif: Image.Exif | None = None,
    **more: Any,
) -> bytes:
    """Take a photo of something that no other seed gives."""
    dice = random.Random(seed)
    coarse = Image.frombytes("RGB", (12, 9), dice.randbytes(12 * 9 * 3))
    picture = coarse.resize((width, height), Image.Resampling.BICUBIC)
    written = BytesIO()
    picture.save(written, kind, exif=exif or Image.Exif(), **more)
    return written.getvalue()


def signature(*, strokes: bool = True, seed: int = 0) -> bytes:
    """Draw a signature on clear ground, as an app's canvas gives it; or leave it blank."""
    picture = Image.new("RGBA", (400, 160), (0, 0, 0, 0))
    if strokes:
        dice = random.Random(seed)
        line = [(20 + 30 * n, dice.randint(30, 130)) for n in range(12)]
        ImageDraw.Draw(picture).line(line, fill=(20, 20, 60, 255), width=4)
    written = BytesIO()
    picture.save(written, "PNG")
    return written.getvalue()


async def make_template(
    tx: AsyncSession,
    *requirements: Requirement,
    work_type: WorkType = WorkType.REPAIR,
    acceptance: Acceptance = Acceptance.NONE,
) -> WorkTemplate:
    """Add a template of a work type that asks for evidence."""
    template = Template(
        work_type=work_type,
        minutes=60,
        closing_codes=(ClosingCode("fixed", Words("已修复", "fixed"), works_again=True),),
        evidence=requirements,
        acceptance=acceptance,
    )
    row = WorkTemplate(
        code=f"t{new_id().hex[-8:]}",
        version=1,
        work_type=work_type,
        valid_from=date(2026, 1, 1),
        content=READ.dump_python(template, mode="json"),
    )
    tx.add(row)
    await tx.flush()
    return row


def router(least: int = 1, *, may_follow: bool = True) -> Requirement:
    """Ask for photos of the router in its place."""
    return Requirement(
        "router", EvidenceKind.PHOTO, Words("光猫安装照", "router in place"), least, may_follow
    )


def metadata(**said: Any) -> str:
    """Write the header Upload-Metadata."""
    return ",".join(
        f"{name} {base64.b64encode(str(value).encode()).decode()}" for name, value in said.items()
    )


@dataclass
class Upload:
    """One picture on its way from a phone, as the tus libraries send it."""

    phone: Phone
    order: WorkOrder
    data: bytes
    said: dict[str, Any] = field(default_factory=dict)
    id: UUID = field(default_factory=new_id)

    @property
    def url(self) -> str:
        """Where the upload is."""
        return f"/v1/evidence/uploads/{self.id}"

    @property
    def sha256(self) -> str:
        """The hash of the picture."""
        return hashlib.sha256(self.data).hexdigest()

    async def ask(self, method: str, url: str, **headers: str) -> httpx.Response:
        """Send a request without a body."""
        given = {**self.phone.headers, "tus-resumable": "1.0.0", **headers}
        return await self.phone.http.request(method, url, headers=given)

    async def announce(
        self, *, first: bytes | None = None, headers: dict[str, str] | None = None, **said: Any
    ) -> httpx.Response:
        """Announce it, with its first bytes or without."""
        told = {
            "id": self.id,
            "work_order_id": self.order.id,
            "requirement": "other",
            "kind": "photo",
            "sha256": self.sha256,
            **self.said,
            **said,
        }
        given = {
            **self.phone.headers,
            "tus-resumable": "1.0.0",
            "upload-length": str(len(self.data)),
            "upload-metadata": metadata(
                **{name: value for name, value in told.items() if value is not None}
            ),
            **({"content-type": BYTES} if first is not None else {}),
            **(headers or {}),
        }
        return await self.phone.http.post("/v1/evidence/uploads", headers=given, content=first)

    async def send(
        self, content: bytes | AsyncIterator[bytes], offset: int, **headers: str
    ) -> httpx.Response:
        """Send bytes from an offset on."""
        given = {
            **self.phone.headers,
            "tus-resumable": "1.0.0",
            "upload-offset": str(offset),
            "content-type": BYTES,
            **headers,
        }
        return await self.phone.http.patch(self.url, headers=given, content=content)

    async def stands(self) -> int:
        """Ask how far it is."""
        answer = await self.ask("HEAD", self.url)
        assert answer.status_code == 200, answer.text
        return int(answer.headers["upload-offset"])

    async def whole(self, **said: Any) -> "Upload":
        """Announce it and send all of it."""
        answer = await self.announce(first=self.data, **said)
        assert answer.status_code == 201, answer.text
        assert answer.headers["upload-offset"] == str(len(self.data))
        return self


AT_THE_DOOR = exif_of(taken_at="2026:03:02 08:55:00", offset="+08:00", point=(LON + 0.001, LAT))


def moment(text: str) -> datetime:
    """Read a local time of Monday 2 March 2026, as 08:55."""
    return datetime.fromisoformat(f"2026-03-02T{text}:00+08:00")
