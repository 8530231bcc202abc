"""What changes work orders: taking them in, and every step afterwards."""

from app.workorders.service.steps import cancel, lie_in, take_step, unplace_all

__all__ = ["cancel", "lie_in", "take_step", "unplace_all"]
