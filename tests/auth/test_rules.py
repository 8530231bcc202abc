"""What the auth room decides, as tables."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.auth.rules import (
    ACCOUNT_FREE_TRIES,
    ADDRESS_FREE_TRIES,
    SCOPES,
    Caller,
    OrgLevel,
    Role,
    ScopeRefused,
    check_account,
    check_handing_on,
    check_level,
    effective,
    granted,
    guard_keys,
    is_top,
    lock_after,
    username_of,
)
from app.core.errors import Invalid

NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [
        (0, None),
        (1, None),
        (5, None),
        (6, 1),
        (7, 2),
        (8, 4),
        (9, 8),
        (14, 256),
        (15, 300),
        (99, 300),
    ],
)
def test_each_failure_beyond_the_free_ones_doubles_the_wait(failures, seconds):
    until = lock_after(failures, NOON, free_tries=5, longest_seconds=300)
    assert until == (None if seconds is None else NOON + timedelta(seconds=seconds))


def test_an_address_and_an_account_are_refused_after_ten_tries_at_most():
    assert ACCOUNT_FREE_TRIES.default < 10
    assert ADDRESS_FREE_TRIES.default < 10


@pytest.mark.parametrize(
    ("typed", "stored"),
    [("Li.Wei", "li.wei"), ("  li.wei ", "li.wei"), ("ｌｉ．ｗｅｉ", "li.wei"), ("李伟", "李伟")],
)
def test_a_user_name_has_one_form(typed, stored):
    assert username_of(typed) == stored


@given(st.text(max_size=50))
def test_the_form_of_a_user_name_is_its_own_form(text):
    assert username_of(username_of(text)) == username_of(text)


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("203.0.113.7", "address:203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "address:2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "address:2001:db8:1:2::/64"),
        ("a-proxy", "address:a-proxy"),
    ],
)
def test_tries_are_counted_by_name_and_by_address(address, key):
    assert guard_keys("Li.Wei", address) == {
        "account:li.wei": ACCOUNT_FREE_TRIES,
        key: ADDRESS_FREE_TRIES,
    }


def test_without_an_address_the_name_is_counted():
    assert list(guard_keys("li.wei", None)) == ["account:li.wei"]


@pytest.mark.parametrize(
    ("held", "asked", "given_scopes"),
    [
        ({"a:x", "b:x"}, None, {"a:x", "b:x"}),
        ({"a:x", "b:x"}, "", {"a:x", "b:x"}),
        ({"a:x", "b:x"}, "  ", {"a:x", "b:x"}),
        ({"a:x", "b:x"}, "b:x", {"b:x"}),
        ({"a:x", "b:x"}, "b:x c:x", None),
        (set(), None, set()),
        (set(), "a:x", None),
    ],
)
def test_a_token_holds_what_was_asked_for_and_no_more(held, asked, given_scopes):
    if given_scopes is None:
        with pytest.raises(ScopeRefused):
            granted(frozenset(held), asked)
    else:
        assert granted(frozenset(held), asked) == given_scopes


@pytest.mark.parametrize("role", Role)
def test_an_account_never_holds_more_than_its_role(role):
    assert effective(role, None) == SCOPES[role]
    assert effective(role, []) == frozenset()
    assert effective(role, ["me:read", "root:everything"]) == {"me:read"}


@pytest.mark.parametrize(
    ("role", "has_technician", "scopes", "wrong"),
    [
        (Role.TECHNICIAN, True, None, []),
        (Role.TECHNICIAN, False, None, ["technician_id"]),
        (Role.SUPERVISOR, True, None, ["technician_id"]),
        (Role.SUPERVISOR, False, ["grids:read"], []),
        (Role.SUPERVISOR, False, ["accounts:write"], ["scopes"]),
        (Role.INTEGRATION, True, ["work:do"], ["technician_id", "scopes"]),
        (Role.ADMIN, False, [], []),
    ],
)
def test_an_account_makes_sense(role, has_technician, scopes, wrong):
    technician = uuid4() if has_technician else None
    if not wrong:
        check_account(role, technician, scopes)
        return
    with pytest.raises(Invalid) as refusal:
        check_account(role, technician, scopes)
    assert [error["field"] for error in refusal.value.facts["errors"]] == wrong


def admin(*scopes: str) -> Caller:
    unit = uuid4()
    return Caller(uuid4(), Role.ADMIN, unit, "gd.", None, frozenset(scopes))


@pytest.mark.parametrize(
    ("giver", "scopes", "allowed"),
    [
        (admin(*SCOPES[Role.ADMIN]), SCOPES[Role.ADMIN], True),
        (admin("accounts:write"), frozenset({"accounts:write"}), True),
        # What technicians do is not an administrator's to hold, but hers to hand out.
        (admin("accounts:write"), frozenset({"work:do", "sales:make"}), True),
        (admin("accounts:write"), frozenset({"accounts:write", "audit:read"}), False),
        (admin("accounts:write"), SCOPES[Role.SUPERVISOR], False),
    ],
)
def test_nobody_hands_on_what_was_kept_from_them(giver, scopes, allowed):
    if allowed:
        check_handing_on(giver, scopes)
    else:
        with pytest.raises(ScopeRefused):
            check_handing_on(giver, scopes)


@pytest.mark.parametrize(
    ("parent", "level", "allowed"),
    [
        (OrgLevel.PROVINCE, OrgLevel.CITY, True),
        (OrgLevel.PROVINCE, OrgLevel.DISTRICT, True),
        (OrgLevel.BRANCH, OrgLevel.CREW, True),
        (OrgLevel.CITY, OrgLevel.CITY, False),
        (OrgLevel.CREW, OrgLevel.PROVINCE, False),
    ],
)
def test_a_unit_is_below_its_parent(parent, level, allowed):
    if allowed:
        check_level(parent, level)
    else:
        with pytest.raises(Invalid):
            check_level(parent, level)


def test_the_top_unit_is_known_by_its_path():
    assert is_top("gd.")
    assert not is_top("gd.sz.")
