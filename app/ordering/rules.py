"""What the ordering system's states mean to us, which news to believe, and when to try again.

Pure: no I/O, no clock, no randomness; every number is handed in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from app.core import retrying
from app.core.errors import Problem
from app.core.i18n import Words
from app.sales.rules import SaleState

# --- states of a product order on the other side ------------------------------------------------


class RemoteState(StrEnum):
    """The states of a TMF622 product order, as they stand on the wire."""

    ACKNOWLEDGED = "acknowledged"
    IN_PROGRESS = "inProgress"
    PENDING = "pending"
    HELD = "held"
    ASSESSING_CANCELLATION = "assessingCancellation"
    PENDING_CANCELLATION = "pendingCancellation"
    PARTIAL = "partial"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"


class TaskState(StrEnum):
    """The states of the task of cancelling an order, of v4 and v5 together."""

    ACKNOWLEDGED = "acknowledged"
    IN_PROGRESS = "inProgress"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    DONE = "done"
    TERMINATED_WITH_ERROR = "terminatedWithError"


# How far along a state is. States of one rank can follow each other in either direction, so only
# the time of the event can order them.
_RANK = {
    RemoteState.ACKNOWLEDGED: 0,
    RemoteState.IN_PROGRESS: 1,
    RemoteState.PENDING: 1,
    RemoteState.HELD: 1,
    # A cancellation that was assessed and declined returns to inProgress.
    RemoteState.ASSESSING_CANCELLATION: 1,
    RemoteState.PENDING_CANCELLATION: 2,
    RemoteState.PARTIAL: 3,
    RemoteState.COMPLETED: 3,
    RemoteState.FAILED: 3,
    RemoteState.CANCELLED: 3,
    RemoteState.REJECTED: 3,
}

TERMINAL = frozenset(state for state, rank in _RANK.items() if rank == 3)

# Nothing moves until somebody over there does something.
STANDS_STILL = frozenset({RemoteState.HELD, RemoteState.PENDING})
# Of an item that ended like this, nothing was delivered.
NOT_DELIVERED = frozenset({RemoteState.FAILED, RemoteState.REJECTED, RemoteState.CANCELLED})

_SALE = {
    RemoteState.ACKNOWLEDGED: SaleState.ACKNOWLEDGED,
    RemoteState.IN_PROGRESS: SaleState.ACKNOWLEDGED,
    RemoteState.PENDING: SaleState.ACKNOWLEDGED,
    RemoteState.HELD: SaleState.ACKNOWLEDGED,
    RemoteState.ASSESSING_CANCELLATION: SaleState.ACKNOWLEDGED,
    RemoteState.PENDING_CANCELLATION: SaleState.ACKNOWLEDGED,
    # Part of what was sold is missing: completed without that once it is known which.
    RemoteState.PARTIAL: SaleState.ACKNOWLEDGED,
    RemoteState.COMPLETED: SaleState.COMPLETED,
    # Nothing of the order was delivered; to the sale that is the same as a refusal.
    RemoteState.FAILED: SaleState.REJECTED,
    RemoteState.CANCELLED: SaleState.CANCELLED,
    RemoteState.REJECTED: SaleState.REJECTED,
}


def sale_state_of(state: RemoteState) -> SaleState:
    """Say what a product order's state makes of the sale."""
    return _SALE[state]


def agrees(sale: SaleState, state: RemoteState) -> bool:
    """Tell whether a sale is what a product order's state makes of it, a judged one included."""
    return sale is _SALE[state] or (state is RemoteState.PARTIAL and sale is SaleState.COMPLETED)


def missing(item_states: Sequence[tuple[str, RemoteState | None]]) -> list[str] | None:
    """Name the items of an order, by their ids, that were not delivered though others were.

    None where that cannot be told: an item has no end, or none of them differs from the others.
    """
    if not all(state in TERMINAL for _, state in item_states):
        return None
    gone = [id_ for id_, state in item_states if state in NOT_DELIVERED]
    return gone if 0 < len(gone) < len(item_states) else None


def reachable(known: RemoteState, seen: RemoteState) -> bool:
    """Say whether an order may have moved from one state to another, seen steps or not.

    Callbacks get lost, so steps may be skipped: acknowledged -> completed is possible. No order
    leaves a terminal state, and none returns to a lower rank (inProgress -> acknowledged).
    """
    if known in TERMINAL:
        return False
    if _RANK[seen] == _RANK[known]:
        # Of the lowest rank there is one state, and pendingCancellation has one way out.
        return known is not seen and _RANK[known] == 1
    return _RANK[seen] > _RANK[known]


class Source(StrEnum):
    """How we learned of a state."""

    EVENT = "event"  # a callback: may be late, doubled or out of order
    LOOK = "look"  # our own GET: the truth at the moment of the answer


