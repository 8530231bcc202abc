"""Comparing a day, putting right what is safe, and doing what a person has chosen."""

from app.reconciliation.service.asking import ask, day_of
from app.reconciliation.service.resolving import Choice, carry_out, resolve
from app.reconciliation.service.running import Ran, run

__all__ = ["Choice", "Ran", "ask", "carry_out", "day_of", "resolve", "run"]
