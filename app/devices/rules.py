"""Phones' words: who wakes them, what a wipe is, and the operator's numbers for both."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

# A phone that is to be emptied is refused where callers are proved, too.
from app.auth.rules import WipeAsked as WipeAsked
from app.core.errors import Conflict
from app.core.i18n import Words
from app.core.parameters import Parameter

# What a phone is called that does not say what it calls itself: one an account.
UNNAMED = "-"


class PushProvider(StrEnum):
    """Whose service wakes a phone whose app is in the background."""

    HUAWEI = "huawei"
    HONOR = "honor"
    XIAOMI = "xiaomi"
    OPPO = "oppo"
    VIVO = "vivo"
    MEIZU = "meizu"
    APNS = "apns"
    FCM = "fcm"
    UNIPUSH = "unipush"


class PushWhy(StrEnum):
    """What a phone is woken for."""

    NEWS = "news"
    ALERT = "alert"
    WIPE = "wipe"


class WipeState(StrEnum):
    """How far a wipe has come."""

    ASKED = "asked"
    CONFIRMED = "confirmed"
    WITHDRAWN = "withdrawn"


class Wipe(NamedTuple):
    """A wipe that a phone has to obey; `confirmed_at` says that this very sign-in did."""

    id: UUID
    asked_at: datetime
    confirmed_at: datetime | None


class WipeOver(Conflict):
    slug = "wipe-over"
    title = Words(zh="清除已完成或已撤销", en="This wipe is over")
    advice = Words(
        zh="当前状态：{state}。如需再次清除，请重新发起。",
        en="It is {state}; ask for another one if need be.",
    )


PUSH_LEAST_SECONDS = Parameter(
    "devices.push_least_seconds",
    default=60.0,
    unit="s",
    words=Words(
        zh="同一设备两次推送之间的最短间隔", en="The least time between two pushes to one phone"
    ),
    least=5.0,
    most=3600.0,
)
PUSH_TRIES = Parameter(
    "devices.push_tries",
    default=5,
    unit="tries",
    words=Words(zh="一次推送最多尝试几次", en="How often a push is tried"),
    least=1,
    most=20,
)


def wipe_state(confirmed_at: datetime | None, withdrawn_at: datetime | None) -> WipeState:
    """Say how far a wipe has come."""
    if withdrawn_at is not None:
        return WipeState.WITHDRAWN
    return WipeState.ASKED if confirmed_at is None else WipeState.CONFIRMED
