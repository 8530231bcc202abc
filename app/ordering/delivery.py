"""Where the delivery of a sale stands, and the operator's numbers for it. Pure."""

from datetime import datetime, timedelta
from enum import StrEnum

from app.core.i18n import Words
from app.core.parameters import Parameter, Parameters
from app.ordering.rules import RetryNumbers


class SyncState(StrEnum):
    """Where a delivery stands.

    waiting: to be sent at `next_try_at`. sending: an attempt has begun and its outcome is not
    known; if nobody has told it by `next_try_at`, whoever made it has died or heard nothing.
    delivered: the other side has the order; asked for at `next_try_at` unless it calls first.
    finished: the other side has ended it. parked: a person has to look. given_up: a person has
    decided that it is not delivered or, where the other side has the order, that it is to be
    cancelled there.
    """

    WAITING = "waiting"
    SENDING = "sending"
    DELIVERED = "delivered"
    FINISHED = "finished"
    PARKED = "parked"
    GIVEN_UP = "given_up"


class GiveUpReason(StrEnum):
    """Why a person has decided that a sale is not delivered."""

    CUSTOMER_WITHDREW = "customer_withdrew"
    ENTERED_BY_HAND = "entered_by_hand"
    CANNOT_BE_SERVED = "cannot_be_served"
    SOLD_BY_MISTAKE = "sold_by_mistake"
    OTHER = "other"


GIVE_UP_WORDS = {
    GiveUpReason.CUSTOMER_WITHDREW: Words(zh="客户撤回", en="The customer withdrew"),
    GiveUpReason.ENTERED_BY_HAND: Words(
        zh="已在订单系统手工录入", en="It was entered into the ordering system by hand"
    ),
    GiveUpReason.CANNOT_BE_SERVED: Words(zh="无法提供服务", en="It cannot be served"),
    GiveUpReason.SOLD_BY_MISTAKE: Words(zh="误办", en="It was sold by mistake"),
    GiveUpReason.OTHER: Words(zh="其他", en="Another reason"),
}


class JudgedEnd(StrEnum):
    """As what an order counts whose end somebody had to judge."""

    COMPLETED = "completed"
    PARTIAL = "partial"
    CANCELLED = "cancelled"


class Trying(StrEnum):
    """What an attempt that failed was about: to send, to look and then send, or to ask."""

    SEND = "send"
    LOOK_THEN_SEND = "look_then_send"
    ASK = "ask"


class ChangeKind(StrEnum):
    """What is to become of an order that the other side has, or is about to have."""

    CANCEL = "cancel"
    AMEND = "amend"


class ChangeState(StrEnum):
    """Where the wish to change an order stands.

    waiting: to be told at `next_try_at`. sending: an attempt has begun and its outcome is not
    known. sent: the other side has taken it and not yet decided. done, refused: it has decided.
    given_up: it never answered so that one could know; a person may ask again.
    """

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    DONE = "done"
    REFUSED = "refused"
    GIVEN_UP = "given_up"


class CloseReason(StrEnum):
    """Why nothing more is done about a change that was refused or given up."""

    ARRANGED_BY_HAND = "arranged_by_hand"
    CUSTOMER_KEEPS_ORDER = "customer_keeps_order"
    NOT_NEEDED = "not_needed"
    OTHER = "other"


CHANGES_OPEN = frozenset({ChangeState.WAITING, ChangeState.SENDING, ChangeState.SENT})


class Endpoint(StrEnum):
    """The endpoints of the other side that have a breaker of their own."""

    PLACE = "place"
    ASK = "ask"
    CHANGE = "change"
    LISTEN = "listen"


def _seconds(name: str, default: float, zh: str, en: str) -> Parameter:
    return Parameter(name, default=default, unit="s", words=Words(zh=zh, en=en), most=86_400)


FIRST_DELAY = _seconds(
    "ordering.first_delay_seconds", 2, "首次重试前等待", "Wait before the first further try"
)
LONGEST_DELAY = _seconds(
    "ordering.longest_delay_seconds", 900, "重试间隔上限", "Longest wait between tries"
)
SETTLE = _seconds(
    "ordering.settle_seconds",
    30,
    "结果未知时至少等待多久再查询（须长于对方处理一个请求的时间）",
    "Wait after an unknown outcome before looking; longer than the other side works on a request",
)
LONGEST_RETRY_AFTER = _seconds(
    "ordering.longest_retry_after_seconds",
    3600,
    "对方要求的等待时间上限",
    "Longest wait the other side may ask for",
)
FRESH = _seconds(
    "ordering.fresh_seconds",
    5,
    "确认后多久之内的首次发送无需先查询",
    "How soon after its confirmation a sale may be sent without looking for it first",
)
TRIES_NOT_SENT = Parameter(
    "ordering.tries_not_sent",
    default=200,
    unit="",
    words=Words(zh="未送达时最多尝试次数", en="Tries before parking what was never sent"),
    least=1,
)
TRIES_UNKNOWN = Parameter(
    "ordering.tries_unknown",
    default=12,
    unit="",
    words=Words(zh="结果未知时最多尝试次数", en="Tries before parking what may have been sent"),
    least=1,
)
POLL_SOONEST = _seconds(
    "ordering.poll_soonest_seconds",
    30,
    "送达后多久没有回调就主动查询",
    "How long after delivery we ask ourselves when no callback comes",
)
POLL_LATEST = _seconds(
    "ordering.poll_latest_seconds",
    21_600,
    "主动查询间隔上限",
    "Longest time between our own questions",
)
POLL_DAYS = Parameter(
    "ordering.poll_days",
    default=30,
    unit="days",
    words=Words(
        zh="送达后多少天仍未了结就不再查询，转人工处理",
        en="How many days an order that has not ended is asked for, before a person has to",
    ),
    least=1,
    most=365,
)

