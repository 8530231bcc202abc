"""What a document's number may look like, what a check of it is worth, and for how long.

A number is used while it is checked and never kept: what stays is a keyed hash, by which the same
number is known again, its last four characters, and the kind of document.
"""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from app.core.errors import Conflict, Invalid, Unavailable
from app.core.i18n import Words
from app.core.parameters import Parameter
from app.core.sealing import read_keys


class DocumentKind(StrEnum):
    """What a person shows that says who they are."""

    RESIDENT_ID = "resident_id"
    RESIDENCE_PERMIT = "residence_permit"
    PERMANENT_RESIDENCE = "permanent_residence"
    TRAVEL_PERMIT = "travel_permit"
    PASSPORT = "passport"


class RealNameState(StrEnum):
    """What is known of a check: it was asked for and no outcome is known, or it has one."""

    UNKNOWN = "unknown"
    PASSED = "passed"
    FAILED = "failed"


class RealNameCode(StrEnum):
    """Why a check did not pass, or why nothing is known of it.

    The first four are the checking system's; the rest are found out here.
    """

    MISMATCH = "mismatch"
    NOT_FOUND = "not_found"
    DOCUMENT_INVALID = "document_invalid"
    OTHER = "other"
    REFUSED = "refused"
    NOT_ASKED = "not_asked"
    NO_ANSWER = "no_answer"


class Told(NamedTuple):
    """What a code means, and what a technician does about it."""

    what: Words
    then: Words


CODES: dict[RealNameCode, Told] = {
    RealNameCode.MISMATCH: Told(
        Words("姓名与证件号码不一致", "The name and the number do not belong together"),
        Words(
            "核对证件与客户姓名；本人证件无误请客户到营业厅更正资料。",
            "Compare the document with the customer's name; if it is theirs, have it corrected "
            "in a shop.",
        ),
    ),
    RealNameCode.NOT_FOUND: Told(
        Words("没有该证件号码", "There is no such number"),
        Words("核对号码后以新的编号重新核验。", "Compare the number and check anew."),
    ),
    RealNameCode.DOCUMENT_INVALID: Told(
        Words("证件已失效", "The document is no longer valid"),
        Words("请客户出示有效证件后重新核验。", "Ask for a valid document and check anew."),
    ),
    RealNameCode.OTHER: Told(
        Words("核验系统返回其他原因", "The checking system gave another reason"),
        Words("见系统说明 said，必要时联系后台。", "See what it said; ask the back office."),
    ),
    RealNameCode.REFUSED: Told(
        Words("核验系统不接受该请求", "The checking system does not accept this request"),
        Words("见系统说明 said，更正后重新核验。", "See what it said, correct it, check anew."),
    ),
    RealNameCode.NOT_ASKED: Told(
        Words("核验请求没有送达", "The checking system was not reached"),
        Words(
            "请以同一编号连同号码再次提交。",
            "Send the same check again, with the number.",
        ),
    ),
    RealNameCode.NO_ANSWER: Told(
        Words("核验系统没有应答，结果未知", "The checking system did not answer: nobody knows yet"),
        Words(
            "请以同一编号再次提交或稍后查询；结果未知不视为通过。",
            "Send the same check again or read it later; not known is not passed.",
        ),
    ),
}

VALID_DAYS = Parameter(
    "real_name.valid_days",
    default=180,
    unit="d",
    words=Words(zh="实名核验结果有效天数", en="How long a passed check of a real name is good for"),
    least=1,
    most=3650,
)
CHECKS_A_VISIT = Parameter(
    "real_name.checks_a_visit",
    default=5,
    unit="checks",
    words=Words(
        zh="一次上门最多核验证件的次数", en="How many documents are checked in one visit at most"
    ),
    least=1,
    most=50,
)
ELDERLY_FROM_YEARS = Parameter(
    "real_name.elderly_from_years",
    default=65,
    unit="years",
    words=Words(
        zh="多少周岁起按老年客户保护（不影响价格与资格）",
        en="From which age a customer is protected as elderly; no price or eligibility reads it",
    ),
    least=50,
    most=100,
)
LOOK_SECONDS = Parameter(
    "real_name.look_seconds",
    default=30,
    unit="s",
    words=Words(
        zh="结果未知的核验多久查询一次", en="How often a check without an outcome is looked up"
    ),
    least=1,
    most=3600,
)
LOOK_HOURS = Parameter(
    "real_name.look_hours",
    default=24,
    unit="h",
    words=Words(
        zh="结果未知的核验查询多久后放弃",
        en="How long a check without an outcome is looked up",
    ),
    least=0.1,
    most=240,
)

