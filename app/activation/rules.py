"""Where an activation stands, what its codes mean at the door, and the operator's numbers."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from app.core.errors import Conflict, Invalid, Unavailable
from app.core.i18n import Words
from app.core.parameters import Parameter
from app.worktypes.rules import Line


class ActivationState(StrEnum):
    """Where an activation stands.

    asked: to be sent at its next try; surely not at the platform. under_way: an attempt has begun,
    or the platform is at it. unknown: an attempt ended without an answer, so the platform is looked
    at before it is asked again. provisioned and failed: it has ended.
    """

    ASKED = "asked"
    UNDER_WAY = "under_way"
    UNKNOWN = "unknown"
    PROVISIONED = "provisioned"
    FAILED = "failed"


OPEN = frozenset({ActivationState.ASKED, ActivationState.UNDER_WAY, ActivationState.UNKNOWN})


class ActivationCode(StrEnum):
    """What stands in the way of an activation.

    The first five and `other` are the platform's; the rest are found out here.
    """

    LOID_UNKNOWN = "loid_unknown"
    SERIAL_TAKEN = "serial_taken"
    NO_LIGHT = "no_light"
    PROFILE_MISSING = "profile_missing"
    PLATFORM_BUSY = "platform_busy"
    OTHER = "other"
    PLATFORM_AWAY = "platform_away"
    REFUSED = "refused"
    NO_ANSWER = "no_answer"
    REPLACED = "replaced"


class Told(NamedTuple):
    """What a code means, and what a technician does about it."""

    what: Words
    then: Words


CODES: dict[ActivationCode, Told] = {
    ActivationCode.LOID_UNKNOWN: Told(
        Words("平台没有这个 LOID", "The platform does not know this LOID"),
        Words(
            "核对 LOID 或宽带账号后重新提交；仍不存在请联系后台补录。",
            "Check the LOID or the service number and ask again; if it is right, have it entered.",
        ),
    ),
    ActivationCode.SERIAL_TAKEN: Told(
        Words("该终端已绑定其他用户", "The terminal is bound to another customer's line"),
        Words(
            "核对串号；无误则换一台终端，或请后台解绑后重新提交。",
            "Check the serial number; take another terminal, or have this one freed and ask again.",
        ),
    ),
    ActivationCode.NO_LIGHT: Told(
        Words("端口收不到该终端的光", "No light from the terminal arrives at the port"),
        Words(
            "检查光路、接头与分光器端口，测量光衰后重新提交。",
            "Check fibre, connectors and the splitter's port, measure, and ask again.",
        ),
    ),
    ActivationCode.PROFILE_MISSING: Told(
        Words("平台缺少业务模板", "The platform has no profile for this service"),
        Words(
            "请后台补配业务数据后重新提交；客户等不及可注明原因先行竣工。",
            "Have the profile entered and ask again; or state a cause and go on without.",
        ),
    ),
    ActivationCode.PLATFORM_BUSY: Told(
        Words("开通平台繁忙", "The platform is busy"),
        Words("无需操作，系统会自动重试。", "Nothing to do: it is tried again by itself."),
    ),
    ActivationCode.OTHER: Told(
        Words("开通平台返回其他错误", "The platform gave another reason"),
        Words("见平台说明 said，必要时联系后台。", "See what it said; ask the back office."),
    ),
    ActivationCode.PLATFORM_AWAY: Told(
        Words("开通平台没有应答", "The platform does not answer"),
        Words(
            "系统会自动重试；客户等不及可注明原因先行竣工，平台恢复后自动开通。",
            "It is tried again by itself; or state a cause and go on, and it is opened later.",
        ),
    ),
    ActivationCode.REFUSED: Told(
        Words("开通平台不接受该请求", "The platform does not accept this request"),
        Words("见平台说明 said，更正后重新提交。", "See what it said, correct it, and ask again."),
    ),
    ActivationCode.NO_ANSWER: Told(
        Words("开通平台长时间无应答", "The platform has not answered for a long time"),
        Words(
            "平台恢复后重新提交；电话确认已开通或平台故障可注明原因先行竣工。",
            "Ask again when it is back; or, told by telephone that the line is open, state that.",
        ),
    ),
    ActivationCode.REPLACED: Told(
        Words("已被之后的申请替代", "A later ask took its place"),
        Words("以之后的申请为准。", "See the later one."),
    ),
}

# Said by the platform as the end of an ask, these end it; a busy one is tried again.
ENDING = frozenset(
    {
        ActivationCode.LOID_UNKNOWN,
        ActivationCode.SERIAL_TAKEN,
        ActivationCode.NO_LIGHT,
        ActivationCode.PROFILE_MISSING,
        ActivationCode.OTHER,
    }
)


class OverrideCause(StrEnum):
    """Why an order goes without activation."""

    PLATFORM_DOWN = "platform_down"
    PROVISIONED_BY_PHONE = "provisioned_by_phone"
    NO_ACTIVATION_NEEDED = "no_activation_needed"
    OTHER = "other"


OVERRIDE_WORDS: dict[OverrideCause, Words] = {
    OverrideCause.PLATFORM_DOWN: Words("开通平台故障", "The platform is down"),
    OverrideCause.PROVISIONED_BY_PHONE: Words("已电话人工开通", "It was opened by telephone"),
    OverrideCause.NO_ACTIVATION_NEEDED: Words("无需开通", "Nothing has to be opened"),
    OverrideCause.OTHER: Words("其他（见备注）", "Another cause, see the note"),
}


class Wanted(NamedTuple):
    """This terminal on this line, which the LOID names or the service number."""

    loid: str | None
    service_number: str | None
    serial_number: str


class Stated(NamedTuple):
    """Why an order goes without activation."""

    cause: OverrideCause
    note: str | None


class Answered(NamedTuple):
    """What the platform says of an activation; `said` are its own words."""

    state: ActivationState
    code: ActivationCode | None = None
    said: str | None = None


class LineTest(NamedTuple):
    """How a line stands right now; the power is what the terminal receives, in dBm."""

    online: bool
    optical_rx_power_dbm: float | None
    tested_at: datetime | None
    said: str | None


FIRST_DELAY = Parameter(
    "activation.first_delay_seconds",
    default=1,
    unit="s",
    words=Words(zh="开通首次重试或查询前等待", en="Wait before an activation is looked at again"),
    least=0.05,
    most=3600,
)
LONGEST_DELAY = Parameter(
    "activation.longest_delay_seconds",
    default=60,
    unit="s",
    words=Words(zh="开通重试或查询间隔上限", en="Longest wait between looks at an activation"),
    least=0.05,
    most=3600,
)
PATIENCE_MINUTES = Parameter(
    "activation.patience_minutes",
    default=120,
    unit="min",
    words=Words(
        zh="开通多久没有结果即视为失败", en="How long an activation may go without a result"
    ),
    least=1,
    most=10_080,
)


class ActivationUnderWay(Conflict):
    slug = "activation-under-way"
    title = Words(zh="该工单的开通正在处理", en="This order's line is being activated already")
    advice = Words(
        zh="申请 {id} 现为 {state}：请等待其结果，或注明原因先行竣工。",
        en="Wait for the result of {id}, which is {state}, or state a cause and go on without.",
    )


class LineTestUnavailable(Unavailable):
    slug = "line-test-unavailable"
    title = Words(zh="暂时无法测试线路", en="The line cannot be tested just now")
    advice = Words(
        zh="开通平台没有应答（{reason}）；请在 {retry_after} 秒后重试，或用光功率计测量。",
        en="The platform did not answer ({reason}); try again in {retry_after} seconds, or measure "
        "with a power meter.",
    )


class LineNotKnown(Conflict):
    slug = "line-not-known"
    title = Words(zh="平台没有这条线路", en="The platform does not know this line")
    advice = Words(
        zh="请核对 LOID 或宽带账号；未提供时工单须有宽带账号或已提交过开通。",
        en="Check the LOID or the service number; without either, the order has to have one.",
    )


def check_line(wanted: Wanted) -> None:
    """Check that a line is named at all. Raises Invalid."""
    if not wanted.loid and not wanted.service_number:
        raise Invalid(errors=[{"field": "loid", "message": "name the loid or the service_number"}])


def check_override(stated: Stated) -> None:
    """Check that a cause without words of its own comes with a note. Raises Invalid."""
    if stated.cause is OverrideCause.OTHER and not stated.note:
        raise Invalid(errors=[{"field": "note", "message": "say what the cause is"}])


def line_after(states: Iterable[ActivationState], *, overridden: bool) -> Line:
    """Say how an order's line stands; `states` are its activations', the newest first.

    The newest counts, since it is of the terminal that stands there now.
    """
    newest = next(iter(states), None)
    if newest is ActivationState.PROVISIONED:
        return Line.PROVISIONED
    if overridden:
        return Line.OVERRIDDEN
    if newest is None:
        return Line.NOT_ASKED
    return Line.FAILED if newest is ActivationState.FAILED else Line.UNDER_WAY