class Verdict(StrEnum):
    """What to do with a state that was seen."""

    MOVE = "move"
    SAME = "same"  # known already; nothing to do
    STALE = "stale"  # from before what we know; keep it in the history, change nothing
    LOOK = "look"  # its place cannot be told: ask the ordering system for the order
    CONTRADICTS = "contradicts"  # two different ends of one order: a person must judge


def follow(
    known: RemoteState | None,
    known_at: datetime | None,
    seen: RemoteState,
    seen_at: datetime | None,
    source: Source,
) -> Verdict:
    """Judge a state against the last known one, so that no news ever moves an order back.

    `known_at` and `seen_at` are event times by the other side's clock (aware), None when it said
    none; they are compared with each other alone, never with our clock. A terminal state is
    believed whatever its time, because nothing can follow it; between states of one rank the later
    event wins, and where times cannot tell, the answer is LOOK.
    """
    if known is None:
        return Verdict.MOVE
    if known is seen:
        return Verdict.SAME
    if known in TERMINAL:
        return Verdict.CONTRADICTS if seen in TERMINAL else Verdict.STALE
    if not reachable(known, seen):
        return Verdict.STALE
    if _RANK[seen] > _RANK[known] or source is Source.LOOK:
        return Verdict.MOVE
    if known_at is None or seen_at is None or known_at == seen_at:
        return Verdict.LOOK
    return Verdict.MOVE if seen_at > known_at else Verdict.STALE


# --- what can go wrong on the way ---------------------------------------------------------------


class Failure(StrEnum):
    """What a failed exchange means for the order."""

    NOT_SENT = "not_sent"  # surely without effect
    UNKNOWN = "unknown"  # it may have been taken: look before sending again
    REFUSED = "refused"  # understood and turned down


class Cause(StrEnum):
    """Why an exchange failed."""

    UNREACHABLE = "unreachable"
    BUSY = "busy"
    SIGN_IN = "sign_in"
    WRONG_ADDRESS = "wrong_address"
    TIMED_OUT = "timed_out"
    CUT = "cut"
    SERVER_ERROR = "server_error"
    CONFLICT = "conflict"
    UNREADABLE = "unreadable"
    FILTER_IGNORED = "filter_ignored"
    REFUSED = "refused"
    TOO_LATE = "too_late"
    NEVER_TOLD = "never_told"
    # Found by ourselves, without an exchange that failed.
    UNFIT = "unfit"
    FORGOTTEN = "forgotten"
    NEVER_ENDED = "never_ended"
    PART_MISSING = "part_missing"
    ENDED_TWICE = "ended_twice"
    LIVES_ON = "lives_on"


# The order has ended, and somebody has to say as what it counts.
TO_BE_JUDGED = frozenset({Cause.PART_MISSING, Cause.ENDED_TWICE, Cause.LIVES_ON})


# The other side could not say anything; when all we did was look, nothing came of it.
SILENT = frozenset({Cause.TIMED_OUT, Cause.CUT, Cause.SERVER_ERROR})


CAUSE_WORDS = {
    Cause.UNREACHABLE: Words(zh="无法连接订单系统", en="the ordering system cannot be reached"),
    Cause.BUSY: Words(zh="订单系统限流", en="the ordering system asks us to slow down"),
    Cause.SIGN_IN: Words(
        zh="订单系统不接受我方的访问凭证", en="the ordering system does not accept our credentials"
    ),
    Cause.WRONG_ADDRESS: Words(
        zh="该地址上没有订单接口", en="there is no ordering API at this address"
    ),
    Cause.TIMED_OUT: Words(
        zh="订单系统超时未应答", en="the ordering system did not answer in time"
    ),
    Cause.CUT: Words(
        zh="应答完成前连接中断", en="the connection broke before the answer was complete"
    ),
    Cause.SERVER_ERROR: Words(zh="订单系统内部出错", en="the ordering system had an error"),
    Cause.CONFLICT: Words(
        zh="订单系统称存在冲突，可能已有此订单",
        en="the ordering system reports a conflict; it may have this order already",
    ),
    Cause.UNREADABLE: Words(
        zh="无法读懂订单系统的应答", en="the ordering system's answer cannot be read"
    ),
    Cause.FILTER_IGNORED: Words(
        zh="订单系统未按外部编号查询，无法确认订单是否存在",
        en="the ordering system ignores the search by externalId, so nothing can be concluded",
    ),
    Cause.REFUSED: Words(zh="订单系统拒绝了订单", en="the ordering system turned the order down"),
    Cause.TOO_LATE: Words(
        zh="本次尝试已过发送时限，未发送", en="this attempt was held up too long to be sent safely"
    ),
    Cause.NEVER_TOLD: Words(
        zh="执行上次尝试的进程中断，结果未知",
        en="whoever made the last attempt never told how it ended",
    ),
    Cause.UNFIT: Words(
        zh="订单内容不完整，未发送", en="the order is not complete, and was not sent"
    ),
    Cause.FORGOTTEN: Words(
        zh="订单系统已查不到此前受理的订单",
        en="the ordering system does not know an order any more that it had taken",
    ),
    Cause.NEVER_ENDED: Words(
        zh="订单系统长期未了结该订单", en="the ordering system has not ended the order for long"
    ),
    Cause.PART_MISSING: Words(
        zh="订单系统只完成了订单的一部分",
        en="the ordering system has delivered a part of the order only",
    ),
    Cause.ENDED_TWICE: Words(
        zh="订单系统先后给出两种不同的结果",
        en="the ordering system has told two different ends of the order",
    ),
    Cause.LIVES_ON: Words(
        zh="订单已放弃并取消，但订单系统仍在办理或已办结",
        en="the order was given up and its sale cancelled, and the ordering system has it all the"
        " same",
    ),
}

