"""The judge: which rule of contact and fairness an offer at a door would break.

It is written from the rules as the business documents tell them, keeps its own books of what
happened in the field, and shares no code with the gates it judges. Whoever plays with perfect
knowledge is held to it as well.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from benchmarks.suggestions.field import Event, Visit, local_day
from benchmarks.suggestions.offers import Offering
from benchmarks.suggestions.people import Household, stage_of

RENEWAL_DAYS, LITTLE_GB = 90, 30
# For whom each lever is, as the table of the eleven levers has it; the others are for anybody.
NEW, GROWING, MATURE, DECLINING, LEFT = "acquisition", "build_up", "climax", "decline", "exit"
FOR = {
    "intent": {NEW},
    "acquisition": {NEW},
    "income": {GROWING, MATURE},
    "cross_sell": {GROWING, MATURE},
    "tariff_fit": {MATURE, DECLINING},
    "renewal": {GROWING, MATURE, DECLINING},
    "retention": {DECLINING},
    "win_back": {LEFT},
    "bad_debt": {NEW, GROWING, MATURE, DECLINING},
}
ANYBODY = {NEW, GROWING, MATURE, DECLINING, LEFT}


@dataclass
class Card:
    """What the judge has written down about one household."""

    held: set[str]
    speed_mbps: int | None
    do_not_disturb: bool
    contract_ends_on: date | None
    contacts: list[datetime] = field(default_factory=list)
    service: list[datetime] = field(default_factory=list)
    faults: list[datetime] = field(default_factory=list)
    complaints: list[Event] = field(default_factory=list)
    declined: list[tuple[date, Offering]] = field(default_factory=list)
    accepted: dict[str, date] = field(default_factory=dict)
    later: dict[str, date] = field(default_factory=dict)


class Judge:
    """The books of one play, and the rules read out of them."""

    def __init__(self, homes: Sequence[Household]) -> None:
        self.homes = homes
        self.cards = [
            Card(set(home.held), home.speed_mbps, home.do_not_disturb, home.contract_ends_on)
            for home in homes
        ]
        self.found: dict[str, int] = defaultdict(int)

    def happens(self, event: Event) -> None:
        """Write down what happened outside visits, at its moment."""
        card = self.cards[event.home]
        if event.kind == "sales":
            card.contacts.append(event.at)
        elif event.kind == "service":
            card.service.append(event.at)
        elif event.kind == "fault":
            card.faults.append(event.at)
        elif event.kind == "complaint":
            card.complaints.append(event)
        else:
            card.do_not_disturb = True

    def arrives(self, visit: Visit) -> None:
        """Write down the fault a visit was ordered for."""
        if visit.work_type == "repair":
            self.cards[visit.home].faults.append(visit.reported_at)

    def says(self, visit: Visit, offer: Offering, answer: str, later_on: date | None) -> None:
        """Write down a pitch and what the customer said."""
        card, day = self.cards[visit.home], local_day(visit.at)
        card.contacts.append(visit.at)
        if answer == "declined":
            card.declined.append((day, offer))
        elif answer == "accepted":
            card.accepted[offer.code] = day
        elif later_on is not None:
            card.later[offer.code] = later_on

    def finds(self, visit: Visit, shown: Sequence[Offering]) -> None:
        """Count every rule that what was shown in a visit breaks."""
        if len(shown) > 3:
            self.found["more_than_three"] += 1
        for offer in shown:
            for rule in self.broken(visit, offer):
                self.found[rule] += 1

    def broken(self, visit: Visit, offer: Offering) -> list[str]:
        """Name the rules that offering this in a visit would break."""
        return [*self.broken_by_any(visit), *self._by_this(visit, offer)]

    def broken_by_any(self, visit: Visit) -> list[str]:
        """Name the rules that any offer at all would break in a visit."""
        card, home, now = self.cards[visit.home], self.homes[visit.home], visit.at
        today = local_day(now)
        contacts = self._contacts(home)
        breaks = {
            "order_open": visit.order_pending,
            "before_the_repair": visit.work_type == "repair" and not visit.restored,
            "repeat_fault": self._faults(card, now) >= 2,
            "complaint": any(_complains(one, now, today) for one in card.complaints),
            "do_not_disturb": card.do_not_disturb,
            "service_contact_today": any(
                local_day(at) == today and at <= now for at in card.service
            ),
            "three_in_30_days": _since(contacts, now, 30) >= 3,
            "twelve_a_year": _since(contacts, now, 365) >= 12,
            "seven_days_apart": any((today - local_day(at)).days < 7 for at in contacts),
            "third_refusal": _still_stopped(card.declined, today),
        }
        return [rule for rule, is_so in breaks.items() if is_so]

    def _by_this(self, visit: Visit, offer: Offering) -> list[str]:
        card, home, today = self.cards[visit.home], self.homes[visit.home], local_day(visit.at)
        line = offer.speed_mbps
        faster = line is not None and (card.speed_mbps or 0) < line
        little = home.usage_gb is not None and home.usage_gb < LITTLE_GB
        ends = card.contract_ends_on
        stage = stage_of(home, today)
        breaks = {
            "not_for_their_stage": not any(
                stage in FOR.get(lever, ANYBODY) for lever in offer.levers
            ),
            "owes": bool(home.arrears_fen) and not offer.prepaid,
            "owes_nothing": offer.levers == {"bad_debt"} and not home.arrears_fen,
            "has_it": offer.code in card.held or bool(offer.excludes & card.held),
            "lacks_what_it_needs": not offer.requires <= card.held,
            "just_ordered": _within(card.accepted.get(offer.code), today, 30),
            "line_cannot": line is not None and (home.line_max_mbps or 0) < line,
            "no_port": line is not None and card.speed_mbps is None and home.port_free is False,
            "sells_too_much": little
            and "broadband" in offer.requires
            and (faster or offer.category == "wifi"),
            "sells_too_little": offer.most_usage_gb is not None
            and (home.usage_gb is None or home.usage_gb > offer.most_usage_gb),
            "gains_nothing": line is not None
            and not faster
            and card.speed_mbps is not None
            and not ("tariff_fit" in offer.levers and little),
            "not_due": offer.business_type == "retention"
            and (ends is None or (ends - today).days > RENEWAL_DAYS),
            "declined_this": any(
                (today - day).days < 90 for day, one in card.declined if one.code == offer.code
            ),
            "declined_its_group": any(
                (today - day).days < 30
                for day, one in card.declined
                if one.category == offer.category
            ),
            "asked_for_later": card.later.get(offer.code, date.min) > today,
        }
        return [rule for rule, is_so in breaks.items() if is_so]

    def faults_in_30_days(self, visit: Visit) -> int:
        """Count the faults of the 30 days before a visit, the present one included."""
        return self._faults(self.cards[visit.home], visit.at)

    def contacts(self, visit: Visit) -> list[datetime]:
        """List the sales contacts with a household and whoever else lives there."""
        return self._contacts(self.homes[visit.home])

    def contacts_in_30_days(self, visit: Visit) -> int:
        """Count the sales contacts of the 30 days before a visit."""
        return _since(self._contacts(self.homes[visit.home]), visit.at, 30)

    def _contacts(self, home: Household) -> list[datetime]:
        """List sales contacts with a household and with whoever else lives at its address."""
        own = self.cards[home.number].contacts
        return own if home.twin is None else own + self.cards[home.twin].contacts

    @staticmethod
    def _faults(card: Card, now: datetime) -> int:
        """Count faults of the last 30 days; what came within a day of another is the same fault."""
        count, last = 0, None
        for at in sorted(at for at in card.faults if now - timedelta(days=30) < at <= now):
            if last is None or at - last > timedelta(days=1):
                count += 1
            last = at
        return count


def _complains(complaint: Event, now: datetime, today: date) -> bool:
    if complaint.closed_at is None or complaint.closed_at > now:
        return complaint.at <= now
    return (today - local_day(complaint.closed_at)).days < 14


def _still_stopped(declined: Sequence[tuple[date, Offering]], today: date) -> bool:
    """Tell whether some refusal, with two more in the 180 days up to it, is under 180 days old."""
    days = [day for day, _ in declined]
    return any(
        (today - third).days < 180 and sum(0 <= (third - day).days < 180 for day in days) >= 3
        for third in days
    )


def _since(moments: Iterable[datetime], now: datetime, days: int) -> int:
    return sum(now - timedelta(days=days) < at <= now for at in moments)


def _within(day: date | None, today: date, days: int) -> bool:
    return day is not None and (today - day).days < days
