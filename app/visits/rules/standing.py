"""What a technician is told of where a customer stands: the fit of their package, and its words."""

from enum import StrEnum

from app.core.i18n import Words
from app.lifecycle.rules import ChurnClass, Signal, Stage, Tier


class Fit(StrEnum):
    """How the package that is held suits what is used."""

    FITS = "fits"
    MORE_THAN_NEEDED = "more_than_needed"
    LESS_THAN_NEEDED = "less_than_needed"


class Trend(StrEnum):
    """Where the value tier went when it last changed."""

    RISEN = "risen"
    FALLEN = "fallen"


FIT_WORDS: dict[Fit, Words] = {
    Fit.FITS: Words("套餐与用量相符", "the package suits what is used"),
    Fit.MORE_THAN_NEEDED: Words("用量远低于套餐", "uses far less than the package gives"),
    Fit.LESS_THAN_NEEDED: Words("用量高，套餐偏小", "uses more than the package is made for"),
}
TREND_WORDS: dict[Trend, Words] = {
    Trend.RISEN: Words("价值层级上升", "has risen a value tier"),
    Trend.FALLEN: Words("价值层级下降", "has fallen a value tier"),
}
STAGE_WORDS: dict[Stage, Words] = {
    Stage.ACQUISITION: Words("获取期", "new"),
    Stage.BUILD_UP: Words("提升期", "growing"),
    Stage.CLIMAX: Words("成熟期", "settled"),
    Stage.DECLINE: Words("衰退期", "declining"),
    Stage.EXIT: Words("已离网", "has left"),
}
CHURN_WORDS: dict[ChurnClass, Words] = {
    ChurnClass.LOW: Words("离网风险低", "unlikely to leave"),
    ChurnClass.MID: Words("离网风险中", "may leave"),
    ChurnClass.HIGH: Words("离网风险高", "likely to leave"),
}
SIGNAL_WORDS: dict[Signal, Words] = {
    Signal.CHURN_HIGH: Words("离网风险高", "likely to leave"),
    Signal.USAGE_DOWN: Words("用量明显下降", "uses much less than before"),
    Signal.TIER_FELL: Words("价值层级下降", "has fallen a value tier"),
    Signal.CONTRACT_ENDING: Words("合约即将到期", "the contract ends soon"),
    Signal.COMPLAINTS: Words("多次投诉或重复障碍", "complained, or had the same fault again"),
    Signal.ASKED_TO_LEAVE: Words("咨询过离网", "asked about leaving"),
}

_ORDER = list(Tier)


def fit_of(
    usage_gb: int | None,
    *,
    low_gb: float,
    high_gb: float | None,
    speed: int | None,
    most: int | None,
) -> Fit | None:
    """Tell how a package suits what is used in a month; None where the use is not known.

    `high_gb` is what the fifth of the customers who use most use at least. Who uses so much has too
    little only where the line (`most`, in Mbit/s) could do more than is held (`speed`).
    """
    if usage_gb is None or speed is None:
        return None
    if usage_gb < low_gb:
        return Fit.MORE_THAN_NEEDED
    if high_gb is not None and usage_gb >= high_gb and most is not None and most > speed:
        return Fit.LESS_THAN_NEEDED
    return Fit.FITS


def trend_of(tier: Tier | None, before: Tier | None) -> Trend | None:
    """Tell where the tier went when it last changed; None when it never did, or is not known."""
    if tier is None or before is None or tier is before:
        return None
    return Trend.RISEN if _ORDER.index(tier) < _ORDER.index(before) else Trend.FALLEN
