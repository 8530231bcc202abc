"""Terminals at a door: what can be scanned there, why, and where a foreign one belongs."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from app.core.errors import Conflict, Invalid
from app.core.i18n import Words
from app.terminals.rules import Place, Pool, TerminalKind, Why
from app.visits.rules.steps import content_of


class ScanAction(StrEnum):
    """What was done with a device at the door.

    `found` takes in what stands at the customer's and is not known to be there.
    """

    FITTED = "fitted"
    TAKEN_AWAY = "taken_away"
    SWAPPED = "swapped"
    FOUND = "found"


class ScanWarning(StrEnum):
    """What is pointed out with a scan that went through."""

    NOT_ASKED_FOR = "not_asked_for"
    OTHER_KIND = "other_kind"
    ONE_STANDS_THERE = "one_stands_there"


WARNING_WORDS: dict[ScanWarning, Words] = {
    ScanWarning.NOT_ASKED_FOR: Words(
        "工单不需要这类终端，请核对", "the order does not ask for a terminal of this kind"
    ),
    ScanWarning.OTHER_KIND: Words(
        "新旧终端类型不同，请核对", "the old and the new one are of different kinds"
    ),
    ScanWarning.ONE_STANDS_THERE: Words(
        "用户处已有同类终端，请确认是否应换下旧终端",
        "one of this kind already stands there; should it be taken away?",
    ),
}


@dataclass(frozen=True)
class Scan:
    """A terminal as a phone has scanned it; `replaced` is the old one of a swap.

    `kind` and `model` are asked for where nobody knows the serial number yet. The reason may be
    left out where the action says it.
    """

    id: UUID
    action: ScanAction
    serial_number: str
    replaced: str | None
    kind: TerminalKind | None
    model: str | None
    reason: Why | None
    device_at: datetime

    @property
    def content(self) -> str:
        """The hash of all that was sent."""
        return content_of(**{name: getattr(self, name) for name in self.__dataclass_fields__})


# Why it can be done; the first is meant when nothing is said, and a swap has to say.
_REASONS: dict[ScanAction, tuple[Why | None, ...]] = {
    ScanAction.FITTED: (Why.INSTALLED,),
    ScanAction.TAKEN_AWAY: (Why.SERVICE_ENDED, Why.FAULTY, Why.DOWNGRADE, Why.OUTDATED),
    ScanAction.SWAPPED: (
        None,
        Why.FAULTY,
        Why.UPGRADE,
        Why.DOWNGRADE,
        Why.WRONG_MODEL,
        Why.OUTDATED,
    ),
    ScanAction.FOUND: (Why.FOUND_AT_CUSTOMER,),
}


def reason_of(action: ScanAction, reason: Why | None) -> Why:
    """Give why something is done at the door. Raises Invalid with the reasons there are."""
    known = _REASONS[action]
    said = reason or known[0]
    if said is None or said not in known:
        names = ", ".join(why.value for why in known if why is not None)
        raise Invalid(
            errors=[{"field": "reason", "message": f"{action.value} has the reasons: {names}"}]
        )
    return said


def warnings_of(
    kind: TerminalKind,
    *,
    asked_for: Collection[TerminalKind],
    replaced: TerminalKind | None,
    standing: Collection[TerminalKind],
) -> list[ScanWarning]:
    """Say what to point out when a terminal is fitted.

    `asked_for` are the kinds that the order or its template names, none of them meaning any;
    `replaced` is the kind of the old one of a swap; `standing` are the kinds that stand there yet.
    """
    found = []
    if replaced is None and asked_for and kind not in asked_for:
        found.append(ScanWarning.NOT_ASKED_FOR)
    if replaced is not None and replaced is not kind:
        found.append(ScanWarning.OTHER_KIND)
    if replaced is None and kind in standing:
        found.append(ScanWarning.ONE_STANDS_THERE)
    return found


class TerminalNotKnown(Conflict):
    slug = "terminal-not-known"
    title = Words(zh="查无此串号", en="Nobody knows this serial number")
    advice = Words(
        zh="请核对 {serial_number}；若确实在用户处，请用 action=found 并注明 kind 收回。",
        en="Look at {serial_number} again; if it really stands at the customer's, take it in with "
        "action `found` and its kind.",
    )


class TerminalElsewhere(Conflict):
    slug = "terminal-elsewhere"
    title = Words(zh="该终端不在此处", en="This terminal is booked elsewhere")
    advice = Words(
        zh="{serial_number} 登记在：{where_zh}。{do_zh}",
        en="{serial_number} is booked: {where_en}. {do_en}",
    )


class Whereabouts(NamedTuple):
    """Where a terminal is, and names for whoever may hear them; `seen` tells if the caller may."""

    place: Place
    seen: bool
    own: bool
    here: bool
    technician: str | None
    branch: Words


_WHERE: dict[Pool, Words] = {
    Pool.WAREHOUSE: Words("{branch}仓库", "in the warehouse of {branch}"),
    Pool.VAN: Words("{technician}（{branch}）的车上", "in the van of {technician} ({branch})"),
    Pool.CUSTOMER: Words("另一用户处（{branch}）", "at another customer's ({branch})"),
    Pool.RECOVERED: Words("已回收待处理（{branch}）", "recovered, not yet looked at ({branch})"),
    Pool.REFURBISH: Words("整新中（{branch}）", "being refurbished ({branch})"),
    Pool.SCRAP: Words("已报废（{branch}）", "scrapped ({branch})"),
    Pool.LOST: Words("已报失（{branch}）", "lost ({branch})"),
    Pool.VOID: Words("误录作废（{branch}）", "a number entered by mistake ({branch})"),
}
_OWN_VAN = Words("您本人的车上", "in your own van")
_HERE = Words("本用户处", "at this customer's")
_ELSEWHERE = Words("其他单位", "elsewhere")

_LOOK_AGAIN = Words(
    "请核对串号；若实物确在手中，请联系班长盘点更正。",
    "Look at the number again; if you do hold it, ask your supervisor to put it right by a count.",
)
# What helps who wants to fit a terminal, by where it is.
_TO_FIT: dict[Pool, Words] = {
    Pool.VAN: Words(
        "请对方先在应用中移交给您，或改装本人车上的终端。",
        "Ask them to hand it over to you, or fit one from your own van.",
    ),
    Pool.WAREHOUSE: Words(
        "请联系库管领用后再装。", "Have it issued to you by the depot, then fit it."
    ),
    Pool.RECOVERED: Words(
        "回收终端须整新后才能再装。", "What was recovered is refurbished before it is fitted again."
    ),
    Pool.REFURBISH: Words(
        "整新入库并领用后才能安装。", "It can be fitted once it is back in stock and issued to you."
    ),
    Pool.SCRAP: Words("报废终端不能安装。", "What is scrapped cannot be fitted."),
}
# And who wants to take one away.
_TO_TAKE: dict[Pool, Words] = {
    Pool.LOST: Words("请用 action=found 收回。", "It was lost: take it in with action `found`."),
    Pool.VOID: Words("请用 action=found 收回。", "Take it in with action `found`."),
}
_NOTHING_TO_DO = Words("无需再扫。", "There is nothing more to scan.")


def refusal(serial: str, found: Whereabouts, *, to_fit: bool) -> TerminalElsewhere:
    """Say where a scanned terminal is, as far as the caller may know, and what helps."""
    place = found.place
    if found.here:
        where, do = _HERE, _NOTHING_TO_DO
    elif found.own and place.pool is Pool.VAN:
        where, do = _OWN_VAN, _NOTHING_TO_DO
    elif not found.seen:
        where, do = _ELSEWHERE, _LOOK_AGAIN
    else:
        where = _WHERE[place.pool]
        do = (_TO_FIT if to_fit else _TO_TAKE).get(place.pool, _LOOK_AGAIN)
    named = found.seen or found.own or found.here
    zh, en = (
        words.format(technician=found.technician or "—", branch=branch)
        for words, branch in ((where.zh, found.branch.zh), (where.en, found.branch.en))
    )
    return TerminalElsewhere(
        serial_number=serial,
        pool=place.pool if named else "elsewhere",
        technician=found.technician if found.seen else None,
        branch=found.branch.zh if found.seen else None,
        where_zh=zh,
        where_en=en,
        do_zh=do.zh,
        do_en=do.en,
    )
