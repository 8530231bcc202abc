"""Where a customer stands, told from what is known of them.

This is the plain reading of the rules. The statement that tells it of a million customers at once
(`queries/judging.py`) says the same in SQL, and a test holds both against each other.
"""

import math
from datetime import date, timedelta
from typing import NamedTuple

from app.lifecycle.rules.card import Card, Reason, reasons_of, score_of
from app.lifecycle.rules.numbers import Numbers
from app.lifecycle.rules.words import ChurnClass, Signal, Stage, Tier

TIERS = tuple(Tier)


class Cuts(NamedTuple):
    """From which income of twelve months on a customer of the unit is in a tier; in fen."""

    a_from_fen: int | None
    b_from_fen: int | None
    c_from_fen: int | None
    mean_fen: int | None
    usage_high_gb: float | None


class Facts(NamedTuple):
    """What is known of a customer on a local day; None is not known, never nothing.

    `left_on` is when they last left altogether and `back_on` when they came back after that;
    `began_on` is since when they are with us without having left. `removing` says that all they
    have is ordered to be removed. `asked_on` is when they last asked about leaving. Incomes are
    means of the known months of the year and of the last three. `dissatisfied` counts the offers
    that they declined because they are not satisfied with us.
    """

    day: date
    left_on: date | None
    back_on: date | None
    began_on: date | None
    removing: bool
    asked_on: date | None
    months_known: int
    recent_known: int
    year_income_fen: float | None
    recent_income_fen: float | None
    blacklisted: bool | None
    tenure_months: float | None
    contract_days_left: float | None
    usage_gb: float | None
    usage_percent: float | None
    income_fen: float | None
    income_percent: float | None
    services: float
    new_services: float
    speed_mbps: float | None
    complaints: float
    faults: float
    repeat_faults: float
    dissatisfied: float
    asked_to_leave: float
    arrears_fen: float | None


class Before(NamedTuple):
    """Where the customer stood when they were last looked at, as far as it bears on today."""

    stage: Stage
    stage_since: date
    tier: Tier | None
    tier_before: Tier | None
    tier_since: date | None
    last_signal_on: date | None


class Standing(NamedTuple):
    """Where a customer stands, and by which rules; see `models.CustomerLifecycle`."""

    stage: Stage
    stage_since: date
    stage_rule: str
    tier: Tier | None
    tier_before: Tier | None
    tier_since: date | None
    tier_rule: str | None
    tier_forecast: Tier | None
    hidden_high_value: bool
    value_12m_fen: int | None
    churn_score: float | None
    churn_class: ChurnClass | None
    churn_reasons: tuple[Reason, ...]
    signals: tuple[Signal, ...]
    last_signal_on: date | None


# --- tiers ----------------------------------------------------------------------------------------


def tier_of(value: float | None, facts: Facts, cuts: Cuts, numbers: Numbers) -> Tier | None:
    """Tell the tier of an income of twelve months (fen): by the unit's cuts, one step up for new
    services and one down for arrears; None where the income or the cuts are not known."""
    if value is None or cuts.a_from_fen is None:
        return None
    floors = (cuts.a_from_fen, cuts.b_from_fen, cuts.c_from_fen)
    by_income = next(
        (nth for nth, least in enumerate(floors) if least is not None and value >= least), 3
    )
    place = by_income - _up(facts, numbers) + _down(facts, numbers)
    return TIERS[max(0, min(3, place))]


def _year(month: float | None) -> int:
    """Make an income of twelve months of a mean month, both in fen."""
    return math.floor((month or 0) * 12 + 0.5)


def _up(facts: Facts, numbers: Numbers) -> int:
    return int(facts.new_services >= numbers.new_services_from)


def _down(facts: Facts, numbers: Numbers) -> int:
    return int((facts.arrears_fen or 0) >= numbers.arrears_from_fen)


def _tier_rule(facts: Facts, numbers: Numbers) -> str:
    if _down(facts, numbers):
        return "tier.arrears"
    return "tier.new_services" if _up(facts, numbers) else "tier.income"


def _fell_on(now: Tier | None, before: Tier | None, since: date | None) -> date | None:
    return since if now and before and now > before else None


def _is_hidden(
    tier: Tier | None, value: int | None, facts: Facts, cuts: Cuts, numbers: Numbers
) -> bool:
    """Tell whether somebody who brings little may yet be worth much.

    They use new services or more than most, owe nothing, and only their income is low or falls.
    """
    if tier not in (Tier.C, Tier.D) or value is None or _down(facts, numbers) or facts.blacklisted:
        return False
    low = cuts.mean_fen is not None and value < cuts.mean_fen
    falls = facts.recent_income_fen is not None and facts.year_income_fen is not None
    falls = falls and (facts.recent_income_fen or 0) < (facts.year_income_fen or 0)
    uses = facts.usage_gb is not None and cuts.usage_high_gb is not None
    uses = uses and (facts.usage_gb or 0) >= (cuts.usage_high_gb or 0)
    return (low or falls) and bool(_up(facts, numbers) or uses)


# --- risk -----------------------------------------------------------------------------------------


def churn_of(score: float, numbers: Numbers) -> ChurnClass:
    """Tell the class of a probability to leave."""
    if score >= numbers.churn_high_from:
        return ChurnClass.HIGH
    return ChurnClass.MID if score >= numbers.churn_mid_from else ChurnClass.LOW


# --- stages ---------------------------------------------------------------------------------------


