"""What can be done at a door, a file for each: ask what is feasible, reserve it, install it, or
call that off, or book another time for it; and what cannot be had is not sold."""

from app.feasibility.service.asking import answers, person_of
from app.feasibility.service.booking import book, give_back, keep_booked
from app.feasibility.service.calling_off import call_off, settle
from app.feasibility.service.installing import (
    NotNow,
    Sold,
    install_now,
    keep_for_later,
    let_go_of,
)
from app.feasibility.service.reserving import release, reserve
from app.feasibility.service.selling import cannot_be_had

__all__ = [
    "NotNow",
    "Sold",
    "answers",
    "book",
    "call_off",
    "cannot_be_had",
    "give_back",
    "install_now",
    "keep_booked",
    "keep_for_later",
    "let_go_of",
    "person_of",
    "release",
    "reserve",
    "settle",
]