_WAIT = Words(
    zh="系统会自动重试；若持续不恢复，请联系订单系统的值守人员。",
    en="It is tried again by itself; if it lasts, call whoever runs the ordering system.",
)
_LOOK_FIRST = Words(
    zh="可放心重试：发送前会先查询，不会重复下单。",
    en="Try again: the order is looked for before anything is sent, so it is never doubled.",
)

# What a person can do about a delivery that failed for a cause.
CAUSE_ADVICE = {
    Cause.UNREACHABLE: _WAIT,
    Cause.BUSY: _WAIT,
    Cause.SIGN_IN: Words(
        zh="请管理员更换访问凭证，然后按此原因批量重试。",
        en="Have an administrator renew the credentials, then try all of this cause again.",
    ),
    Cause.WRONG_ADDRESS: Words(
        zh="请管理员核对订单接口地址，然后按此原因批量重试。",
        en="Have an administrator check the API's address, then try all of this cause again.",
    ),
    Cause.TIMED_OUT: _LOOK_FIRST,
    Cause.CUT: _LOOK_FIRST,
    Cause.SERVER_ERROR: _LOOK_FIRST,
    Cause.CONFLICT: _LOOK_FIRST,
    Cause.UNREADABLE: Words(
        zh="请把对方应答交给接口维护人员，修复后重试。",
        en="Show the answer to whoever maintains the interface; try again once it is mended.",
    ),
    Cause.FILTER_IGNORED: Words(
        zh="请管理员设置正确的查询参数，然后按此原因批量重试。",
        en="Have an administrator set the right search parameter, then try all of this cause.",
    ),
    Cause.REFUSED: Words(
        zh="请看对方的说明：可更正客户、地址、人员编号、开通时间或备注后重发；无法办理的请放弃并注明原因。",
        en="Read what was said: correct numbers, start or note and send again; give up what cannot "
        "be served, with the reason.",
    ),
    Cause.TOO_LATE: _LOOK_FIRST,
    Cause.NEVER_TOLD: _LOOK_FIRST,
    Cause.UNFIT: Words(
        zh="请补全所列内容（客户、地址、人员编号）后重发。",
        en="Complete what is named (numbers of customer, address, technician) and send again.",
    ),
    Cause.FORGOTTEN: Words(
        zh="请与订单系统核实；重试会再次查询，仍查不到时可由对账重新下单。",
        en="Ask the ordering system; a retry looks again, and reconciliation can send it anew.",
    ),
    Cause.NEVER_ENDED: Words(
        zh="请向订单系统的值守人员核实；有结果后重试即可再查询一次，无法办理的可放弃，系统会向对方申请撤单。",
        en="Ask whoever runs the ordering system; try again to ask once more, or give it up: then "
        "it is to be cancelled there.",
    ),
    Cause.PART_MISSING: Words(
        zh="请与订单系统核实未完成的项目并告知客户，然后认定结果；未认定前其余酬金暂不计发。",
        en="Find out what is missing and tell the customer, then say as what it counts; unless the "
        "missing items are known, the rest of the commission waits for that.",
    ),
    Cause.ENDED_TWICE: Words(
        zh="请与订单系统核实哪个结果为准，然后认定结果。",
        en="Ask the ordering system which end is true, then say as what it counts.",
    ),
    Cause.LIVES_ON: Words(
        zh="仍在办理的请再次放弃，系统会向对方申请撤单；已办结的请与客户核实后认定结果。",
        en="Give it up again while it goes on, and it is to be cancelled there; where it has ended,"
        " ask the customer and say as what it counts.",
    ),
}


