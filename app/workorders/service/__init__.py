"""What changes work orders: taking them in, and every step afterwards."""

from app.workorders.service.many import Happened, Moved, take_steps, write_events
from app.workorders.service.nudges import Nudged, nudge
from app.workorders.service.steps import cancel, lie_in, take_step, unplace_all

__all__ = [
    "Happened",
    "Moved",
    "Nudged",
    "cancel",
    "lie_in",
    "nudge",
    "take_step",
    "take_steps",
    "unplace_all",
    "write_events",
]
