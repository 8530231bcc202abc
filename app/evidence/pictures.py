"""Pictures by their content: whether they are what they should be, where and when they were taken,
and what is kept of them.

Decoding takes long and much memory, so it is done by two threads of their own (`aside`).
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from functools import cache, partial
from io import BytesIO
from typing import Any, NamedTuple, ParamSpec, TypeVar

from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from app.evidence.rules import Limits, PictureFault, PictureRefused
from app.evidence.rules.pictures import TAKEN

AT_ONCE = 2

_FORMATS = ("JPEG", "PNG", "WEBP")
# A phone's JPEG with several pictures in it is called an MPO once it is open.
_MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
}
# What cameras and screens write; a 16-bit grey, say, is no photograph.
_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"})
# What is no JPEG is decoded as a whole, at four bytes a pixel.
_MOST_WHOLE = 20_000_000
# A stroke differs from the paper by so much of 255, and looking for it needs no more pixels.
_INK, _LOOKED_AT = 48, 600
_QUALITY = 92

Given = ParamSpec("Given")
Made = TypeVar("Made")


async def aside(work: Callable[Given, Made], *args: Given.args, **more: Given.kwargs) -> Made:
    """Do work on pictures in a thread, two pictures at a time in one process."""
    running = asyncio.get_running_loop()
    return await running.run_in_executor(_threads(), partial(work, *args, **more))


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(AT_ONCE, thread_name_prefix="pictures")


class Found(NamedTuple):
    """What a picture is: its media type, and pixels as it is stored."""

    media_type: str
    width: int
    height: int


def inspect(data: bytes, limits: Limits) -> Found:
    """Check a picture by its content, down to its last byte. Raises PictureRefused."""
    picture = _opened(data)
    facts = {"width": picture.width, "height": picture.height}
    short, long = sorted(picture.size)
    if picture.mode not in _MODES:
        raise PictureRefused.of(PictureFault.NOT_A_PICTURE, **facts, mode=picture.mode)
    jpeg = picture.format in ("JPEG", "MPO")
    most_pixels = limits.most_pixels if jpeg else min(limits.most_pixels, _MOST_WHOLE)
    if picture.width * picture.height > most_pixels:
        raise PictureRefused.of(PictureFault.TOO_LARGE, **facts, most_pixels=most_pixels)
    if limits.most_side is not None and long > limits.most_side:
        raise PictureRefused.of(PictureFault.TOO_LARGE, **facts, most_side=limits.most_side)
    if short < limits.least_side:
        raise PictureRefused.of(PictureFault.TOO_SMALL, **facts, least_side=limits.least_side)
    found = Found(_MEDIA_TYPES[str(picture.format)], *picture.size)
    small = _decoded(picture, _LOOKED_AT)
    if limits.least_ink_percent is not None:
        ink = _ink_percent(small)
        if ink < limits.least_ink_percent:
            raise PictureRefused.of(PictureFault.BLANK, **facts, ink_percent=round(ink, 3))
    return found


def _opened(data: bytes) -> Image.Image:
    try:
        return Image.open(BytesIO(data), formats=_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        # Our own limit of pixels is lower; where warnings are errors, this one comes first.
        raise PictureRefused.of(PictureFault.TOO_LARGE) from error
    except UnidentifiedImageError as error:
        raise PictureRefused.of(PictureFault.NOT_A_PICTURE, taken=list(TAKEN)) from error
    except Exception as error:
        raise PictureRefused.of(PictureFault.DAMAGED) from error


def _decoded(picture: Image.Image, side: int) -> Image.Image:
    """Decode a picture to its end, at about the size asked for: a JPEG is read to its last byte
    for an eighth of the memory."""
    try:
        picture.draft("RGB", (side, side))
        picture.load()
    except Exception as error:
        raise PictureRefused.of(PictureFault.DAMAGED) from error
    return picture


def _ink_percent(picture: Image.Image) -> float:
    """Say how much of a picture differs from its most frequent shade, the paper."""
    on_paper = picture.convert("RGBA")
    on_paper.thumbnail((_LOOKED_AT, _LOOKED_AT))
    grey = Image.alpha_composite(Image.new("RGBA", on_paper.size, "white"), on_paper).convert("L")
    counts = grey.histogram()
    paper = counts.index(max(counts))
    ink = sum(n for shade, n in enumerate(counts) if abs(shade - paper) > _INK)
    return 100.0 * ink / (grey.width * grey.height)


# --- where and when, and what is kept -------------------------------------------------------------


class Looked(NamedTuple):
    """What a look at a picture gave: the picture without metadata and upright, a thumbnail (WebP),
    and what its metadata said. `taken_at` has no zone where the picture names none; `point` is
    longitude and latitude, which EXIF gives in WGS-84."""

    kept: bytes
    thumbnail: bytes
    width: int
    height: int
    taken_at: datetime | None
    point: tuple[float, float] | None


def look_at(data: bytes, thumbnail_side: int) -> Looked:
    """Read a picture's metadata, take it out, and make a thumbnail. Raises PictureRefused for one
    that can only be decoded in part."""
    picture = _opened(data)
    said = _said(picture)
    kept, small = _kept(data, picture, said.upright, thumbnail_side)
    width, height = _opened(kept).size
    if small.mode not in ("RGB", "RGBA"):
        see_through = "A" in small.mode or "transparency" in small.info
        small = small.convert("RGBA" if see_through else "RGB")
    small.thumbnail((thumbnail_side, thumbnail_side))
    thumbnail = _saved(small, "WEBP", quality=80)
    return Looked(kept, thumbnail, width, height, said.taken_at, said.point)


def _kept(data: bytes, picture: Image.Image, upright: bool, side: int) -> tuple[bytes, Image.Image]:
    """Give a picture without its metadata, and decoded at about twice a side's size."""
    if picture.format in ("JPEG", "MPO") and upright:
        kept = without_metadata(data)
        # One that is damaged may be read as a whole, and not what is left of it.
        with suppress(PictureRefused):
            return kept, _decoded(_opened(kept), side * 2)
    try:
        kept = _written_anew(picture, upright)
    except (OSError, ValueError) as error:
        raise PictureRefused.of(PictureFault.DAMAGED) from error
    return kept, _decoded(_opened(kept), side * 2)


