"""What there is to be alerted to, when it is told again, and which addresses may be told. Pure."""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

from app.core.errors import Conflict, Invalid, Unavailable
from app.core.i18n import Lang, Words
from app.core.parameters import Parameter


class AlertKind(StrEnum):
    """What supervisors are alerted to."""

    ORDER_LAG = "order_lag"
    ORDERS_FAILED = "orders_failed"
    ORDERS_STAND_STILL = "orders_stand_still"
    ORDER_CHANGES_FAILED = "order_changes_failed"
    CALLBACKS_TURNED_AWAY = "callbacks_turned_away"
    CALLBACKS_NOT_REGISTERED = "callbacks_not_registered"
    ORDERING_LEFT_ALONE = "ordering_left_alone"
    NIGHT_NOT_COMPARED = "night_not_compared"
    DIFFERENCES_OPEN = "differences_open"
    PROMISES_MISSED = "promises_missed"
    INSTALLS_LEFT = "installs_left"
    SALES_LEFT_UNCONFIRMED = "sales_left_unconfirmed"
    MODEL_DRIFTED = "model_drifted"
    POLICIES_NIGHT_FAILED = "policies_night_failed"
    WEBHOOK_FAILING = "webhook_failing"


# The figure that was found and the limit it has passed stand in them.
ALERT_WORDS: Mapping[AlertKind, Words] = {
    AlertKind.ORDER_LAG: Words(
        zh="订单同步过慢：P95 为 {figure} 秒，上限 {most} 秒",
        en="Deliveries to the ordering system take too long: {figure} s for 95 of a hundred, and "
        "{most} s at most",
    ),
    AlertKind.ORDERS_FAILED: Words(
        zh="有 {figure} 条订单同步失败待人工处理（达到 {most} 条即告警）",
        en="{figure} deliveries to the ordering system wait for a person ({most} are too many)",
    ),
    AlertKind.ORDERS_STAND_STILL: Words(
        zh="有订单在订单系统中挂起（held、pending）已 {figure} 小时（达到 {most} 小时即告警）",
        en="Orders stand still in the ordering system (held, pending), the longest for {figure} "
        "hours ({most} are too many)",
    ),
    AlertKind.ORDER_CHANGES_FAILED: Words(
        zh="有 {figure} 项订单变更被拒绝、未成功或迟迟未获答复，待人工处理（达到 {most} 项即告警）",
        en="{figure} changes of orders were turned down, came to nothing or are left undecided, "
        "and wait for a person ({most} are too many)",
    ),
    AlertKind.CALLBACKS_NOT_REGISTERED: Words(
        zh="回调登记已失效 {figure} 分钟（超过 {most} 分钟即告警）：订单进展只能靠主动查询得知",
        en="Our listener has not been registered with the ordering system for {figure} minutes "
        "({most} at most): how orders go is known by asking alone",
    ),
    AlertKind.ORDERING_LEFT_ALONE: Words(
        zh="订单系统接口持续失败，已暂停访问 {figure} 分钟（超过 {most} 分钟即告警）",
        en="The ordering system fails every time and has been left alone for {figure} minutes "
        "({most} at most)",
    ),
    AlertKind.NIGHT_NOT_COMPARED: Words(
        zh="夜间对账到 {most} 点仍未完成，距应开始时间已 {figure} 小时",
        en="The night's comparison with the ordering system was not done by {most} o'clock; it was "
        "to begin {figure} hours ago",
    ),
    AlertKind.CALLBACKS_TURNED_AWAY: Words(
        zh="有 {figure} 次回调未通过身份验证（达到 {most} 次即告警）："
        "可能是伪造，或约定的令牌已不一致",
        en="{figure} callbacks could not show that the ordering system sent them ({most} are too "
        "many): they are forged, or its token is not the agreed one",
    ),
    AlertKind.DIFFERENCES_OPEN: Words(
        zh="对账有 {figure} 条差异待处理（达到 {most} 条即告警）",
        en="{figure} differences with the ordering system wait for a person ({most} are too many)",
    ),
    AlertKind.PROMISES_MISSED: Words(
        zh="有 {figure} 张超时工单无人跟进（达到 {most} 张即告警）",
        en="{figure} orders are late and nobody has taken it up ({most} are too many)",
    ),
    AlertKind.INSTALLS_LEFT: Words(
        zh="有 {figure} 张即办即装工单的销售单已终止，装维人员却已在途或在施工"
        "（达到 {most} 张即告警），请联系本人",
        en="{figure} installs go on whose sales have ended ({most} are too many): call whoever is "
        "at them",
    ),
    AlertKind.SALES_LEFT_UNCONFIRMED: Words(
        zh="有 {figure} 张销售单客户已短信同意而未能自动提交（达到 {most} 张即告警），"
        "请按销售单明细中的原因联系装维人员处理",
        en="{figure} sales were agreed to by message and could not be confirmed ({most} are too "
        "many): their ledgers say why; call whoever sold them",
    ),
    AlertKind.MODEL_DRIFTED: Words(
        zh="推荐模型失准：预计接受率 {most}，实际 {figure}",
        en="The model of suggestions is off: of offers {figure} were accepted, and it said {most}",
    ),
    AlertKind.POLICIES_NIGHT_FAILED: Words(
        zh="推荐策略的夜间任务（{most} 点开始）有部分失败，已过 {figure} 小时，系统会继续重试",
        en="A part of the night's work on policies, which begins at {most} o'clock, has failed for "
        "{figure} hours; it is tried again",
    ),
    AlertKind.WEBHOOK_FAILING: Words(
        zh="告警推送地址连续失败 {figure} 次，已放弃",
        en="An address that alerts are sent to failed {figure} times in a row and was given up",
    ),
}


