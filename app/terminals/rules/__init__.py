"""Rules of terminals: serial numbers, the pools they can be in, and how they come there."""

from app.terminals.rules.counting import LEAST_IN_VAN, Cause, CountState, Difference
from app.terminals.rules.custody import (
    MOVES,
    UNDOABLE,
    Handling,
    HandoverState,
    Link,
    MovedSince,
    MoveNotAllowed,
    Place,
    Pool,
    TerminalKind,
    Why,
    allowed,
    moved,
    undone,
)
from app.terminals.rules.due_back import DueCause, DueState, KeptCause, WriteOffCause
from app.terminals.rules.serials import serial_number

__all__ = [
    "LEAST_IN_VAN",
    "MOVES",
    "UNDOABLE",
    "Cause",
    "CountState",
    "Difference",
    "DueCause",
    "DueState",
    "Handling",
    "HandoverState",
    "KeptCause",
    "Link",
    "MoveNotAllowed",
    "MovedSince",
    "Place",
    "Pool",
    "TerminalKind",
    "Why",
    "WriteOffCause",
    "allowed",
    "moved",
    "serial_number",
    "undone",
]
