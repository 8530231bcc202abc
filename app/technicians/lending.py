"""What may be refused of a loan, how it stands, and how long one may be. Pure."""

from datetime import date, timedelta
from enum import StrEnum

from app.core.errors import Conflict, Invalid
from app.core.i18n import Words
from app.core.parameters import Parameter

LONGEST = Parameter(
    name="technicians.loan_longest_days",
    default=31,
    unit="days",
    words=Words(zh="一次借调最多几天", en="How many days one loan may last at most"),
    least=1,
    most=366,
)


class LoanState(StrEnum):
    """How a loan stands. One whose days have passed stays as it was."""

    ASKED = "asked"
    AGREED = "agreed"
    DECLINED = "declined"
    ENDED = "ended"


def state_of(*, agreed: bool, ended: bool) -> LoanState:
    """Say how a loan stands: ended before anybody agreed, it was declined or taken back."""
    if agreed:
        return LoanState.ENDED if ended else LoanState.AGREED
    return LoanState.DECLINED if ended else LoanState.ASKED


class LentAlready(Conflict):
    slug = "lent-already"
    title = Words(zh="该人员此期间已借调", en="They are lent on some of these days already")
    advice = Words(
        zh="{valid_from} 至 {valid_to}（不含）已借调至 {org_unit_code}；请改日期，或先结束该借调。",
        en="From {valid_from} until {valid_to} (not included) they are with {org_unit_code}; "
        "choose other days, or end that loan first.",
    )


class LoanOver(Conflict):
    slug = "loan-over"
    title = Words(zh="该借调已结束", en="This loan is over")
    advice = Words(
        zh="借调状态为 {state}；如仍需要请重新发起。",
        en="It is {state}; ask anew if it is needed still.",
    )


def check_loan(
    *, valid_from: date, valid_to: date, today: date, longest: int, active: bool, theirs: bool
) -> None:
    """Check what is asked for: days in order and not past, somebody active, and not one's own.

    `theirs` says that the borrowing unit has this person anyway. Raises Invalid.
    """
    errors = []
    if not valid_from < valid_to <= valid_from + timedelta(days=longest):
        errors.append(("valid_to", f"must lie after valid_from, at most {longest} days"))
    if valid_to <= today:
        errors.append(("valid_to", f"must lie after today, which is {today}"))
    if not active:
        errors.append(("technician_id", "no longer active"))
    if theirs:
        errors.append(("org_unit_id", "they belong to this unit already"))
    if errors:
        raise Invalid(errors=[{"field": field, "message": text} for field, text in errors])
