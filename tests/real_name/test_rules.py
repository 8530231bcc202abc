"""The form of document numbers, their keyed hash, and what a check is worth."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.db import new_id
from app.core.sealing import KeysUnreadable
from app.real_name.client import Ask
from app.real_name.rules import (
    AgeGroup,
    ChecksEnough,
    DocumentKind,
    HashKeys,
    NumberNotRight,
    RealName,
    RealNameState,
    age_group,
    check_character,
    check_number,
    may_check,
    tidied,
)
from app.real_name.service import Shown
from tests.make.real_name import HASH_KEYS, NEWER_KEYS, hash_keys, resident_id

TODAY = date(2026, 3, 2)
ID, PERMIT = DocumentKind.RESIDENT_ID, DocumentKind.RESIDENCE_PERMIT
FOREIGN, TRAVEL = DocumentKind.PERMANENT_RESIDENCE, DocumentKind.TRAVEL_PERMIT
PASSPORT = DocumentKind.PASSPORT


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        (ID, "11010519491231002X"),  # the example of GB 11643-1999
        (ID, "440524188001010014"),  # its other one
        (ID, resident_id()),
        (PERMIT, resident_id(region="810000")),
        (FOREIGN, resident_id(region="911156")),
        (FOREIGN, "CHN310068012345"),
        (TRAVEL, "H12345678"),
        (TRAVEL, "M1234567801"),
        (TRAVEL, "12345678"),
        (PASSPORT, "E12345678"),
    ],
)
def test_a_number_of_its_document_is_taken(kind, number):
    check_number(kind, number, TODAY)


@pytest.mark.parametrize(
    ("kind", "number", "why"),
    [
        (ID, "110105194912310021", "check digit"),
        (ID, "11010519491231002", "length"),
        (ID, "1101051949123100ZX", "length"),
        (ID, resident_id(region="991234"), "region"),
        (ID, resident_id(region="000000"), "region"),
        (ID, resident_id(date(2026, 3, 3)), "date of birth"),
        (ID, "11010519990230001" + check_character("11010519990230001"), "date of birth"),
        (ID, "\uff11" + "1010519491231002X"[0:], "length"),
        (PERMIT, resident_id(), "region"),
        (FOREIGN, resident_id(), "region"),
        (TRAVEL, "X12345678", "length"),
        (PASSPORT, "E12", "length"),
    ],
)
def test_a_number_that_cannot_be_is_refused_in_words(kind, number, why):
    with pytest.raises(NumberNotRight) as refused:
        check_number(kind, number, TODAY)
    assert why in refused.value.detail("en")
    assert number not in str(refused.value.facts)


@settings(max_examples=60)
@given(st.dates(date(1900, 1, 1), TODAY), st.integers(0, 999), st.integers(0, 17), st.data())
def test_one_wrong_character_is_always_found(born, nth, place, data):
    """MOD 11-2 finds every single substitution, and every two neighbours that changed places."""
    right = resident_id(born, nth)
    check_number(ID, right, TODAY)
    other = data.draw(st.sampled_from([each for each in "0123456789X" if each != right[place]]))
    with pytest.raises(NumberNotRight):
        check_number(ID, right[:place] + other + right[place + 1 :], TODAY)
    if place < 16 and right[place] != right[place + 1]:
        swapped = right[:place] + right[place + 1] + right[place] + right[place + 2 :]
        with pytest.raises(NumberNotRight):
            check_number(ID, swapped, TODAY)


def test_numbers_are_compared_as_they_are_meant():
    assert tidied(" 110105 19491231 002x ") == "11010519491231002X"


@pytest.mark.parametrize(
    ("born", "group"),
    [
        (date(2008, 3, 2), AgeGroup.ADULT),
        (date(2008, 3, 3), AgeGroup.MINOR),
        (date(1961, 3, 2), AgeGroup.ELDERLY),
        (date(1961, 3, 3), AgeGroup.ADULT),
    ],
)
def test_years_are_counted_by_birthdays(born, group):
    assert age_group(resident_id(born), TODAY, elderly_from=65) is group


def test_a_document_without_a_date_of_birth_says_nothing_of_age():
    assert age_group("E12345678", TODAY, elderly_from=65) is None


def test_a_number_is_known_by_the_key_it_was_hashed_with_after_a_newer_one_came():
    number = resident_id()
    before = hash_keys().seal(ID, number)
    keys = hash_keys(NEWER_KEYS)
    now = keys.seal(ID, number)
    assert before is not None and now is not None
    assert (before.key_id, now.key_id) == ("k1", "k2")
    assert before.digest != now.digest
    assert keys.seal(ID, number, "k1") == before
    assert keys.seal(ID, number, "gone") is None
    other_kind = keys.seal(PASSPORT, number)
    assert other_kind is not None and other_kind.digest != now.digest


@pytest.mark.parametrize("text", ["k1", "k1:short", "k1:!!!!", "k 1:" + HASH_KEYS[3:]])
def test_keys_that_cannot_be_read_are_refused_without_being_shown(text):
    with pytest.raises(KeysUnreadable) as refused:
        HashKeys.read(text)
    assert text not in str(refused.value)


def test_without_keys_there_are_none():
    assert HashKeys.read(" ") is None


def test_a_check_is_good_until_its_end():
    now = datetime(2026, 3, 2, 1, tzinfo=UTC)
    known = RealName(
        check_id=new_id(),
        customer_id=new_id(),
        visit_id=new_id(),
        state=RealNameState.PASSED,
        code=None,
        document=ID,
        last4="002X",
        asked_at=now,
        checked_at=now,
        valid_until=now + timedelta(days=180),
        age_group=None,
    )
    assert known.good(now + timedelta(days=179))
    assert not known.good(now + timedelta(days=180))


def test_only_so_many_documents_are_checked_in_a_visit():
    may_check(4, most=5)
    with pytest.raises(ChecksEnough) as refused:
        may_check(5, most=5)
    assert refused.value.facts == {"made": 5}


def test_what_is_on_its_way_does_not_show_its_number():
    number = resident_id()
    assert number not in repr(Ask(new_id(), ID, number, "王小明"))
    assert number not in repr(Shown(ID, number))
    assert number not in repr(hash_keys())
