"""Pictures: what is refused of their content, and what is pointed out to whoever looks at them."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from app.core.errors import Problem
from app.core.i18n import Words

TAKEN = ("JPEG", "PNG", "WebP")


class PictureFault(StrEnum):
    """What is wrong with a picture."""

    OTHER_BYTES = "other_bytes"
    NOT_A_PICTURE = "not_a_picture"
    DAMAGED = "damaged"
    TOO_SMALL = "too_small"
    TOO_LARGE = "too_large"
    BLANK = "blank"


FAULT_WORDS: dict[PictureFault, Words] = {
    PictureFault.OTHER_BYTES: Words(
        "内容与声明的 sha256 不符", "its bytes are not those whose sha256 was announced"
    ),
    PictureFault.NOT_A_PICTURE: Words(
        "不是 JPEG、PNG 或 WebP 图片（HEIC 请先在手机上转换）",
        "it is no JPEG, PNG or WebP (convert HEIC on the phone)",
    ),
    PictureFault.DAMAGED: Words("图片已损坏或不完整", "the picture is damaged or cut off"),
    PictureFault.TOO_SMALL: Words("图片尺寸太小", "the picture has too few pixels"),
    PictureFault.TOO_LARGE: Words("图片尺寸太大", "the picture has too many pixels"),
    PictureFault.BLANK: Words("签名是空白的", "there are no strokes in the signature"),
}


class PictureRefused(Problem):
    slug, status = "picture-refused", 422
    title = Words(zh="图片不符合要求", en="This picture cannot be taken")
    advice = Words(
        zh="{why_zh}；已删除，请重新拍摄并用新的编号上传。",
        en="It was not kept, since {why_en}; take it again and upload it under a new id.",
    )

    @classmethod
    def of(cls, fault: PictureFault, **facts: Any) -> "PictureRefused":
        """Say what is wrong, in both languages, with the facts that decided."""
        words = FAULT_WORDS[fault]
        return cls(fault=fault, why_zh=words.zh, why_en=words.en, **facts)


class Limits(NamedTuple):
    """What a picture may be: pixels of its sides and in all, and for a signature its strokes."""

    least_side: int
    most_side: int | None
    most_pixels: int
    least_ink_percent: float | None


# --- what is pointed out --------------------------------------------------------------------------


class PositionFrom(StrEnum):
    """Where a picture's position is known from."""

    PICTURE = "picture"  # its EXIF
    PHONE = "phone"  # what the app said beside it


class Marks(NamedTuple):
    """What is pointed out of a picture; None where nothing is known to judge by."""

    far: bool | None
    old: bool | None


def marks_of(
    *,
    distance_m: float | None,
    taken_at: datetime | None,
    since: datetime,
    far_m: float,
    old_minutes: float,
) -> Marks:
    """Say whether a picture was taken far from the address, and long before `since`.

    Distances are in metres; on a limit is within it.
    """
    return Marks(
        far=None if distance_m is None else distance_m > far_m,
        old=None if taken_at is None else taken_at < since - timedelta(minutes=old_minutes),
    )