class AlertEvent(StrEnum):
    """What is told of an alert: that it was raised, still stands, was taken up, or is over."""

    RAISED = "alert.raised"
    STANDS = "alert.stands"
    ACKNOWLEDGED = "alert.acknowledged"
    ENDED = "alert.ended"
    TEST = "alert.test"


# Of these a phone is woken.
PRESSING = frozenset({AlertEvent.RAISED, AlertEvent.STANDS})


class DeliveryState(StrEnum):
    """Where the telling of one address stands: to be tried, taken there, or given up."""

    WAITING = "waiting"
    SENT = "sent"
    GIVEN_UP = "given_up"


class GivenUp(StrEnum):
    """Why an address was not told."""

    REFUSED = "refused"
    TRIES_USED_UP = "tries_used_up"
    GONE = "gone"
    SWITCHED_OFF = "switched_off"


GIVEN_UP_WORDS: Mapping[GivenUp, Words] = {
    GivenUp.REFUSED: Words(zh="对方拒收", en="The other side turned it down"),
    GivenUp.TRIES_USED_UP: Words(zh="多次尝试未成功", en="Every try failed"),
    GivenUp.GONE: Words(zh="对方称该地址已停用", en="The other side says the address is no more"),
    GivenUp.SWITCHED_OFF: Words(zh="该推送已停用", en="The address was switched off meanwhile"),
}

EVERY_MINUTES = Parameter(
    "alerts.every_minutes",
    default=60,
    unit="min",
    words=Words(
        zh="未确认的告警每隔多久再次提醒",
        en="How often an alert is told again that stands and nobody has taken up",
    ),
    least=1,
    most=1440,
)
PUSH_LEVELS = Parameter(
    "alerts.push_levels",
    default=1,
    unit="",
    words=Words(
        zh="除本单位外，向上几级的班组长手机也会收到提醒",
        en="Of how many units above it supervisors' phones are woken, beside the unit's own",
    ),
    most=4,
)
TRIES = Parameter(
    "alerts.tries",
    default=12,
    unit="",
    words=Words(zh="一条告警最多推送几次", en="Tries before an address is not told of an alert"),
    least=1,
    most=100,
)
FIRST_DELAY = Parameter(
    "alerts.first_delay_seconds",
    default=5,
    unit="s",
    words=Words(zh="告警首次重推前等待", en="Wait before an address is tried a second time"),
    most=3600,
)
LONGEST_DELAY = Parameter(
    "alerts.longest_delay_seconds",
    default=3600,
    unit="s",
    words=Words(zh="告警重推间隔上限", en="Longest wait between tries of an address"),
    most=86_400,
)
MOST_WEBHOOKS = Parameter(
    "alerts.most_webhooks",
    default=10,
    unit="",
    words=Words(
        zh="一个单位最多设置几个推送地址", en="How many addresses one unit's alerts may be sent to"
    ),
    least=1,
    most=100,
)


class Found(NamedTuple):
    """That something is not as it should be in a unit: what, by which figure, and the limit that it
    has passed. `subject` tells apart what one unit may have several of."""

    kind: AlertKind
    org_unit_id: UUID
    figure: float
    most: float
    subject: str = ""


class Open(NamedTuple):
    """An alert that is not over: when it was last told, and whether somebody has taken it up."""

    id: UUID
    kind: AlertKind
    org_unit_id: UUID
    subject: str
    told_at: datetime
    acknowledged: bool