class OrderingFailed(Problem):
    """An exchange with the ordering system that did not succeed; the subclasses say what it means.

    `said` is the other side's own text (at most 300 characters), `retry_after` how long it asked
    us to wait, `answered` its HTTP status when there was one, `sent_as` our X-Request-Id.
    """

    failure: ClassVar[Failure]

    def __init__(
        self,
        cause: Cause,
        *,
        said: str = "",
        retry_after: timedelta | None = None,
        answered: int | None = None,
        sent_as: str = "",
    ) -> None:
        self.cause = cause
        self.said = said
        self.retry_after = retry_after
        self.answered = answered
        self.sent_as = sent_as
        words = CAUSE_WORDS[cause]
        facts: dict[str, object] = {
            "cause": cause,
            "cause_zh": words.zh,
            "cause_en": words.en,
            "said": said,
            "answered": answered,
            "sent_as": sent_as,
        }
        if retry_after is not None:
            facts["retry_after"] = int(retry_after.total_seconds())
        super().__init__(**facts)

    def told(self) -> str:
        """Say what happened in one line, for the supervisor's list and the log."""
        return f"{self.cause.value}: {self.said or CAUSE_WORDS[self.cause].en}"


class NotSent(OrderingFailed):
    """The exchange surely had no effect on the other side."""

    failure = Failure.NOT_SENT
    slug, status = "ordering-not-sent", 503
    title = Words(zh="未能送达订单系统", en="It did not reach the ordering system")
    advice = Words(zh="{cause_zh}；稍后会自动重试。", en="{cause_en}; it is tried again by itself.")


class Unknown(OrderingFailed):
    """The exchange may have had its effect: look before sending again."""

    failure = Failure.UNKNOWN
    slug, status = "ordering-outcome-unknown", 504
    title = Words(zh="订单系统的处理结果未知", en="What the ordering system did is not known")
    advice = Words(
        zh="{cause_zh}；将先查询再决定是否重发。",
        en="{cause_en}; we look for the order before anything is sent again.",
    )


class Refused(OrderingFailed):
    """The ordering system understood and turned it down; `said` is its reason."""

    failure = Failure.REFUSED
    slug, status = "ordering-refused", 502
    title = Words(zh="订单系统拒绝", en="The ordering system refused")
    advice = Words(
        zh="{cause_zh}：{said}。请更正后重新提交。",
        en="{cause_en}: {said}. Correct it and send again.",
    )


# --- when to try again --------------------------------------------------------------------------


@dataclass(frozen=True)
class RetryNumbers:
    """The operator's numbers for trying again; the defaults are in core.parameters."""

    first_delay: timedelta
    longest_delay: timedelta
    # How long a POST of unknown outcome may still be at work on the other side. Looking earlier
    # could find nothing and make us send a second order, so nothing is tried before it has passed.
    settle: timedelta
    longest_retry_after: timedelta
    # A refusal to talk says nothing about the order, so it may be far more patient.
    tries_not_sent: int
    tries_unknown: int


@dataclass(frozen=True)
class Delay:
    """Try again after this time; look for the order by its externalId first."""

    after: timedelta


class ParkReason(StrEnum):
    """Why an order waits for a person."""

    REFUSED = "refused"
    TRIES_USED_UP = "tries_used_up"


@dataclass(frozen=True)
class Park:
    """Stop trying and show the order to a person."""

    reason: ParkReason


def must_look_first(attempts_begun: int, age: timedelta, fresh: timedelta) -> bool:
    """Say whether the order has to be looked for before it is sent.

    `attempts_begun` counts the attempts recorded before this one; each is recorded before its
    first byte leaves, so an attempt cut short by a crash counts too. `age` is how long ago the
    sale was confirmed: a first attempt normally follows within a second, and one that comes later
    than `fresh` may be the second of a database that has forgotten the first (one restored from a
    backup, or a standby that took over without its primary's last commits).
    """
    return attempts_begun > 0 or abs(age) > fresh


def after_failure(
    attempts: int,
    failure: Failure,
    retry_after: timedelta | None,
    numbers: RetryNumbers,
    luck: float,
) -> Delay | Park:
    """Decide what follows a failed attempt, the `attempts`th that failed in this way (from 1).

    The delay doubles from `first_delay` to `longest_delay` and is stretched by up to a half with
    `luck` (0 to 1, random), so that orders which failed together do not return together. It is
    never shorter than what the other side asked for, nor than `settle` after an unknown outcome.
    """
    if failure is Failure.REFUSED:
        return Park(ParkReason.REFUSED)
    unknown = failure is Failure.UNKNOWN
    if attempts >= (numbers.tries_unknown if unknown else numbers.tries_not_sent):
        return Park(ParkReason.TRIES_USED_UP)
    delay = retrying.wait(
        attempts,
        first=numbers.first_delay,
        longest=numbers.longest_delay,
        luck=luck,
        asked=retry_after,
        longest_asked=numbers.longest_retry_after,
    )
    if unknown:
        delay = max(delay, numbers.settle)
    return Delay(delay)