BREAKER_FAILURES = Parameter(
    "ordering.breaker_failures",
    default=20,
    unit="",
    words=Words(
        zh="连续多少次失败后暂停向订单系统发送",
        en="Failures in a row after which nothing more is sent for a while",
    ),
    least=1,
)
BREAKER_PAUSE = _seconds(
    "ordering.breaker_pause_seconds",
    5,
    "暂停发送的初始时长",
    "How long nothing is sent before one attempt tries it out; doubles while that fails",
)
BREAKER_LONGEST_PAUSE = _seconds(
    "ordering.breaker_longest_pause_seconds", 60, "暂停发送的最长时长", "Longest such pause"
)
HUB_CHECK = _seconds(
    "ordering.hub_check_seconds",
    300,
    "多久检查一次回调登记是否仍有效",
    "How often we see whether our listener is still registered",
)

ALERT_LAG = _seconds(
    "ordering.alert_lag_seconds",
    120,
    "同步时延 P95 超过多少秒即告警",
    "How long deliveries may take (the 95th of a hundred) before supervisors are alerted",
)
ALERT_FAILED = Parameter(
    "ordering.alert_failed",
    default=10,
    unit="",
    words=Words(
        zh="待人工处理的同步失败达到多少条即告警",
        en="How many deliveries of a unit may wait for a person before supervisors are alerted",
    ),
    least=1,
)
ALERT_WINDOW = Parameter(
    "ordering.alert_window_minutes",
    default=30,
    unit="min",
    words=Words(
        zh="同步时延统计的时间窗", en="Of how long a time the lag of deliveries is measured"
    ),
    least=1,
    most=1440,
)
ALERT_TURNED_AWAY = Parameter(
    "ordering.alert_turned_away",
    default=5,
    unit="",
    words=Words(
        zh="时间窗内有多少次回调未通过身份验证即告警",
        en="How many callbacks of that time may fail to show who sends them before supervisors are"
        " alerted",
    ),
    least=1,
)

ALERT_STILL = Parameter(
    "ordering.alert_still_hours",
    default=24,
    unit="h",
    words=Words(
        zh="订单在对方挂起（held、pending）或变更未获答复超过多少小时即告警",
        en="For how many hours an order may be held or pending over there, or a change of it be"
        " left undecided, before supervisors are alerted",
    ),
    least=1,
    most=2160,
)
ALERT_CHANGES = Parameter(
    "ordering.alert_changes_failed",
    default=1,
    unit="",
    words=Words(
        zh="被拒绝或未成功的订单变更达到多少项即告警",
        en="How many changes of orders of a unit may wait for a person before supervisors are"
        " alerted",
    ),
    least=1,
)
ALERT_LISTENER = Parameter(
    "ordering.alert_listener_minutes",
    default=15,
    unit="min",
    words=Words(
        zh="回调登记失效多少分钟后告警",
        en="How long our listener may be unregistered before those at the top are alerted",
    ),
    least=1,
    most=1440,
)
ALERT_BREAKER = Parameter(
    "ordering.alert_breaker_minutes",
    default=10,
    unit="min",
    words=Words(
        zh="订单系统接口暂停访问多少分钟后告警",
        en="How long an endpoint may be left alone before those at the top are alerted",
    ),
    least=1,
    most=1440,
)


def retry_numbers(parameters: Parameters, now: datetime) -> RetryNumbers:
    """Read the numbers for trying again that are in force at a moment."""

    def seconds(parameter: Parameter) -> timedelta:
        return timedelta(seconds=parameters.number(parameter, now))

    return RetryNumbers(
        first_delay=seconds(FIRST_DELAY),
        longest_delay=seconds(LONGEST_DELAY),
        settle=seconds(SETTLE),
        longest_retry_after=seconds(LONGEST_RETRY_AFTER),
        tries_not_sent=parameters.whole(TRIES_NOT_SENT, now),
        tries_unknown=parameters.whole(TRIES_UNKNOWN, now),
    )


def never_ends(parameters: Parameters, *, confirmed_at: datetime, now: datetime) -> bool:
    """Say whether an order has gone on for so long that asking for it has no more use."""
    days = parameters.number(POLL_DAYS, now)
    return now - confirmed_at > timedelta(days=days)


def next_poll(parameters: Parameters, *, confirmed_at: datetime, now: datetime) -> datetime:
    """Say when to ask for a delivered order that nobody called about.

    The older the order, the less likely it is to move soon: a quarter of its age is waited,
    within the operator's bounds.
    """
    soonest = timedelta(seconds=parameters.number(POLL_SOONEST, now))
    latest = timedelta(seconds=parameters.number(POLL_LATEST, now))
    return now + min(max((now - confirmed_at) / 4, soonest), max(soonest, latest))