def plus_months(day: date, months: int) -> date:
    """Go some months on, to the same day of the month or its last, as PostgreSQL does."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    first = date(year, month + 1, 1)
    following = date(year + month // 11, (month + 1) % 12 + 1, 1)
    return first + timedelta(days=min(day.day, (following - first).days) - 1)


def _mature(facts: Facts, numbers: Numbers) -> bool:
    began = facts.began_on
    return began is not None and facts.day > plus_months(began, int(numbers.build_up_months))


def _exit_rule(facts: Facts, numbers: Numbers) -> str | None:
    if facts.left_on is not None and facts.back_on is None:
        return "exit.disconnected"
    if facts.removing:
        return "exit.removal_ordered"
    if facts.back_on is not None and (facts.day - facts.back_on).days <= numbers.returned_days:
        return "exit.returned"
    return None


def signals_of(
    facts: Facts, numbers: Numbers, churn_class: ChurnClass | None, fell_on: date | None
) -> dict[Signal, date]:
    """Name what speaks for decline, each with the day it last did.

    A high score alone says nothing of a new customer: new customers have high scores. What
    happened once, such as having asked about leaving, speaks for as long as decline lasts.
    """
    day = facts.day
    found: dict[Signal, date] = {}
    if churn_class is ChurnClass.HIGH and _mature(facts, numbers):
        found[Signal.CHURN_HIGH] = day
    if facts.usage_percent is not None and facts.usage_percent <= 100 - numbers.usage_down_percent:
        found[Signal.USAGE_DOWN] = day
    if fell_on is not None and (day - fell_on).days < numbers.quiet_days:
        found[Signal.TIER_FELL] = fell_on
    left = facts.contract_days_left
    if left is not None and left <= numbers.contract_days:
        found[Signal.CONTRACT_ENDING] = day
    if facts.complaints + facts.repeat_faults + facts.dissatisfied >= numbers.complaints_from:
        found[Signal.COMPLAINTS] = day
    if facts.asked_on is not None and (day - facts.asked_on).days < numbers.quiet_days:
        found[Signal.ASKED_TO_LEAVE] = facts.asked_on
    return found


def stage_of(
    facts: Facts, numbers: Numbers, signals: dict[Signal, date], last_signal_on: date | None
) -> tuple[Stage, str]:
    """Tell the stage and the rule that gives it: the first that holds, from exit upwards.

    Decline lasts until there was no signal for `quiet_days`, so that nobody goes in and out of it.
    """
    leaving = _exit_rule(facts, numbers)
    if leaving:
        return Stage.EXIT, leaving
    day = facts.day
    recently = last_signal_on is not None and (day - last_signal_on).days < numbers.quiet_days
    if facts.began_on is not None and recently:
        named = next((one for one in Signal if one in signals), None)
        return Stage.DECLINE, f"decline.{named or 'lately'}"
    if _mature(facts, numbers):
        return Stage.CLIMAX, "climax.mature"
    if facts.began_on is not None and (day - facts.began_on).days > numbers.acquisition_days:
        return Stage.BUILD_UP, "build_up.settled"
    return Stage.ACQUISITION, "acquisition.new"


def _since(facts: Facts, numbers: Numbers, stage: Stage, before: Before | None) -> date:
    """Tell since when a stage is that of the customer, also of one who is seen for the first time.

    Who has left did so on the day that is known, however late that was heard of.
    """
    if before is not None and before.stage is stage:
        return before.stage_since
    day, began = facts.day, facts.began_on
    if stage is Stage.EXIT:
        return facts.left_on or day
    if before is not None or began is None or stage is Stage.DECLINE:
        return day
    if stage is Stage.CLIMAX:
        return plus_months(began, int(numbers.build_up_months)) + timedelta(days=1)
    if stage is Stage.BUILD_UP:
        return began + timedelta(days=int(numbers.acquisition_days) + 1)
    return min(began, day)


# --- all of it ------------------------------------------------------------------------------------


def stands(
    facts: Facts, before: Before | None, cuts: Cuts, numbers: Numbers, card: Card | None
) -> Standing:
    """Tell where a customer stands; told again on the same day it is the same."""
    known = facts.months_known >= numbers.least_months and facts.year_income_fen is not None
    value = _year(facts.year_income_fen) if known else None
    lately = facts.recent_known >= 2 and facts.recent_income_fen is not None
    forecast = _year(facts.recent_income_fen) if known and lately else None
    tier_now = tier_of(value, facts, cuts, numbers)
    was = before.tier if before else None
    tier = tier_now or was
    changed = was is not None and tier is not was
    tier_before = was if changed else before.tier_before if before else None
    first = was is None and tier is not None
    tier_since = facts.day if changed or first else before.tier_since if before else None
    gone = _exit_rule(facts, numbers) is not None
    fields = facts._asdict()
    score = None if card is None or gone else score_of(card, fields)
    churn = None if score is None else churn_of(score, numbers)
    fell_on = _fell_on(tier, tier_before, tier_since)
    signals = {} if gone else signals_of(facts, numbers, churn, fell_on)
    held = before.last_signal_on if before else None
    days = [*signals.values(), *([held] if held else [])]
    last_signal_on = None if gone else max(days, default=None)
    stage, rule = stage_of(facts, numbers, signals, last_signal_on)
    return Standing(
        stage=stage,
        stage_since=_since(facts, numbers, stage, before),
        stage_rule=rule,
        tier=tier,
        tier_before=tier_before,
        tier_since=tier_since,
        tier_rule=_tier_rule(facts, numbers),
        tier_forecast=tier_of(forecast, facts, cuts, numbers),
        hidden_high_value=_is_hidden(tier, value, facts, cuts, numbers),
        value_12m_fen=value,
        churn_score=score,
        churn_class=churn,
        churn_reasons=() if card is None or score is None else tuple(reasons_of(card, fields)),
        signals=tuple(one for one in Signal if one in signals),
        last_signal_on=last_signal_on,
    )
