"""What changes work orders: taking them in, and every step afterwards."""

from app.workorders.service.steps import take_step, unplace_all

__all__ = ["take_step", "unplace_all"]
