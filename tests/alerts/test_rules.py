"""What a look comes to, and which addresses alerts may be sent to, as tables."""

from datetime import timedelta

import pytest

from app.alerts.rules import (
    ALERT_WORDS,
    GIVEN_UP_WORDS,
    AlertKind,
    Found,
    GivenUp,
    Open,
    WebhookAddressRefused,
    check_address,
    hosts_of,
    is_public,
    judged,
    said,
)
from app.core.db import new_id
from tests.conftest import MONDAY_NINE

UNIT, ALERT = new_id(), new_id()
LAG = Found(AlertKind.ORDER_LAG, UNIT, 300, 120)
HOUR = {UNIT: timedelta(hours=1)}


def known(minutes_ago, *, acknowledged=False):
    told_at = MONDAY_NINE - timedelta(minutes=minutes_ago)
    return Open(ALERT, AlertKind.ORDER_LAG, UNIT, "", told_at, acknowledged)


@pytest.mark.parametrize(
    ("alerts", "found", "raised", "standing", "again", "ended"),
    [
        ([], [LAG], [LAG], [], [], []),
        ([known(59)], [LAG], [], [(ALERT, LAG)], [], []),
        ([known(60)], [LAG], [], [(ALERT, LAG)], [ALERT], []),
        ([known(600, acknowledged=True)], [LAG], [], [(ALERT, LAG)], [], []),
        ([known(5)], [], [], [], [], [ALERT]),
        ([known(5)], [LAG._replace(subject="x")], [LAG._replace(subject="x")], [], [], [ALERT]),
    ],
)
def test_what_was_found_is_held_against_what_stands(alerts, found, raised, standing, again, ended):
    assert judged(alerts, found, now=MONDAY_NINE, every=HOUR) == (raised, standing, again, ended)


def test_everything_is_said_in_both_languages():
    assert set(ALERT_WORDS) == set(AlertKind) and set(GIVEN_UP_WORDS) == set(GivenUp)
    assert said(AlertKind.ORDERS_FAILED, 12.0, 10.0, "zh").startswith("有 12 条")
    assert "0.041" in said(AlertKind.MODEL_DRIFTED, 0.041, 0.12, "en")


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.org/a?b=c",
        "https://8.8.8.8:8443/x",
        "http://10.1.2.3/x",
        "https://bot.corp/x",
    ],
)
def test_public_addresses_and_listed_hosts_may_be_told(url):
    check_address(url, hosts_of("10.1.2.3, BOT.corp ,"))


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.org/",
        "ftp://hooks.example.org/",
        "https://",
        "https://user:pass@hooks.example.org/",
        "https://hooks.example.org/#part",
        "https://hooks.example.org:99999/",
        "https://[::1/",
        "https://10.1.2.3/",
        "https://127.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://localhost/",
        "https://2130706433/",
        "https://db.internal/",
    ],
)
def test_other_addresses_are_refused(url):
    with pytest.raises(WebhookAddressRefused):
        check_address(url, frozenset())


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("fe80::1%eth0", False),
        ("::ffff:192.168.1.1", False),
        ("example.org", False),
    ],
)
def test_addresses_of_the_internet_are_told_from_our_own(address, public):
    assert is_public(address) is public
