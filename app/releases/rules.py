"""Whether a version of the phone app is served. Pure.

A phone says `X-App-Version: android/3.4.1`. For each platform there is a lowest version from a
moment on, as dated rows; what a phone has not sent yet is taken for some time longer.
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from app.core.errors import Problem
from app.core.i18n import Words
from app.core.parameters import Parameter

HEADER = "x-app-version"

PLATFORM = r"[a-z][a-z0-9\-]{0,19}"
VERSION = r"\d{1,5}(\.\d{1,5}){0,3}"
_SAID = re.compile(rf"^({PLATFORM})/({VERSION})([+\- ].{{0,60}})?$")

PUSH_GRACE = Parameter(
    "releases.push_grace_days",
    default=60.0,
    unit="d",
    words=Words(
        zh="应用版本停用后，仍可上传未发送操作和照片的天数",
        en="Days for which a version that is no longer served may still push what is unsent",
    ),
    least=7.0,
    most=400.0,
)


class AppTooOld(Problem):
    slug, status = "app-too-old", 426
    # What such a phone cannot speak is not HTTP but our API as the app's later versions do.
    upgrade = "yingwei-app/{lowest}"
    title = Words(zh="应用版本已停止支持", en="This version of the app is no longer served")
    advice = Words(
        zh="请更新到 {lowest} 或更高版本：{get_it_at}。"
        "未发送的操作不会丢失，可上传至 {push_until}。",
        en="Update to {lowest} or later: {get_it_at}. What is unsent stays, and can be pushed until"
        " {push_until}.",
    )


class Release(NamedTuple):
    """From when on which version is the lowest that is served, for one platform."""

    platform: str
    lowest: str
    valid_from: datetime
    get_it_at: str
    announced_at: datetime


class App(NamedTuple):
    """What a phone says of itself."""

    platform: str
    version: str


class Door(StrEnum):
    """What a request is about, as far as the version of the app matters."""

    # Signing in, finding out which versions are served, and saying that this phone is empty.
    ALWAYS = "always"
    PUSH = "push"  # bringing what was done already
    PULL = "pull"  # hearing what is new, and first of all whether this phone is to be emptied
    ANY = "any"


class Ending(NamedTuple):
    """A version that is served, but not for long: since when that is known, and until when."""

    announced_at: datetime
    ends_at: datetime
    get_it_at: str


_ALWAYS = (
    "/v1/auth/",
    "/v1/app-releases",
    "/v1/my/device/wipes/",
    "/healthz",
    "/readyz",
    "/metrics",
)
_PULL = "GET /v1/sync"
_PUSHES = re.compile(r"^(POST /v1/sync|[A-Z]+ /v1/evidence/uploads(/.*)?)$")


def door_of(method: str, path: str) -> Door:
    """Tell what a request is about."""
    if path.startswith(_ALWAYS):
        return Door.ALWAYS
    asked = f"{method} {path}"
    if asked == _PULL:
        return Door.PULL
    return Door.PUSH if _PUSHES.match(asked) else Door.ANY


def said_by(text: str) -> App | None:
    """Read what a phone says of itself; None where it cannot be read, which is no reason to turn
    somebody away."""
    found = _SAID.match(text.strip().lower())
    return App(found[1], found[2]) if found else None


def number(version: str) -> tuple[int, ...]:
    """Give a version as what it is compared by: 3.4 is 3.4.0.0."""
    parts = [int(part) for part in version.split(".")]
    return tuple(parts + [0] * (4 - len(parts)))


def judged(
    app: App, door: Door, releases: Iterable[Release], *, push_grace: timedelta, now: datetime
) -> Ending | None:
    """Judge whether an app may go through a door; returns how it ends, if that is known already.

    The release that began last holds, also where it asks for less than the one before. Raises
    AppTooOld.
    """
    above: list[Release] = []
    for one in sorted(releases, key=lambda one: one.valid_from):
        if one.platform != app.platform:
            continue
        if number(one.lowest) > number(app.version):
            above.append(one)
        elif one.valid_from <= now:
            # What began to hold last holds alone: a version said by mistake is taken back so.
            above.clear()
    if not above:
        return None
    first = above[0]
    ending = Ending(min(first.announced_at, first.valid_from), first.valid_from, first.get_it_at)
    if first.valid_from > now or door is Door.ALWAYS:
        return ending
    push_until = first.valid_from + push_grace
    if door is Door.PUSH and now < push_until:
        return ending
    asked = [one for one in above if one.valid_from <= now][-1]
    raise AppTooOld(
        platform=app.platform,
        version=app.version,
        lowest=asked.lowest,
        get_it_at=asked.get_it_at,
        push_until=push_until,
    )
