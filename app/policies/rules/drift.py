"""Whether a model that nobody has changed still says how often offers are accepted.

Two cumulative sums of log likelihood ratios run over the pitched offers in the order in which they
were answered: one grows when the odds of a yes have become larger than the model says, the other
when smaller (Steiner, Cook, Farewell and Treasure 2000). Each begins anew at zero whenever it
would fall below. By Page's bound a sum passes the height h wrongly once in exp(h) answers on
average at the most, so the height is said as that number of answers.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.core.geo import Floats


@dataclass(frozen=True)
class Watch:
    """What is watched for: odds that have become so many times as large, or as small, and in how
    many answers one wrong alarm on either side is put up with."""

    odds: float
    answers: float


@dataclass(frozen=True)
class Drift:
    """Where the two sums stand after all answers, in which answer (from 0) one first passed the
    height, and what was predicted and observed over the answers looked at.

    `z` is the two-sided test of those two, in standard errors; None where nothing could vary.
    """

    answers: int
    predicted: float
    observed: float
    z: float | None
    above: float
    below: float
    height: float
    alarm_at: int | None

    @property
    def alarmed(self) -> bool:
        """Tell whether a sum passed the height."""
        return self.alarm_at is not None


def drift(predicted: Floats, accepted: NDArray[np.bool_], watch: Watch) -> Drift:
    """Follow answers in their order; `predicted` is what the model said before each."""
    height = float(np.log(watch.answers))
    larger, above = _sums(_gains(predicted, accepted, watch.odds), height)
    smaller, below = _sums(_gains(predicted, accepted, 1 / watch.odds), height)
    passed = [at for at in (larger, smaller) if at is not None]
    count = len(accepted)
    spread = float(np.sqrt((predicted * (1 - predicted)).sum()))
    return Drift(
        answers=count,
        predicted=float(predicted.mean()) if count else 0.0,
        observed=float(accepted.mean()) if count else 0.0,
        z=float((accepted - predicted).sum() / spread) if spread else None,
        above=above,
        below=below,
        height=height,
        alarm_at=min(passed, default=None),
    )


def _gains(predicted: Floats, accepted: NDArray[np.bool_], odds: float) -> Floats:
    """Return by how much each answer speaks for odds so many times as large (log likelihood)."""
    gains: Floats = accepted * np.log(odds) - np.log1p((odds - 1) * predicted)
    return gains


def _sums(gains: Floats, height: float) -> tuple[int | None, float]:
    """Add up gains, from zero anew whenever below it; return where the height is first passed,
    and the sum after the last."""
    total = np.concatenate([[0.0], np.cumsum(gains)])
    # What has been gained since the lowest point so far is what a sum that restarts has.
    sums = (total - np.minimum.accumulate(total))[1:]
    over = np.flatnonzero(sums >= height)
    return (int(over[0]) if len(over) else None), float(sums[-1]) if len(sums) else 0.0
