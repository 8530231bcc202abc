"""Time is handed in: who needs the business time takes a Clock, so tests and the demo set it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

# How the text of a clock begins that waits for its file.
AWAITED = "await|"


class Clock(Protocol):
    """Tells the business time: when an order is due, whether a shift has begun."""

    def now(self) -> datetime:
        """Return the business time, aware, in UTC."""
        ...

    def real(self, moment: datetime) -> datetime:
        """Return the real time at which this clock shows a moment, for asking other systems."""
        ...


def wall() -> datetime:
    """Return the real time, aware, in UTC: for tokens, retries, audit; no demo may bend those."""
    return datetime.now(UTC)  # noqa: TID251 - the one place that reads the machine's clock


class SystemClock:
    """Business time is real time; what production uses."""

    def now(self) -> datetime:
        """Return the real time, aware, in UTC."""
        return wall()

    def real(self, moment: datetime) -> datetime:
        """Return the moment itself."""
        return moment


class FixedClock:
    """Business time stands still until it is moved; what tests use."""

    def __init__(self, at: datetime) -> None:
        self._at = at.astimezone(UTC)

    def now(self) -> datetime:
        """Return the moment it was set to, aware, in UTC."""
        return self._at

    def real(self, moment: datetime) -> datetime:
        """Return the real time so far from now as the moment is from what it shows."""
        return wall() + (moment - self._at)

    def tick(self, by: timedelta) -> None:
        """Move the time forward."""
        self._at += by

    def set(self, at: datetime) -> None:
        """Set the time to an aware moment."""
        self._at = at.astimezone(UTC)


@dataclass(frozen=True)
class CompressedClock:
    """A working day played in a minute or two; what the demo uses.

    From the real moment `began` on, business time runs from `starts` at `speed` business seconds
    a real second, for `length` of business time; afterwards it goes on at the real pace. Every
    process of the demo holds the same four values, so all of them agree on the time.
    """

    starts: datetime
    began: datetime
    speed: float
    length: timedelta

    def now(self) -> datetime:
        """Return the compressed time, aware, in UTC."""
        real = wall() - self.began
        fast = real * self.speed
        if fast <= self.length:
            return (self.starts + fast).astimezone(UTC)
        return (self.starts + self.length + (real - self.length / self.speed)).astimezone(UTC)

    def real(self, moment: datetime) -> datetime:
        """Return when the day that is played comes to a moment, before it and after it at the real
        pace."""
        into = moment - self.starts
        fast = min(max(into, timedelta()), self.length)
        return self.began + fast / self.speed + (into - fast)

    def text(self) -> str:
        """Write the clock as one line that `clock_from` reads, to hand it to another process."""
        return (
            f"{self.starts.isoformat()}|{self.began.isoformat()}|{self.speed}"
            f"|{self.length.total_seconds()}"
        )


@dataclass
class AwaitedClock:
    """A clock that stands at `starts` until somebody writes into the file `path` how it goes on;
    what the demo's processes hold while they, and the people who play, get ready.

    What is written is a `CompressedClock.text()`, by `begin`, once.
    """

    starts: datetime
    path: Path
    _going: Clock | None = None

    def now(self) -> datetime:
        """Return the moment it stands at, or the compressed time, aware, in UTC."""
        going = self._clock()
        return self.starts.astimezone(UTC) if going is None else going.now()

    def real(self, moment: datetime) -> datetime:
        """Return when the day comes to a moment; as long as it has not begun, at the real pace."""
        going = self._clock()
        return wall() + (moment - self.starts) if going is None else going.real(moment)

    def begin(self, clock: CompressedClock) -> None:
        """Let it go on as another clock, for whoever holds it, in whichever process."""
        fresh = self.path.with_suffix(".new")
        fresh.write_text(clock.text())
        fresh.replace(self.path)

    def text(self) -> str:
        """Write the clock as one line that `clock_from` reads, to hand it to another process."""
        return f"{AWAITED}{self.starts.isoformat()}|{self.path}"

    def _clock(self) -> Clock | None:
        if self._going is None and self.path.exists():
            self._going = clock_from(self.path.read_text())
        return self._going


def clock_from(text: str) -> Clock:
    """Read a clock from the setting: empty is real time, otherwise what the `text()` of a
    `CompressedClock` or an `AwaitedClock` has written.

    Raises ValueError when the text is none of these.
    """
    if not text:
        return SystemClock()
    if text.startswith(AWAITED):
        moment, _, path = text.removeprefix(AWAITED).partition("|")
        return AwaitedClock(datetime.fromisoformat(moment), Path(path))
    starts, began, speed, length = text.split("|")
    return CompressedClock(
        starts=datetime.fromisoformat(starts),
        began=datetime.fromisoformat(began),
        speed=float(speed),
        length=timedelta(seconds=float(length)),
    )
