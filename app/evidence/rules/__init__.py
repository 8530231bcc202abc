"""What evidence is, when it may be added, what is refused of it, and what is pointed out."""

from app.evidence.rules.pictures import (
    FAULT_WORDS,
    Limits,
    Marks,
    PictureFault,
    PictureRefused,
    PositionFrom,
    marks_of,
)
from app.evidence.rules.uploads import (
    OTHER,
    Announcement,
    EvidenceClosed,
    EvidenceForgotten,
    NotReady,
    OffsetDiffers,
    TooMuchEvidence,
    UploadGone,
    UploadState,
    check_requirement,
    is_open,
    metadata_of,
)

__all__ = [
    "FAULT_WORDS",
    "OTHER",
    "Announcement",
    "EvidenceClosed",
    "EvidenceForgotten",
    "Limits",
    "Marks",
    "NotReady",
    "OffsetDiffers",
    "PictureFault",
    "PictureRefused",
    "PositionFrom",
    "TooMuchEvidence",
    "UploadGone",
    "UploadState",
    "check_requirement",
    "is_open",
    "marks_of",
    "metadata_of",
]
