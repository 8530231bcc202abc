"""When another channel may speak to a customer of an offer, and from when on if not now.

The guards and the numbers are those of a visit; only what belongs to a door is not asked. Where it
is said which offering is spoken of, what the customer answered to it on any channel counts too.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

from app.core.errors import Conflict, Invalid
from app.core.i18n import Words
from app.suggestions.rules import HeldBack
from app.suggestions.rules.here import OrderedHere
from app.suggestions.rules.leads import LeadTo
from app.suggestions.rules.limits import Limits
from app.suggestions.rules.silence import SILENCES, Silence, stopped_until, unhappy_until

MONTH, YEAR = timedelta(days=30), timedelta(days=365)


class SlotState(StrEnum):
    """Where a slot that a channel reserved stands. One that is held ends by itself in time."""

    HELD = "held"
    CONFIRMED = "confirmed"
    RELEASED = "released"


class ContactOutcome(StrEnum):
    """How a contact of another channel ended."""

    ACCEPTED = "accepted"
    DECLINED = "declined"
    LATER = "later"
    NO_ANSWER = "no_answer"


class ContactRefused(Conflict):
    slug = "contact-refused"
    title = Words(zh="现在不能联系该客户营销", en="This customer may not be spoken to of sales now")
    advice = Words(
        zh="原因：{words}。最早可联系日期：{allowed_on}（— 表示尚不确定）。",
        en="{words}. The first day on which it is allowed: {allowed_on} (a dash: not known yet).",
    )


class ContactSlotEnded(Conflict):
    slug = "contact-slot-ended"
    title = Words(zh="该接触名额已结束", en="This contact slot has ended")
    advice = Words(
        zh="名额现为 {state}；如需再次联系请重新申请。",
        en="It is {state}; ask for a new slot before speaking to them.",
    )


def check_outcome(outcome: ContactOutcome, later_on: date | None, day: date) -> None:
    """Check that a day is named with a `later` alone, and lies after that of the contact.

    A `later` need not name one. Raises Invalid.
    """
    if later_on is None:
        return
    message = None
    if outcome is not ContactOutcome.LATER:
        message = "belongs to `later`"
    elif later_on <= day:
        message = "must be a day after that of the contact"
    if message is not None:
        raise Invalid(errors=[{"field": "later_on", "message": message}])


class About(NamedTuple):
    """The offering that is to be spoken of, by its code and category, and as whom a lead would
    name the speaker; null is nobody a lead is given to. `prepaid` is paid for before it is used."""

    code: str
    category: str
    speaker: LeadTo | None = None
    prepaid: bool = False


@dataclass(frozen=True)
class Ledger:
    """What is known of a customer and of who has spoken to their home, as of a moment.

    `sold_at` has one moment for each sales contact of the last 365 days with anybody at the
    customer's address, and `silence` is what the customer answered, on any channel. `taken_until`
    is until when somebody else holds the slot, and `served_today` tells of any other contact or
    visit today. `consented` is whether they allow offers on the channel that asks.
    `win_back_refused` is set of who has left, has no service again, and said that they will not
    come back. `ordered_here` has what was sold in the asker's own visit and stands, which is no
    `order_pending`, and what any other visit sold that does not show yet. `leads` says to whom
    offers were handed over and are open there, and `about` is the offering, null where none is
    named.
    """

    now: datetime
    zone: ZoneInfo
    do_not_disturb: bool = False
    consented: bool = True
    arrears_fen: int | None = None
    blacklisted: bool = False
    win_back_refused: bool = False
    fault_open: bool = False
    faults_at: Sequence[datetime] = ()
    complaint_open: bool = False
    complaint_closed_at: datetime | None = None
    served_today: bool = False
    sold_at: Sequence[datetime] = ()
    taken_until: datetime | None = None
    order_pending: bool = False
    ordered_here: Sequence[OrderedHere] = ()
    outage: bool = False
    silence: Silence = field(default_factory=Silence)
    leads: Mapping[str, LeadTo] = field(default_factory=dict)
    about: About | None = None

    def begin_of(self, day: date) -> datetime:
        """Give the moment at which a local day begins."""
        return datetime.combine(day, time(), self.zone)

    def days_after(self, moment: datetime, days: float) -> datetime:
        """Give the beginning of the local day that lies so many days after that of a moment."""
        return self.begin_of(moment.astimezone(self.zone).date() + timedelta(days=days))

    def within(self, at: Sequence[datetime], span: timedelta) -> list[datetime]:
        """List the moments that lie less than a span back, the oldest first."""
        return sorted(moment for moment in at if moment > self.now - span)


class Ban(NamedTuple):
    """That a contact is not allowed, and from when on it is; null is not known."""

    code: HeldBack
    until: datetime | None


# Each says until when it forbids a contact: False that it does not, None that nobody can tell.
_Until = Callable[[Ledger, Limits], datetime | bool | None]


def _full(ledger: Ledger, at: Sequence[datetime], span: timedelta, most: float) -> datetime | bool:
    """Say when there is room for one more within a span, of which at most so many may be."""
    counted = ledger.within(at, span)
    if len(counted) < most:
        return False
    if most < 1:
        return ledger.now + span
    return counted[len(counted) - int(most)] + span


def _later(ledger: Ledger, until: datetime | None) -> datetime | bool:
    return until if until is not None and until > ledger.now else False


def _until_day(ledger: Ledger, day: date | None) -> datetime | bool:
    return _later(ledger, None if day is None else ledger.begin_of(day))


def _repeated(ledger: Ledger, limits: Limits) -> datetime | bool:
    span = timedelta(days=limits.repeat_fault_days)
    return _full(ledger, ledger.faults_at, span, 2)


def _complaint(ledger: Ledger, limits: Limits) -> datetime | bool:
    closed = ledger.complaint_closed_at
    return _later(ledger, closed and ledger.days_after(closed, limits.complaint_days))


def _gap(ledger: Ledger, limits: Limits) -> datetime | bool:
    last = max(ledger.sold_at, default=None)
    return _later(ledger, last and ledger.days_after(last, limits.contact_gap_days))


def _refused(ledger: Ledger, limits: Limits) -> datetime | bool:
    return _until_day(ledger, stopped_until(ledger.silence, limits))


def _unhappy(ledger: Ledger, limits: Limits) -> datetime | bool:
    return _until_day(ledger, unhappy_until(ledger.silence, limits))


def _silent(code: HeldBack) -> tuple[HeldBack, _Until]:
    """Make the ban that an answer to the offering is, whichever channel it was given on."""

    def until(ledger: Ledger, limits: Limits) -> datetime | bool:
        if ledger.about is None:
            return False
        day = SILENCES[code](ledger.silence, ledger.about.code, ledger.about.category, limits)
        return _until_day(ledger, day)

    return code, until


def _elsewhere(ledger: Ledger, limits: Limits) -> bool | None:
    # One open suggestion of an offer to a customer: whoever was given it may go on with it.
    given = ledger.leads.get(ledger.about.code) if ledger.about is not None else None
    return False if ledger.about is None or given in (None, ledger.about.speaker) else None


def _on_credit(ledger: Ledger, owes: bool) -> bool | None:
    # What is paid for beforehand may be spoken of; whoever names no offering may sell on credit.
    prepaid = ledger.about is not None and ledger.about.prepaid
    return None if owes and not prepaid else False


# In the order of the gates, so that the reason told is the one a visit would be told.
BANS: tuple[tuple[HeldBack, _Until], ...] = (
    (HeldBack.ORDER_PENDING, lambda ledger, limits: None if ledger.order_pending else False),
    _silent(HeldBack.JUST_ACCEPTED),
    (HeldBack.NOT_RESTORED, lambda ledger, limits: None if ledger.fault_open else False),
    (HeldBack.DO_NOT_DISTURB, lambda ledger, limits: None if ledger.do_not_disturb else False),
    (HeldBack.NO_CONSENT, lambda ledger, limits: False if ledger.consented else None),
    (HeldBack.REPEAT_FAULT, _repeated),
    (HeldBack.COMPLAINT_OPEN, lambda ledger, limits: None if ledger.complaint_open else False),
    (HeldBack.COMPLAINT_RECENT, _complaint),
    (HeldBack.DISSATISFIED, _unhappy),
    (HeldBack.ARREARS, lambda ledger, limits: _on_credit(ledger, bool(ledger.arrears_fen))),
    (HeldBack.BLACKLISTED, lambda ledger, limits: _on_credit(ledger, ledger.blacklisted)),
    # Whatever is offered to who has left is meant to win them back, and they have said no.
    (
        HeldBack.WIN_BACK_REFUSED,
        lambda ledger, limits: None if ledger.win_back_refused else False,
    ),
    (HeldBack.OUTAGE, lambda ledger, limits: None if ledger.outage else False),
    (HeldBack.OFFERED_ELSEWHERE, _elsewhere),
    (
        HeldBack.CONTACTS_MONTH,
        lambda ledger, limits: _full(ledger, ledger.sold_at, MONTH, limits.contacts_month),
    ),
    (
        HeldBack.CONTACTS_YEAR,
        lambda ledger, limits: _full(ledger, ledger.sold_at, YEAR, limits.contacts_year),
    ),
    (HeldBack.CONTACT_GAP, _gap),
    (
        HeldBack.SERVED_TODAY,
        lambda ledger, limits: ledger.days_after(ledger.now, 1) if ledger.served_today else False,
    ),
    (HeldBack.SLOT_TAKEN, lambda ledger, limits: _later(ledger, ledger.taken_until)),
    (HeldBack.REFUSED_OFTEN, _refused),
    _silent(HeldBack.DECLINED_RECENTLY),
    _silent(HeldBack.DECLINED_GROUP),
    _silent(HeldBack.ASKED_FOR_LATER),
)


def ban_of(ledger: Ledger, limits: Limits) -> Ban | None:
    """Say whether a contact is forbidden, by what first, and from when on nothing forbids it.

    That moment is the latest of all that forbid it now, as far as nothing new happens; null when
    one of them ends at nobody knows when. None lets the contact through.
    """
    found = [
        Ban(code, None if until is None else until)  # type: ignore[arg-type]
        for code, asks in BANS
        if (until := asks(ledger, limits)) is not False
    ]
    if not found:
        return None
    ends = [ban.until for ban in found]
    until = None if None in ends else max(end for end in ends if end is not None)
    return Ban(found[0].code, until)


@dataclass(frozen=True)
class Standing:
    """Whether a channel may speak to a customer now, and what that rests on."""

    ledger: Ledger
    limits: Limits
    ban: Ban | None
