"""Pictures as phones take them: drawn once, and made different from each other for next to nothing.

A picture is told apart by the hash of its bytes. So each gets a remark of its own within the file,
which costs no drawing and no compressing: eighty phones share two processors here. What the remark
says decides the bytes, and a phone that was switched off can take the very same picture again.
"""

import random
import zlib
from functools import cache
from io import BytesIO

from PIL import Image, ImageDraw

# The shorter side of a photo has at least `evidence.least_side_px`.
PHOTO, SIGNATURE = (480, 360), (320, 120)
_JPEG_REMARK = b"\xff\xfe"
_START = 2  # bytes of a JPEG before its first segment
_PNG_HEAD = 33  # bytes of a PNG's signature and of its first chunk


def photo(remark: str) -> bytes:
    """Take a photo, a JPEG, that is the only one with this remark."""
    said = remark.encode()
    segment = _JPEG_REMARK + (len(said) + 2).to_bytes(2, "big") + said
    plain = _photo()
    return plain[:_START] + segment + plain[_START:]


def signature(remark: str) -> bytes:
    """Let a customer sign, as a PNG that is the only one with this remark."""
    chunk = b"tEXt" + b"Comment\x00" + remark.encode()
    framed = (len(chunk) - 4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    plain = _signature()
    return plain[:_PNG_HEAD] + framed + plain[_PNG_HEAD:]


@cache
def _photo() -> bytes:
    coarse = Image.frombytes("RGB", (12, 9), random.Random(0).randbytes(12 * 9 * 3))
    return _written(coarse.resize(PHOTO, Image.Resampling.BICUBIC), "JPEG")


@cache
def _signature() -> bytes:
    dice = random.Random(0)
    picture = Image.new("RGBA", SIGNATURE, (0, 0, 0, 0))
    strokes = [(20 + 24 * n, dice.randint(20, 100)) for n in range(12)]
    ImageDraw.Draw(picture).line(strokes, fill=(20, 20, 60, 255), width=4)
    return _written(picture, "PNG")


def _written(picture: Image.Image, kind: str) -> bytes:
    file = BytesIO()
    picture.save(file, kind)
    return file.getvalue()
