"""What is done with terminals; every change of place goes through `custody`.

`depot` moves many at once, `handing` one from van to van, and `counting` puts right what a count of
a van has found.
"""

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
