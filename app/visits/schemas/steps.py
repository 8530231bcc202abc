"""What a phone sends with each step of a technician, and what it is answered."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from app.core.geo import PointIn
from app.core.http import Answer, Code, DeviceTime, Input, Line, Moment, Note
from app.core.i18n import Lang
from app.terminals.rules import TerminalKind
from app.visits.rules import (
    DIGITS,
    DeclineCause,
    FarReason,
    HandBackCause,
    Lacking,
    Mark,
    SuspendCause,
    Taken,
)
from app.workorders.rules import State, Step
from app.worktypes.rules import Wanting

AtTheDevice = Annotated[
    DeviceTime,
    Field(
        description=(
            "When it was done, by the phone's clock. It is kept beside the server's time, and the"
            " very same step with the very same time is answered like the first."
        ),
        examples=["2026-03-02T10:40:00+08:00"],
    ),
]

ToldCode = Annotated[str, StringConstraints(pattern=rf"^[0-9]{{{DIGITS}}}$", max_length=DIGITS)]


class StepIn(Input):
    """A step that needs nothing but its time."""

    device_at: AtTheDevice


class DeclineIn(StepIn):
    """Why the order is not taken on."""

    cause: DeclineCause


class SetOutIn(StepIn):
    """Setting out for an order begins a visit; the phone makes its id (UUIDv7)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01956f3a-6b00-7000-8000-000000000002",
                    "work_order_id": "01956f39-1200-7000-8000-000000000003",
                    "device_at": "2026-03-02T09:12:00+08:00",
                }
            ]
        }
    )

    id: UUID
    work_order_id: UUID


class CheckInIn(StepIn):
    """Where the technician stands."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "point": {"lon": 114.06455, "lat": 22.54845, "coordsys": "gcj02"},
                    "accuracy_m": 18.0,
                    "far_reason": "address_point_wrong",
                    "device_at": "2026-03-02T09:31:00+08:00",
                }
            ]
        }
    )

    point: PointIn
    accuracy_m: Annotated[float, Field(ge=0, le=100_000)] | None = Field(
        default=None, description="As the phone estimates it (68 % radius), in metres."
    )
    mocked: bool = Field(
        default=False, description="Whether the phone says that another app makes its position up."
    )
    far_reason: FarReason | None = Field(
        default=None,
        description="Needed when it is far from the address or does not fit the last position;"
        " ignored otherwise.",
    )


class SuspendIn(StepIn):
    """Why the work is interrupted, and when it goes on."""

    cause: SuspendCause
    resume_at: Moment


class HandBackIn(StepIn):
    """Why the order is given back."""

    cause: HandBackCause
    note: Note | None = None
    missing_skill: Code | None = Field(
        default=None, description="With wrong_skill: what whoever comes next has to be able to do."
    )
    missing_terminals: Annotated[list[TerminalKind], Field(max_length=8)] = Field(
        default_factory=list,
        description="With resource_missing: what whoever comes next has to have in the van.",
    )

    def lacking(self) -> Lacking:
        """Give what was not there."""
        return Lacking(self.missing_skill, tuple(self.missing_terminals))


class MeasurementsIn(Input):
    """What was measured at the door; leave out what was not."""

    optical_rx_power_dbm: Annotated[float, Field(ge=-60, le=10)] | None = None
    download_mbps: Annotated[float, Field(ge=0, le=100_000)] | None = None
    upload_mbps: Annotated[float, Field(ge=0, le=100_000)] | None = None
    latency_ms: Annotated[float, Field(ge=0, le=60_000)] | None = None
    wifi_rssi_dbm: Annotated[float, Field(ge=-120, le=0)] | None = None


class CompleteIn(StepIn):
    """What was achieved."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "outcome_code": "fixed",
                    "checked": ["cabling_tidy", "speed_shown"],
                    "measurements": {"optical_rx_power_dbm": -19.4, "download_mbps": 942.0},
                    "note": "更换光猫后恢复",
                    "device_at": "2026-03-02T10:40:00+08:00",
                }
            ]
        }
    )

    outcome_code: Code = Field(
        description=(
            "A closing code of the order's template. Without templates: install: installed;"
            " relocate: relocated; remove: removed; care: cared_for; repair: fixed,"
            " fixed_elsewhere, no_fault_found or customer_equipment."
        )
    )
    checked: Annotated[list[Code], Field(max_length=50)] = Field(
        default_factory=list, description="The lines of the template's checklist that are done."
    )
    measurements: MeasurementsIn = Field(default_factory=MeasurementsIn)
    acceptance_code: ToldCode | None = Field(
        default=None,
        description="What the customer told, where it was not checked before; a wrong one counts.",
    )
    note: Note | None = None

    def measured(self) -> dict[str, float]:
        """Give what was measured, without what was not."""
        return self.measurements.model_dump(exclude_none=True)


class FindingOut(Answer):
    """One thing that is missing, or is not as it should be."""

    wanting: Wanting
    code: Line = Field(
        description=(
            "Of a check or evidence its code, else the measure, the kind or serial number of a"
            " terminal, how far the activation is, or how the customer is to accept."
        )
    )
    words: Note = Field(description="For whoever has to do it, in the caller's language.")


class StepOut(Answer):
    """A step that was taken: the same answer, however often it is asked for."""

    work_order_id: UUID
    visit_id: UUID | None = Field(description="Null before setting out.")
    step: Step
    state: State = Field(description="Where the order stood after this step.")
    at: datetime = Field(description="When the server took it.")
    device_at: datetime | None
    reason: Note | None = Field(description="The coded cause, reason or outcome that was sent.")
    distance_m: float | None = Field(
        description="Of a check-in: how far from the address; null when that has no point."
    )
    far: bool | None = Field(description="Of a check-in: whether it is marked as far.")
    marks: Annotated[list[Mark], Field(max_length=8)] = Field(
        description="Of a check-in: all that it is marked for; a supervisor sees these."
    )
    allowed: Annotated[list[Step], Field(max_length=20)] = Field(
        description="The technician's steps open after this one."
    )
    warnings: Annotated[list[FindingOut], Field(max_length=50)] = Field(
        description="Of completing: what is not as it should be, though it did not keep it back."
    )

    @classmethod
    def of(cls, taken: Taken, lang: Lang = "zh") -> Self:
        """Write a step as it was taken; the language is that of its warnings."""
        return cls(
            work_order_id=taken.work_order_id,
            visit_id=taken.facts.get("visit_id"),
            step=taken.step,
            state=taken.state,
            at=taken.at,
            device_at=taken.device_at,
            reason=taken.reason,
            distance_m=taken.facts.get("distance_m"),
            far=taken.facts.get("far"),
            marks=[Mark(mark) for mark in taken.facts.get("marks", ())],
            allowed=[Step(step) for step in taken.allowed],
            warnings=[
                FindingOut(wanting=one["wanting"], code=one["code"], words=one[lang])
                for one in taken.facts.get("warnings", ())
            ],
        )
