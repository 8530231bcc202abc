"""What stops the clock of a promise: causes, the proof each one needs, and spans of time."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from app.core.errors import Conflict, Invalid
from app.core.i18n import Words
from app.worktypes.rules import WorkType


class StopCause(StrEnum):
    """Why the clock of a promise stands still.

    Causes of suspending, handing back and rescheduling that have the same word are the same cause;
    whether one of them stops a clock is said by `StopRule`s alone.
    """

    CUSTOMER_ABSENT = "customer_absent"
    CUSTOMER_POSTPONED = "customer_postponed"
    CUSTOMER_REQUEST = "customer_request"
    CUSTOMER_REFUSED = "customer_refused"
    RESOURCE_MISSING = "resource_missing"
    SITE_NOT_READY = "site_not_ready"
    ACCESS_REFUSED = "access_refused"
    THIRD_PARTY = "third_party"
    WEATHER = "weather"
    FORCE_MAJEURE = "force_majeure"
    OUTAGE = "outage"

    @classmethod
    def of(cls, word: str | None) -> "StopCause | None":
        """Find the cause that has the word of another list of causes; None when there is none."""
        return cls(word) if word in set(cls) else None

    @property
    def words(self) -> Words:
        """Say it in words."""
        return _CAUSES[self]


_CAUSES = {
    StopCause.CUSTOMER_ABSENT: Words("用户不在家", "the customer is not at home"),
    StopCause.CUSTOMER_POSTPONED: Words("用户推迟", "the customer has put it off"),
    StopCause.CUSTOMER_REQUEST: Words("用户要求改约", "the customer asked for another time"),
    StopCause.CUSTOMER_REFUSED: Words("用户拒绝施工", "the customer does not want it done"),
    StopCause.RESOURCE_MISSING: Words("资源不足", "a port, a line or material is missing"),
    StopCause.SITE_NOT_READY: Words("现场不具备条件", "the place is not ready for the work"),
    StopCause.ACCESS_REFUSED: Words("物业等第三方不予进场", "a third party lets nobody in"),
    StopCause.THIRD_PARTY: Words("第三方原因", "a third party"),
    StopCause.WEATHER: Words("天气原因", "the weather"),
    StopCause.FORCE_MAJEURE: Words("不可抗力", "force majeure"),
    StopCause.OUTAGE: Words("群障", "an outage that concerns many"),
}


class ProofKind(StrEnum):
    """What shows that a cause is true; `word` is what a technician says who has not been there."""

    VISIT = "visit"
    CHECK_IN = "check_in"
    EVIDENCE = "evidence"
    APPOINTMENT = "appointment"
    OUTAGE = "outage"
    REFERENCE = "reference"
    WORD = "word"


# What a technician says at the door: what they say next takes its place.
FROM_THE_DOOR = frozenset({ProofKind.VISIT, ProofKind.CHECK_IN, ProofKind.WORD})


class Proof(NamedTuple):
    """What shows that a cause is true: a row of ours by its id, or a reference of another system.

    `held` are all kinds that the row counts as: a visit with a check-in is both.
    """

    kind: ProofKind
    id: UUID | None = None
    reference: str | None = None
    held: frozenset[ProofKind] = frozenset()

    @property
    def kinds(self) -> frozenset[ProofKind]:
        """All that it counts as."""
        return self.held | {self.kind}


class StopRule(NamedTuple):
    """One dated rule of what stops a clock: for a cause, and for some work types (empty is all).

    `proofs` are the kinds of which one is needed (empty is any). A stop that nobody ends ends by
    itself after `most_hours`. With `exempts` an order that had such a stop is not compensated, even
    if it is late with it. A rule with `stops` false takes back what a unit above allows.
    """

    code: str
    org_path: str
    cause: StopCause
    work_types: frozenset[WorkType]
    valid_from: date
    valid_to: date | None
    stops: bool
    proofs: frozenset[ProofKind]
    most_hours: float
    exempts: bool


class CauseDoesNotStop(Conflict):
    slug = "cause-does-not-stop"
    title = Words(zh="该原因不能停表", en="This cause does not stop the clock")
    advice = Words(
        zh="按该组织当日规则，{work_type} 工单不能因 {cause} 停表；可停表的原因：{causes}。",
        en="By the rules of that day {cause} does not stop the clock of {work_type}; these do: "
        "{causes}.",
    )


class EvidenceNeeded(Conflict):
    slug = "stop-needs-evidence"
    title = Words(zh="停表须有凭据", en="Stopping the clock needs proof")
    advice = Words(
        zh="原因 {cause} 须有以下凭据之一：{needs}。",
        en="The cause {cause} needs one of these: {needs}.",
    )


class ClockStandsAlready(Conflict):
    slug = "clock-stands-already"
    title = Words(zh="该时段已经停表", en="The clock stands still then already")
    advice = Words(
        zh="所填时段已被停表 {stop_id}（{cause}）覆盖。",
        en="Another stop ({cause}, {stop_id}) covers that time.",
    )


class NoSuchTime(Invalid):
    slug = "no-such-time-to-stop"
    title = Words(zh="停表时间不成立", en="The clock cannot have stood still then")
    advice = Words(
        zh="停表须在工单申告之后、竣工之前，且不超过 {most_hours} 小时。",
        en="A stop lies after the report and before completing, and lasts at most {most_hours} h.",
    )


def stop_rule_for(
    rules: Iterable[StopRule], cause: StopCause, work_type: WorkType, org_path: str, day: date
) -> StopRule | None:
    """Find the rule by which a cause stops a clock on a local day; None when it does not.

    The closest unit's counts, of its rules one for the work type before one for all, then the
    latest.
    """
    fitting = [
        rule
        for rule in rules
        if rule.cause is cause
        and org_path.startswith(rule.org_path)
        and (not rule.work_types or work_type in rule.work_types)
        and rule.valid_from <= day
        and (rule.valid_to is None or day < rule.valid_to)
    ]
    found = max(
        fitting,
        key=lambda one: (len(one.org_path), bool(one.work_types), one.valid_from),
        default=None,
    )
    return found if found is not None and found.stops else None


def check_proof(rule: StopRule, proof: Proof) -> None:
    """Check that a cause is shown as its rule wants it. Raises EvidenceNeeded."""
    if rule.proofs and not rule.proofs & proof.kinds:
        raise EvidenceNeeded(cause=rule.cause, needs=sorted(rule.proofs))


# --- spans of time --------------------------------------------------------------------------------


class Span(NamedTuple):
    """From one aware moment to another, which is excluded."""

    begins: datetime
    ends: datetime


def merged(spans: Iterable[Span]) -> list[Span]:
    """Join spans that overlap or touch, in the order of time; empty ones fall away."""
    joined: list[Span] = []
    for one in sorted(spans):
        if one.ends <= one.begins:
            continue
        if joined and one.begins <= joined[-1].ends:
            joined[-1] = Span(joined[-1].begins, max(joined[-1].ends, one.ends))
        else:
            joined.append(Span(*one))
    return joined


def uncovered(wanted: Span, known: Iterable[Span]) -> list[Span]:
    """Give the parts of a span that none of the known ones covers, in the order of time."""
    parts, begins = [], wanted.begins
    for one in merged(known):
        if one.begins >= wanted.ends:
            break
        if one.begins > begins:
            parts.append(Span(begins, one.begins))
        begins = max(begins, one.ends)
    if begins < wanted.ends:
        parts.append(Span(begins, wanted.ends))
    return parts


def believed(
    device_at: datetime | None, now: datetime, not_before: datetime, most_back: timedelta
) -> datetime:
    """Say when something happened that a phone tells of, perhaps hours later (UTC).

    A phone without a signal keeps its step until it has one, and its clock may be wrong: it is
    believed as far as it says nothing that lies ahead, before `not_before`, or too far back.
    """
    if device_at is None:
        return now.astimezone(UTC)
    return min(now, max(device_at, not_before, now - most_back)).astimezone(UTC)