def _written_anew(picture: Image.Image, upright: bool) -> bytes:
    kind = "JPEG" if picture.format == "MPO" else str(picture.format)
    turned = picture.copy() if upright else ImageOps.exif_transpose(picture)
    # What a format's own writer would copy from the picture it was read from.
    for name in list(turned.info):
        if name not in ("transparency", "icc_profile"):
            del turned.info[name]
    more: dict[str, Any] = {} if kind == "PNG" else {"quality": _QUALITY}
    return _saved(turned, kind, **more)


def _saved(picture: Image.Image, kind: str, **more: Any) -> bytes:
    written = BytesIO()
    picture.save(written, kind, **more)
    return written.getvalue()


_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
# Colours need them: JFIF's density, the ICC profile, and how Adobe mixed the channels.
_APP0, _APP2, _APP14, _APP15, _COMMENT = 0xE0, 0xE2, 0xEE, 0xEF, 0xFE
# So many bytes belong to them (ITU-T T.871, section 10.1; T.872, section 6.5.3).
_JFIF, _ADOBE = 14, 12
_STANDS_ALONE = frozenset({0x00, 0x01, *range(0xD0, 0xD8)})


def without_metadata(jpeg: bytes) -> bytes:
    """Copy a JPEG without what tells of more than its picture: EXIF, XMP, comments, thumbnails, and
    whatever follows its end, where phones put further pictures and films. Its pixels stay as they
    are."""
    kept, at, scanned = bytearray(jpeg[:2]), 2, False
    while True:
        # Within a scan, a 0xFF that is no marker is followed by zero. What lies between segments
        # outside of one is no picture: a wrong length may have left metadata there.
        marker_at = jpeg.find(b"\xff", at)
        if marker_at < 0 or marker_at + 1 >= len(jpeg):
            return bytes(kept + jpeg[at:]) if scanned else bytes(kept)
        if scanned:
            kept += jpeg[at:marker_at]
        kind = jpeg[marker_at + 1]
        if kind == 0xFF:  # a fill byte before a marker
            at = marker_at + 1
        elif kind in _STANDS_ALONE:
            if scanned:
                kept += jpeg[marker_at : marker_at + 2]
            at = marker_at + 2
        elif kind == _END:
            return bytes(kept + b"\xff\xd9")
        else:
            at = marker_at + 2 + int.from_bytes(jpeg[marker_at + 2 : marker_at + 4], "big")
            if _belongs(kind, jpeg[marker_at + 4 : at]):
                kept += jpeg[marker_at:at]
            scanned = kind == _SCAN


def _belongs(kind: int, content: bytes) -> bool:
    if kind == _APP2:
        return content.startswith(b"ICC_PROFILE\0")
    if kind == _APP0:
        # Its extension would hold a thumbnail, and so would what is longer.
        return content.startswith(b"JFIF\0") and len(content) <= _JFIF
    if kind == _APP14:
        return content.startswith(b"Adobe") and len(content) <= _ADOBE
    return not (_APP0 < kind <= _APP15 or kind == _COMMENT)


class _Said(NamedTuple):
    """What a picture's metadata says: whether it stands as it is stored, when and where it was
    taken."""

    upright: bool
    taken_at: datetime | None
    point: tuple[float, float] | None


def _said(picture: Image.Image) -> _Said:
    try:
        exif = picture.getexif()
        upright = exif.get(ExifTags.Base.Orientation, 1) == 1
        return _Said(upright, _taken_at(exif), _point(exif))
    except Exception:  # noqa: BLE001 - broken metadata says nothing, and is taken out all the same
        return _Said(True, None, None)


def _taken_at(exif: Image.Exif) -> datetime | None:
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    said = inner.get(ExifTags.Base.DateTimeOriginal) or exif.get(ExifTags.Base.DateTime)
    try:
        local = datetime.strptime(str(said), "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007 - see below
        offset = inner.get(ExifTags.Base.OffsetTimeOriginal)
        if not offset:
            return local
        sign = -1 if str(offset).startswith("-") else 1
        hours, minutes = str(offset).strip("+-\0 ").split(":")
        away = sign * timedelta(hours=int(hours), minutes=int(minutes))
        return local.replace(tzinfo=timezone(away))
    except ValueError:
        return None


def _point(exif: Image.Exif) -> tuple[float, float] | None:
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    try:
        lat = _degrees(gps[ExifTags.GPS.GPSLatitude], gps.get(ExifTags.GPS.GPSLatitudeRef) == "S")
        lon = _degrees(gps[ExifTags.GPS.GPSLongitude], gps.get(ExifTags.GPS.GPSLongitudeRef) == "W")
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    # Phones without a fix write zeros, and broken ones what is no number.
    if not (-180 <= lon <= 180 and -90 <= lat <= 90) or (lon, lat) == (0, 0):
        return None
    return lon, lat


def _degrees(parts: Any, negative: bool) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    value = degrees + minutes / 60 + seconds / 3600
    return -value if negative else value
