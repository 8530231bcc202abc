"""Whether a phone's clock is so wrong that its owner should be told. Pure."""

from datetime import datetime, timedelta
from typing import NamedTuple

from app.core.i18n import Words


class Skew(NamedTuple):
    """By how much a phone's clock is ahead of the server's, below zero when it is behind."""

    ahead: timedelta

    @property
    def words(self) -> Words:
        """What its owner is told."""
        minutes = round(abs(self.ahead) / timedelta(minutes=1))
        fast = self.ahead > timedelta()
        return Words(
            zh=f"本机时间{'快' if fast else '慢'}了约 {minutes} 分钟，请在系统设置中打开自动校时。",
            en=f"This phone's clock is about {minutes} minutes {'fast' if fast else 'slow'}: let it"
            " set itself.",
        )


def skew(sent_at: datetime, now: datetime, most: timedelta) -> Skew | None:
    """Compare when a phone says to have sent something with when it came.

    The way takes time as well, so what is told is no more exact than that.
    """
    ahead = sent_at - now
    return Skew(ahead) if abs(ahead) > most else None
