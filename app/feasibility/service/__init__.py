"""What can be done at a door, a file for each: ask what is feasible, reserve it, install it, or
call that off, or book another time for it."""

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

__all__ = [
    "NotNow",
    "Sold",
    "answers",
    "book",
    "call_off",
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
