"""The share of on-site sales that were live within the promised time. Pure."""

from typing import NamedTuple


class TwoHours(NamedTuple):
    """Sales of some days that were to be installed in the same visit, by what came of them.

    `cancelled`: the install was called off; `excused`: its clock was stopped for a cause that
    exempts; `running`: it is not live and the time is not over yet. These are left out.
    """

    sold: int
    in_time: int
    cancelled: int
    excused: int
    running: int

    @property
    def denominator(self) -> int:
        """Sales that count."""
        return self.sold - self.cancelled - self.excused - self.running

    @property
    def rate(self) -> float | None:
        """Of those that count, the share that was in time; None where none counts."""
        return self.in_time / self.denominator if self.denominator else None
