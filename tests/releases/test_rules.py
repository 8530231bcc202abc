"""Which app may go through which door, as tables."""

from datetime import UTC, datetime, timedelta

import pytest

from app.releases.rules import App, AppTooOld, Door, Release, door_of, judged, said_by

NOW = datetime(2026, 3, 2, 1, tzinfo=UTC)
DAY = timedelta(days=1)
ANDROID = [
    Release("android", "2.0", NOW - 90 * DAY, "https://a.example/2", NOW - 120 * DAY),
    Release("android", "3.0", NOW - 10 * DAY, "https://a.example/3", NOW - 40 * DAY),
    Release("android", "3.4", NOW + 30 * DAY, "https://a.example/4", NOW - 1 * DAY),
]


@pytest.mark.parametrize(
    "text, app",
    [
        ("android/3.4.1", App("android", "3.4.1")),
        (" iOS/12 ", App("ios", "12")),
        ("harmony-next/3.4.1+build.7", App("harmony-next", "3.4.1")),
        ("3.4.1", None),
        ("android/", None),
        ("android/3.4.1.2.9", None),
        ("android/999999", None),
        ("Mozilla/5.0 (X11)", App("mozilla", "5.0")),
    ],
)
def test_what_a_phone_says_of_itself(text, app):
    assert said_by(text) == app


@pytest.mark.parametrize(
    "method, path, door",
    [
        ("POST", "/v1/auth/token", Door.ALWAYS),
        ("GET", "/v1/app-releases", Door.ALWAYS),
        ("POST", "/v1/my/device/wipes/1/confirm", Door.ALWAYS),
        ("POST", "/v1/sync", Door.PUSH),
        ("PATCH", "/v1/evidence/uploads/1", Door.PUSH),
        ("GET", "/v1/sync", Door.PULL),
        ("GET", "/v1/stream", Door.ANY),
        ("GET", "/v1/my/day", Door.ANY),
        ("POST", "/v1/evidence/uploads-of-others", Door.ANY),
    ],
)
def test_what_a_request_is_about(method, path, door):
    assert door_of(method, path) is door


@pytest.mark.parametrize(
    "version, door, ends_at",
    [
        ("3.4", Door.ANY, None),
        ("3.4.0.1", Door.ANY, None),
        ("4", Door.ANY, None),
        ("3.0", Door.ANY, NOW + 30 * DAY),
        ("3.3.9", Door.PUSH, NOW + 30 * DAY),
        ("2.9", Door.ALWAYS, NOW - 10 * DAY),
        ("2.9", Door.PUSH, NOW - 10 * DAY),
        ("2.9", Door.ANY, "refused"),
        ("1.9", Door.PUSH, "refused"),  # it ended ninety days ago, and the grace is sixty
        ("1.9", Door.ALWAYS, NOW - 90 * DAY),
    ],
)
def test_who_goes_through(version, door, ends_at):
    try:
        ending = judged(
            App("android", version), door, reversed(ANDROID), push_grace=60 * DAY, now=NOW
        )
        found: datetime | str | None = ending and ending.ends_at
    except AppTooOld as refused:
        # What is asked for is what holds now.
        found = {"3.0": "refused"}.get(refused.facts["lowest"])
    assert found == ends_at


def test_a_platform_of_which_nothing_was_said_goes_through():
    assert judged(App("ios", "0.1"), Door.ANY, ANDROID, push_grace=DAY, now=NOW) is None


@pytest.mark.parametrize(
    "now, ends_at",
    [
        (NOW, NOW + 3 * DAY),
        (NOW + 3 * DAY, "refused"),
        (NOW + 5 * DAY, NOW + 9 * DAY),  # taken back, and said anew of a later day
        (NOW + 9 * DAY, "refused"),
    ],
)
def test_a_lower_version_that_begins_later_takes_the_higher_one_back(now, ends_at):
    said = [("34.0", 3), ("3.4", 5), ("3.5", 9)]
    releases = [
        Release("android", lowest, NOW + days * DAY, "https://a.example", NOW)
        for lowest, days in said
    ]
    try:
        ending = judged(App("android", "3.4.1"), Door.ANY, releases, push_grace=DAY, now=now)
        found: datetime | str | None = ending and ending.ends_at
    except AppTooOld:
        found = "refused"
    assert found == ends_at
