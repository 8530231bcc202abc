"""A technician's steps at a door: causes, what may be done when, and repetitions."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from app.core.errors import Conflict, Invalid, plain
from app.core.i18n import Words
from app.core.parameters import Parameter
from app.terminals.rules import TerminalKind
from app.workorders.rules import MOVES, State, Step, StepRefused
from app.worktypes.rules import WorkType

BELIEVED_HOURS = Parameter(
    "visits.believed_hours",
    default=12.0,
    unit="h",
    words=Words(
        "停表、起表采信手机时间的最长回溯",
        "How far back a phone's time counts where a clock stops or runs again",
    ),
    most=168.0,
)
HANDED_BACK_HOURS = Parameter(
    "visits.handed_back_stop_hours",
    default=24.0,
    unit="h",
    words=Words(
        "退单停表的最长时间；再次出发即恢复计时",
        "How long the clock stands still at most after a handing back; setting out again ends it",
    ),
    most=720.0,
)


class DeclineCause(StrEnum):
    """Why a technician does not take an order."""

    WRONG_SKILL = "wrong_skill"
    NO_TIME = "no_time"
    WRONG_AREA = "wrong_area"
    OFF_DUTY = "off_duty"
    NO_MATERIAL = "no_material"
    OTHER = "other"


class SuspendCause(StrEnum):
    """Why work at a door is interrupted."""

    CUSTOMER_ABSENT = "customer_absent"
    CUSTOMER_POSTPONED = "customer_postponed"
    RESOURCE_MISSING = "resource_missing"
    SITE_NOT_READY = "site_not_ready"
    MATERIAL_FETCHED = "material_fetched"
    URGENT_ORDER = "urgent_order"
    OTHER = "other"


class HandBackCause(StrEnum):
    """Why an order goes back to be given to somebody else."""

    CUSTOMER_ABSENT = "customer_absent"
    CUSTOMER_REFUSED = "customer_refused"
    RESOURCE_MISSING = "resource_missing"
    SITE_NOT_READY = "site_not_ready"
    WRONG_SKILL = "wrong_skill"
    WRONG_AREA = "wrong_area"
    OFF_DUTY = "off_duty"
    OTHER = "other"


@dataclass(frozen=True)
class Lacking:
    """What was not there when an order was handed back: a skill, and kinds of terminals."""

    skill: str | None = None
    terminals: tuple[TerminalKind, ...] = ()

    def check(self, cause: HandBackCause) -> None:
        """Check that it fits why the order is handed back. Raises Invalid, naming the field."""
        for field, lacks, fits in (
            ("missing_skill", self.skill, HandBackCause.WRONG_SKILL),
            ("missing_terminals", self.terminals, HandBackCause.RESOURCE_MISSING),
        ):
            if lacks and cause is not fits:
                raise Invalid(errors=[{"field": field, "message": f"goes with {fits} only"}])

    def said(self) -> dict[str, Any]:
        """Give what is lacking as plain data; nothing where nothing is."""
        said: dict[str, Any] = {}
        if self.skill is not None:
            said["missing_skill"] = self.skill
        if self.terminals:
            said["missing_terminals"] = sorted(self.terminals)
        return said


NOTHING_LACKING = Lacking()


class TransferCause(StrEnum):
    """Why an order is passed on to a colleague."""

    OFF_DUTY = "off_duty"
    WRONG_SKILL = "wrong_skill"
    NO_TIME = "no_time"
    NO_MATERIAL = "no_material"
    NEARER = "nearer"
    URGENT_ORDER = "urgent_order"
    OTHER = "other"


class Outcome(StrEnum):
    """How a visit ended."""

    COMPLETED = "completed"
    HANDED_BACK = "handed_back"
    HANDED_OVER = "handed_over"
    CANCELLED = "cancelled"


class VisitEnded(Conflict):
    slug = "visit-ended"
    title = Words(zh="本次上门已结束", en="This visit has ended")
    advice = Words(
        zh="本次上门已于 {ended_at} 结束（{outcome}）。",
        en="It ended at {ended_at} ({outcome}).",
    )


class NotAtTheDoor(Conflict):
    slug = "not-at-the-door"
    title = Words(zh="请先签到", en="This is done at the door")
    advice = Words(
        zh="工单现为 {state}：签到（或解挂）之后才能操作。",
        en="The order is {state}: check in first, or resume what is suspended.",
    )


class CustomerNotKnown(Conflict):
    slug = "customer-not-known"
    title = Words(zh="工单未关联客户", en="This order names no known customer")
    advice = Words(
        zh="没有客户资料，不能推荐业务。", en="Without a customer nothing can be suggested."
    )


# --- steps ----------------------------------------------------------------------------------------

_TECHNICIANS = frozenset(
    {
        Step.ACKNOWLEDGE,
        Step.DECLINE,
        Step.TRAVEL,
        Step.CHECK_IN,
        Step.SUSPEND,
        Step.RESUME,
        Step.RESTORE,
        Step.COMPLETE,
        Step.HAND_BACK,
        Step.TRANSFER,
    }
)


def _steps(state: State, work_type: WorkType) -> tuple[str, ...]:
    return tuple(
        step.value
        for (at, step) in MOVES
        if at is state
        and step in _TECHNICIANS
        and (step is not Step.RESTORE or work_type is WorkType.REPAIR)
    )


# What a technician can do with an order in a state; only a repair has something to restore.
STEPS: dict[tuple[State, WorkType], tuple[str, ...]] = {
    (state, work_type): _steps(state, work_type) for state in State for work_type in WorkType
}


def may(state: State, work_type: WorkType, step: Step) -> None:
    """Check that a technician may take a step now. Raises StepRefused with what they may do."""
    if step.value not in STEPS[state, work_type]:
        raise StepRefused(state=state, step=step, allowed=STEPS[state, work_type])


@dataclass(frozen=True)
class Asked:
    """A step as a phone asks for it; `content` is the hash of all that it sends beside these."""

    step: Step
    device_at: datetime
    reason: str | None = None
    content: str = ""


@dataclass(frozen=True)
class Taken:
    """A step that was taken with an order: what a phone is answered, also the second time.

    `at` is the server's time. `facts` holds what the step found out (`distance_m` in metres,
    `far`), the visit it belongs to, and the `content` it was asked with.
    """

    work_order_id: UUID
    work_type: WorkType
    technician_id: UUID | None
    step: Step
    state: State
    at: datetime
    device_at: datetime | None
    reason: str | None
    facts: Mapping[str, Any]

    @property
    def allowed(self) -> tuple[str, ...]:
        """The steps that were open to the technician after this one."""
        # What was passed on is a colleague's from then on.
        return () if self.step is Step.TRANSFER else STEPS[self.state, self.work_type]


def content_of(**sent: Any) -> str:
    """Hash what a phone sent with a step, in a canonical JSON form (SHA-256, hexadecimal)."""
    canonical = json.dumps(plain(sent), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def repeated(taken: Sequence[Taken], asked: Asked, technician_id: UUID) -> Taken | None:
    """Find the step that a phone is asking for a second time; None when it is a new one.

    `taken` are all steps with the order, oldest first. A phone that lost the answer sends the very
    same step again, however much has happened since: same content, same time on the device. A
    double tap sends it with a slightly later time, and nothing has happened in between.
    """
    alike = [
        known
        for known in taken
        if known.technician_id == technician_id
        and known.step is asked.step
        and known.reason == asked.reason
        and known.facts.get("content", "") == asked.content
    ]
    for known in alike:
        if known.device_at == asked.device_at:
            return known
    return alike[-1] if alike and alike[-1] is taken[-1] else None
