"""What a phone makes of the steps taken on it, and what a customer signs on it."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Any, NamedTuple

import orjson

from app.core.i18n import Words


class Stage(StrEnum):
    """How far an action is that was done on this phone."""

    WAITING = "waiting"
    APPLIED = "applied"
    CONFLICT = "conflict"
    REFUSED = "refused"


STAGE_WORDS: Mapping[str, Words] = {
    Stage.WAITING: Words(zh="待发送", en="waiting to be sent"),
    Stage.APPLIED: Words(zh="已执行", en="carried out"),
    Stage.CONFLICT: Words(zh="有冲突", en="others were first"),
    Stage.REFUSED: Words(zh="被拒绝", en="refused"),
}

STATE_WORDS: Mapping[str, Words] = {
    "assigned": Words(zh="待接单", en="new"),
    "acknowledged": Words(zh="已接单", en="taken on"),
    "en_route": Words(zh="在途", en="on the way"),
    "on_site": Words(zh="在现场", en="at the door"),
    "suspended": Words(zh="已挂起", en="put off"),
    "completed": Words(zh="已完工", en="completed"),
    "archived": Words(zh="已归档", en="archived"),
    "handed_back": Words(zh="已退单", en="handed back"),
    "declined": Words(zh="已拒单", en="declined"),
    "transferred": Words(zh="已转派", en="passed on"),
}


@dataclass(frozen=True)
class Short:
    """A step under a short name, for hands that type.

    `type` is the doorway's operation. `on` is what it is taken on: an `order` or a `visit`. `makes`
    tells that it makes a thing, which gets an id from the phone. `asks` are names of what has to be
    said, and `state` is how the phone shows the order from then on.
    """

    type: str
    words: Words
    on: str = "visit"
    makes: bool = False
    asks: tuple[str, ...] = ()
    state: str | None = None
    # The states, as the phone shows them, in which it is offered.
    when: frozenset[str] = field(default_factory=lambda: frozenset({"on_site"}))


_NEW, _TAKEN, _GOING = frozenset({"assigned"}), frozenset({"acknowledged"}), frozenset({"en_route"})
_BEFORE = _NEW | _TAKEN
_BEGUN = _GOING | {"on_site"}

SHORT: Mapping[str, Short] = {
    "take": Short(
        "visits_acknowledge", Words(zh="接单", en="take it on"), "order", False, (), "acknowledged",
        _NEW,
    ),
    "decline": Short(
        "visits_decline", Words(zh="拒单", en="decline it"), "order", False, ("cause",), "declined",
        _NEW,
    ),
    "go": Short(
        "visits_set_out", Words(zh="出发", en="set out"), "order", True, (), "en_route", _TAKEN
    ),
    "arrive": Short(
        "visits_check_in", Words(zh="到场签到", en="check in"), "visit", False, ("point",),
        "on_site", _GOING,
    ),
    "restored": Short("visits_restored", Words(zh="业务已恢复", en="the service works again")),
    "note": Short("visits_keep_progress", Words(zh="记录进度", en="note down"), asks=("note",)),
    "fit": Short(
        "visits_terminals_scan", Words(zh="安装终端", en="fit a terminal"), "visit", True,
        ("serial_number", "action"),
    ),
    "suspend": Short(
        "visits_suspend", Words(zh="挂起", en="put it off"), "visit", False, ("cause", "resume_at"),
        "suspended",
    ),
    "resume": Short(
        "visits_resume", Words(zh="恢复作业", en="go on"), "visit", False, (), "on_site",
        frozenset({"suspended"}),
    ),
    "finish": Short(
        "visits_complete", Words(zh="完工", en="complete it"), "visit", False, ("outcome_code",),
        "completed",
    ),
    "back": Short(
        "visits_hand_back", Words(zh="退单", en="hand it back"), "visit", False, ("cause",),
        "handed_back", _BEGUN,
    ),
    "pass": Short(
        "visits_transfer", Words(zh="转派同事", en="pass it on"), "order", False, ("to", "cause"),
        "transferred", _BEFORE,
    ),
}  # fmt: skip

STATE_AFTER: Mapping[str, str] = {
    **{one.type: one.state for one in SHORT.values() if one.state},
    "visits_hand_back_order": "handed_back",
}


def shown_state(told: str, waiting: Iterable[str]) -> str:
    """Say how an order stands on the phone: as it was told, and then what was done and not sent."""
    state = told
    for kind in waiting:
        state = STATE_AFTER.get(kind, state)
    return state


def offered(state: str) -> Mapping[str, Short]:
    """Name the short steps that may be taken in a state, by what the phone knows."""
    return {name: one for name, one in SHORT.items() if state in one.when}


# The states of an order to which a technician has still to come.
TO_COME = frozenset({"assigned", "acknowledged"})
RESTORES = SHORT["restored"].type

# What an order says of its customer, which leaves the phone with them.
OF_PEOPLE = ("contact_name", "contact_phone", "service_number", "address")


def is_over(row: Mapping[str, Any], now: datetime) -> bool:
    """Tell whether what a row says of people was to be shown until a moment that has come."""
    until = row.get("visible_until")
    return until is not None and datetime.fromisoformat(until) <= now


def without_people(row: Mapping[str, Any]) -> dict[str, Any]:
    """Write an order without what it says of its customer; the next pull tells it masked."""
    return {**row, **dict.fromkeys(OF_PEOPLE), "masked": True, "visible_until": None}


def may_be_offered(row: Mapping[str, Any], now: datetime, *, restored: bool) -> bool:
    """Tell whether a suggestion may be shown: while it is valid, and, where it supposes that a
    repair succeeds, once that is marked restored. One that does not say so is not shown."""
    until, when = row.get("valid_until"), row.get("show_when")
    if until is not None and datetime.fromisoformat(until) <= now:
        return False
    return when == "at_once" or (when == "restored" and restored)


def nothing_of(
    row: Mapping[str, Any], now: datetime, *, restored: bool
) -> Mapping[str, Any] | None:
    """Read why nothing is offered for an order, as long as that may be shown; None where something
    is, or nobody has asked. That a repair is not restored is over once it is marked so here."""
    told = row.get("nothing_because")
    said = told and orjson.loads(told)
    if not said or not may_be_offered(said, now, restored=restored):
        return None
    return None if restored and said["code"] == "not_restored" else said


# A completion is refused where its order's pictures are not there.
COMPLETES = SHORT["finish"].type


class Item(NamedTuple):
    """A line of what a customer agrees to, money in fen; `terms` are those of an approval code."""

    code: str
    quantity: int
    monthly_fen: int
    one_off_fen: int
    months: int | None
    terms: "Terms | None" = None


class Terms(NamedTuple):
    """An approval code as whoever asked for it reads it: so many percent off the monthly price for
    so many months."""

    code: str
    percent: float
    months: int

    def said(self) -> dict[str, Any]:
        """Write them as a line of a sale does."""
        return {
            "approval_code": self.code,
            "seen_discount_percent": self.percent,
            "seen_discount_months": self.months,
        }

    def price_fen(self, monthly_fen: int) -> int:
        """Say what one costs a month meanwhile, half a fen rounded up."""
        kept = monthly_fen * (100 - Decimal(str(self.percent))) / 100
        return int(kept.quantize(Decimal(1), ROUND_HALF_UP))


NO_TERMS: Mapping[str, Terms] = {}


def agreed_text(sale_id: str, customer_id: str, items: Sequence[Item]) -> str:
    """Write what a customer signs in the one form in which it is hashed, as the guide says."""
    lines = ["yingwei consent 1", f"sale {sale_id}", f"customer {customer_id}"]
    for one in items:
        months = "-" if one.months is None else one.months
        line = f"item {one.code} {one.quantity} {one.monthly_fen} {one.one_off_fen} {months}"
        if one.terms is not None and one.terms.percent and one.terms.months:
            line = f"{line} {one.terms.price_fen(one.monthly_fen)} {one.terms.months}"
        lines.append(line)
    return "".join(f"{line}\n" for line in lines)


def agreed_hash(sale_id: str, customer_id: str, items: Sequence[Item]) -> str:
    """Hash it (SHA-256, hexadecimal)."""
    return hashlib.sha256(agreed_text(sale_id, customer_id, items).encode()).hexdigest()


def before_pictures(kinds: Sequence[tuple[str, str | None]], orders: Collection[str | None]) -> int:
    """Tell how many of the first actions come before a completion that waits for pictures.

    An action is its type and the order it is about; `orders` are those with pictures on their way.
    """
    for place, (kind, about) in enumerate(kinds):
        if kind == COMPLETES and about in orders:
            return place
    return len(kinds)


def pieces(actions: Sequence[Mapping[str, Any]], sizes: Sequence[int], most: int) -> int:
    """Tell how many of the first actions go in one push: all their bytes together are at most
    `most`, but one goes always."""
    weight = 0
    for place, size in enumerate(sizes):
        weight += size
        if place and weight > most:
            return place
    return len(actions)
