"""Feasibility's decisions, pure: what stands against what, and how long a reservation holds."""

from app.feasibility.rules.answers import Answers, Feasible
from app.feasibility.rules.calling_off import NOT_BEGUN, CallOff
from app.feasibility.rules.codes import OF_DAY, OF_GATE, WORDS, Blocks, Infeasible, No, blocks
from app.feasibility.rules.figures import TwoHours
from app.feasibility.rules.judging import (
    Lacking,
    Person,
    Piece,
    Wanted,
    against_install,
    against_person,
    against_sale,
    cannot_be_had,
    covers,
    sellable,
    together,
)
from app.feasibility.rules.reserving import (
    APPOINTMENT_HOURS,
    AWAITING_MINUTES,
    NEXT_DAYS,
    REAL_NAME_WANTED,
    RESERVATION_MINUTES,
    InstallNotFeasible,
    NothingToInstall,
    ReservationState,
    ReservationUsed,
    done_minutes,
    standing,
)

__all__ = [
    "APPOINTMENT_HOURS",
    "AWAITING_MINUTES",
    "NEXT_DAYS",
    "NOT_BEGUN",
    "OF_DAY",
    "OF_GATE",
    "REAL_NAME_WANTED",
    "RESERVATION_MINUTES",
    "WORDS",
    "Answers",
    "Blocks",
    "CallOff",
    "Feasible",
    "Infeasible",
    "InstallNotFeasible",
    "Lacking",
    "No",
    "NothingToInstall",
    "Person",
    "Piece",
    "ReservationState",
    "ReservationUsed",
    "TwoHours",
    "Wanted",
    "against_install",
    "against_person",
    "against_sale",
    "blocks",
    "cannot_be_had",
    "covers",
    "done_minutes",
    "sellable",
    "standing",
    "together",
]
