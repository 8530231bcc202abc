"""Wire shapes of sync."""

from app.sync.schemas.pulled import MigrationIn, PhoneChangesOut, PullOut, StreamedOut
from app.sync.schemas.pushed import (
    ActionVerdictOut,
    PhoneClockOut,
    PushIn,
    PushOut,
    WipeToObeyOut,
)

__all__ = [
    "ActionVerdictOut",
    "MigrationIn",
    "PhoneChangesOut",
    "PhoneClockOut",
    "PullOut",
    "PushIn",
    "PushOut",
    "StreamedOut",
    "WipeToObeyOut",
]
