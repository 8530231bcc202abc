"""What is done with terminals; every change of place goes through `custody`."""

from app.terminals.service.custody import (
    Booking,
    How,
    book,
    booking,
    take_in,
    undo,
    write_off,
)

__all__ = ["Booking", "How", "book", "booking", "take_in", "undo", "write_off"]
