"""The cursor of a phone: one number that says up to where it knows of everything."""

from typing import NamedTuple

# A number that every language keeps exactly has 53 bits. Thirty-eight are enough for eighty writing
# transactions a second over a hundred years. Fifteen tell one life of a database from another: a
# number that is drawn a second time lets a phone that slept through both miss what lay between.
_XID_BITS = 38
EPOCHS = 2**15


class Cursor(NamedTuple):
    """Everything that was written by transactions before `xid` is known, in this epoch."""

    epoch: int
    xid: int

    @property
    def number(self) -> int:
        """The cursor as a phone keeps it: less than 2^53."""
        return self.epoch << _XID_BITS | self.xid


# What a phone sends that has never asked, beside leaving the cursor out.
NO_CURSOR = 0


def cursor_of(number: int) -> Cursor:
    """Read a number back into the cursor that it was made of."""
    return Cursor(number >> _XID_BITS, number & (2**_XID_BITS - 1))
