"""What changes work orders: taking them in, and every step afterwards."""

from app.workorders.service.steps import cancel, take_step, unplace_all

__all__ = ["cancel", "take_step", "unplace_all"]
