"""The dials: what the simulated register says of lines that nobody has set. Pure."""

from pydantic import Field

from app.core.simulating import FaultDials, Share, luck

FAST, SLOW = 2000, 200


class Dials(FaultDials):
    """All dials; by default all lines are free and carry everything. Shares are 0 to 1."""

    no_free_port: Share = Field(default=0, description="Of addresses, by luck.")
    slow: Share = Field(default=0, description=f"Of addresses that carry {SLOW} Mbit/s at most.")

    def line_of(self, code: str) -> tuple[bool, int]:
        """Draw whether an address has a free port, and what its line carries, in Mbit/s."""
        free = luck(self.seed, "port", code) >= self.no_free_port
        return free, SLOW if luck(self.seed, "speed", code) < self.slow else FAST