class Verdict(NamedTuple):
    """What a look comes to: what is new, what still stands by its alert's id, which of that is told
    again, and what is over."""

    raised: list[Found]
    standing: list[tuple[UUID, Found]]
    again: list[UUID]
    ended: list[UUID]


def judged(
    known: Iterable[Open],
    found: Sequence[Found],
    *,
    now: datetime,
    every: Mapping[UUID, timedelta],
) -> Verdict:
    """Hold what was found against the alerts that are open.

    `every` says by unit how long it takes until what stands is told again; what somebody has taken
    up is not. What is not found any more is over.
    """
    alerts = {(one.kind, one.org_unit_id, one.subject): one for one in known}
    raised, standing, again = [], [], []
    for each in found:
        alert = alerts.pop((each.kind, each.org_unit_id, each.subject), None)
        if alert is None:
            raised.append(each)
            continue
        standing.append((alert.id, each))
        if not alert.acknowledged and now - alert.told_at >= every[each.org_unit_id]:
            again.append(alert.id)
    return Verdict(raised, standing, again, [one.id for one in alerts.values()])


def said(kind: AlertKind, figure: float, most: float, lang: Lang) -> str:
    """Say an alert in one language, its figures without needless digits."""
    return ALERT_WORDS[kind].say(lang).format(figure=f"{figure:.10g}", most=f"{most:.10g}")


# --- addresses ----------------------------------------------------------------------------------


class WebhookAddressRefused(Invalid):
    slug = "webhook-address-refused"
    title = Words(zh="不能向该地址推送", en="Alerts are not sent to this address")
    advice = Words(
        zh="原因：{why}。须为 https 公网地址；内网主机或 http 须由管理员在"
        " YINGWEI_WEBHOOK_HOSTS 中列出。",
        en="{why}. Give a public https address, or have the administrator list the host in"
        " YINGWEI_WEBHOOK_HOSTS.",
    )


class WebhookKeysMissing(Unavailable):
    slug = "webhook-keys-missing"
    title = Words(
        zh="暂不能设置推送地址", en="Addresses that alerts are sent to cannot be set just now"
    )
    advice = Words(
        zh="签名密钥须加密保存，而 {reason} 未设置，请联系管理员。",
        en="Their secrets are kept sealed, and {reason} is not set: ask your administrator.",
    )


class TooManyWebhooks(Conflict):
    slug = "too-many-webhooks"
    title = Words(zh="推送地址过多", en="Too many addresses")
    advice = Words(
        zh="该单位已有 {most} 个推送地址，请先删除不用的。",
        en="The unit has {most} already; remove one that is not used.",
    )


class DeliveryNotGivenUp(Conflict):
    slug = "alert-delivery-not-given-up"
    title = Words(zh="该推送未被放弃", en="This delivery was not given up")
    advice = Words(
        zh="当前状态：{state}；只有已放弃的才能重新推送。",
        en="It is {state}; only what was given up is taken up again.",
    )


_OWN_NETWORK = Words(zh="地址在内网", en="it lies in a network of our own")
_NOT_HTTPS = Words(zh="不是 https", en="it is not https")
_NO_ADDRESS = Words(zh="不是有效的地址", en="it is no address")


def hosts_of(setting: str) -> frozenset[str]:
    """Read the hosts that an operator has listed, separated by commas."""
    return frozenset(name.strip().lower() for name in setting.split(",") if name.strip())


def is_public(address: str) -> bool:
    """Tell whether an IP address lies in the internet at large, and not in somebody's own network
    or in this machine."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return found.is_global and not found.is_multicast


def check_address(url: str, listed: frozenset[str]) -> None:
    """Check where alerts are to be sent, as far as its text says. Raises WebhookAddressRefused.

    What a name stands for is looked at when something is sent, since that changes.
    """
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise WebhookAddressRefused(why=_NO_ADDRESS) from None
    if (
        not host
        or port == 0
        or parts.scheme not in ("https", "http")
        or parts.username is not None
        or parts.fragment
    ):
        raise WebhookAddressRefused(why=_NO_ADDRESS)
    if host in listed:
        return
    if parts.scheme != "https":
        raise WebhookAddressRefused(why=_NOT_HTTPS)
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if "." not in host.strip(".") or host.endswith((".local", ".internal", ".localhost")):
            raise WebhookAddressRefused(why=_OWN_NETWORK) from None
        return
    if not is_public(host):
        raise WebhookAddressRefused(why=_OWN_NETWORK)