ADULT_FROM_YEARS = 18


class AgeGroup(StrEnum):
    """How old a person is, as far as it protects them; nothing else of their age is kept."""

    MINOR = "minor"
    ADULT = "adult"
    ELDERLY = "elderly"


class NumberNotRight(Invalid):
    slug = "document-number-not-right"
    title = Words(zh="证件号码有误", en="This number cannot be right")
    advice = Words(
        zh="请对照证件重新输入：{words}。",
        en="Compare it with the document and type it again: {words}.",
    )


class NumberNeeded(Conflict):
    slug = "document-number-needed"
    title = Words(zh="请重新输入证件号码", en="The number is needed once more")
    advice = Words(
        zh="系统不保存证件号码，该次核验没有送达，请连同号码再次提交。",
        en="Numbers are not kept, and this check did not arrive: send it again with the number.",
    )


class ChecksEnough(Conflict):
    slug = "real-name-checks-enough"
    title = Words(zh="本次上门核验次数已满", en="No more documents are checked in this visit")
    advice = Words(
        zh="已核验 {made} 次，请客户携带证件到营业厅办理。",
        en="{made} were checked; ask the customer to bring the document to a shop.",
    )


class RealNameUnavailable(Unavailable):
    slug = "real-name-unavailable"
    title = Words(zh="暂不能核验实名", en="Real names cannot be checked just now")
    advice = Words(
        zh="未设置实名核验系统（{reason}），请联系管理员。",
        en="No checking system is set ({reason}); ask your administrator.",
    )


# --- the form of a number -------------------------------------------------------------------------

# GB 11643-1999: seventeen digits and a check character by ISO 7064, MOD 11-2. The same form and
# check are used by the residence permit of residents of Hong Kong, Macao and Taiwan, whose region
# is 81, 82 or 83, and since 2023 by the foreigners' permanent residence card, which begins with 9.
_EIGHTEEN = re.compile(r"\d{17}[\dX]")
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"
# GB/T 2260: the provinces, by the first two digits.
_PROVINCES = frozenset(
    [
        "11",
        "12",
        "13",
        "14",
        "15",
        "21",
        "22",
        "23",
        "31",
        "32",
        "33",
        "34",
        "35",
        "36",
        "37",
        "41",
        "42",
        "43",
        "44",
        "45",
        "46",
        "50",
        "51",
        "52",
        "53",
        "54",
        "61",
        "62",
        "63",
        "64",
        "65",
        "71",
        "81",
        "82",
        "83",
    ]
)
_PERMIT_REGIONS = frozenset({"81", "82", "83"})
_OLD_PERMANENT = re.compile(r"[A-Z]{3}\d{12}")
_TRAVEL = re.compile(r"[HM]\d{8}(\d{2})?|\d{8}")
_PASSPORT = re.compile(r"[A-Z0-9]{5,20}")

_FORM = Words("号码位数或字符不符合该证件", "its length or characters are not of this document")
_CHECK = Words("校验位不符", "its check digit does not fit")
_BIRTH = Words("出生日期不存在", "its date of birth cannot be")
_REGION = Words("地区代码不存在", "its region does not exist")


def check_character(seventeen: str) -> str:
    """Work out the check character of seventeen digits (GB 11643-1999, ISO 7064 MOD 11-2)."""
    total = sum(int(digit) * weight for digit, weight in zip(seventeen, _WEIGHTS, strict=True))
    return _CHECKS[total % 11]


def tidied(number: str) -> str:
    """Write a number as it is hashed and checked: without blanks, letters large."""
    return re.sub(r"[\s\-]", "", number).upper()


def check_number(kind: DocumentKind, number: str, today: date) -> None:
    """Check the form of a tidied number. Raises NumberNotRight, which never says the number."""
    problem = _wrong(kind, number, today)
    if problem is not None:
        raise NumberNotRight(words=problem, errors=[{"field": "number", "message": problem}])


def _wrong(kind: DocumentKind, number: str, today: date) -> Words | None:
    if kind is DocumentKind.TRAVEL_PERMIT:
        return None if _TRAVEL.fullmatch(number) else _FORM
    if kind is DocumentKind.PASSPORT:
        return None if _PASSPORT.fullmatch(number) else _FORM
    if kind is DocumentKind.PERMANENT_RESIDENCE and _OLD_PERMANENT.fullmatch(number):
        return None
    if not number.isascii() or not _EIGHTEEN.fullmatch(number):
        return _FORM
    foreign = number.startswith("9")
    if foreign is not (kind is DocumentKind.PERMANENT_RESIDENCE):
        return _REGION
    if not foreign and number[:2] not in _PROVINCES:
        return _REGION
    if kind is DocumentKind.RESIDENCE_PERMIT and number[:2] not in _PERMIT_REGIONS:
        return _REGION
    born = birth_of(number)
    if born is None or not date(1880, 1, 1) <= born <= today:
        return _BIRTH
    return None if check_character(number[:17]) == number[17] else _CHECK


def birth_of(number: str) -> date | None:
    """Read the date of birth out of a number of eighteen characters; None where it has none."""
    if not _EIGHTEEN.fullmatch(number):
        return None
    try:
        return date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return None


def age_group(number: str, today: date, *, elderly_from: float) -> AgeGroup | None:
    """Say how old the person of a number is, as far as it protects them; None where it does not
    say. Ages are whole years, as birthdays count them."""
    born = birth_of(number)
    if born is None:
        return None
    years = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    if years < ADULT_FROM_YEARS:
        return AgeGroup.MINOR
    return AgeGroup.ELDERLY if years >= elderly_from else AgeGroup.ADULT


# --- the keyed hash -------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class HashKeys:
    """The secrets under which numbers are hashed, the newest first.

    To rotate, put a new one in front: new checks are hashed with it, and old ones are still known
    by theirs as long as it stays in the list.
    """

    keys: Sequence[tuple[str, bytes]]

    @classmethod
    def read(cls, text: str) -> "HashKeys | None":
        """Read `id:base64,id:base64`; None of an empty text. Raises KeysUnreadable."""
        keys = read_keys(text, "real names")
        return cls(keys) if keys else None

    def seal(self, kind: DocumentKind, number: str, key_id: str | None = None) -> "Sealed | None":
        """Hash a tidied number with the newest key, or with the one of this id; None where that
        key is no more."""
        for known, key in self.keys:
            if key_id in (None, known):
                content = f"real name:{kind.value}:{number}".encode()
                return Sealed(known, hmac.digest(key, content, "sha256"))
        return None


class Sealed(NamedTuple):
    """A number's keyed hash (HMAC-SHA256), and the id of its key."""

    key_id: str
    digest: bytes


def last_four(number: str) -> str:
    """Give what may be shown of a number."""
    return number[-4:]


# --- what a check is worth ------------------------------------------------------------------------


@dataclass(frozen=True)
class Answered:
    """What the checking system said: that it passed, or the code with which it did not."""

    passed: bool
    code: RealNameCode | None
    said: str | None


@dataclass(frozen=True)
class RealName:
    """The check that counts for a customer.

    `valid_until` is when a passed one is no longer good. `age_group` protects and is for nothing
    else.
    """

    check_id: UUID
    customer_id: UUID
    visit_id: UUID
    state: RealNameState
    code: RealNameCode | None
    document: DocumentKind
    last4: str | None
    asked_at: datetime
    checked_at: datetime | None
    valid_until: datetime | None
    age_group: AgeGroup | None

    def good(self, now: datetime) -> bool:
        """Tell whether the customer's real name counts as checked at a moment."""
        return (
            self.state is RealNameState.PASSED
            and self.valid_until is not None
            and now < self.valid_until
        )


def may_check(made: int, *, most: int) -> None:
    """Check that one more document may be checked in a visit. Raises ChecksEnough."""
    if made >= most:
        raise ChecksEnough(made=made)
