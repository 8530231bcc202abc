"""What a phone sends when a terminal is scanned at a door, and what it is answered."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from app.core.http import Answer, Input
from app.core.i18n import Lang
from app.terminals.rules import TerminalKind, Why, serial_number
from app.visits.models import TerminalScan
from app.visits.rules import Scan, ScanAction, ScanWarning
from app.visits.rules.terminals import WARNING_WORDS
from app.visits.schemas.steps import AtTheDevice

Scanned = Annotated[str, Field(min_length=1, max_length=120), AfterValidator(serial_number)]


class ScanIn(Input):
    """A terminal that was fitted, taken away, swapped or found; the phone makes the id (UUIDv7)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01956f41-7a00-7000-8000-000000000004",
                    "action": "swapped",
                    "serial_number": "SN: HWTC-8F21A9C4",
                    "replaced_serial_number": "HWTC-11D0427B",
                    "reason": "faulty",
                    "device_at": "2026-03-02T10:12:00+08:00",
                }
            ]
        }
    )

    id: UUID
    action: ScanAction
    serial_number: Scanned = Field(
        description="As scanned or typed: case, blanks and a label before the number are no matter."
    )
    replaced_serial_number: Scanned | None = Field(
        default=None, description="Of a swap: the old one, which is taken away."
    )
    reason: Why | None = Field(
        default=None,
        description=(
            "A swap needs one: faulty, upgrade, downgrade, wrong_model or outdated. Taking away may"
            " have one: service_ended (meant when it is left out), faulty, downgrade or outdated."
        ),
    )
    kind: TerminalKind | None = Field(
        default=None, description="Of what is found: needed when nobody knows the serial number."
    )
    model: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="The same, as it stands on the label."
    )
    device_at: AtTheDevice

    @model_validator(mode="after")
    def _old_and_new(self) -> Self:
        if (self.action is ScanAction.SWAPPED) != (self.replaced_serial_number is not None):
            raise ValueError("replaced_serial_number belongs to a swap, and every swap has one")
        if self.replaced_serial_number == self.serial_number:
            raise ValueError("a terminal is not swapped for itself")
        return self

    def scan(self) -> Scan:
        """Give it as the service takes it."""
        return Scan(
            id=self.id,
            action=self.action,
            serial_number=self.serial_number,
            replaced=self.replaced_serial_number,
            kind=self.kind,
            model=self.model,
            reason=self.reason,
            device_at=self.device_at,
        )


class UndoIn(Input):
    """Taking a scan back needs nothing but its time."""

    device_at: AtTheDevice


class WarningOut(Answer):
    """What is pointed out; the scan went through all the same."""

    code: ScanWarning
    words: Annotated[str, Field(max_length=300)]


class ScanOut(Answer):
    """A scan as it was taken: the same answer, however often it is asked for."""

    id: UUID
    visit_id: UUID
    action: ScanAction
    serial_number: Annotated[str, Field(max_length=64)] = Field(description="As it is stored.")
    replaced_serial_number: Annotated[str, Field(max_length=64)] | None
    kind: TerminalKind
    reason: Why
    at: datetime = Field(description="When the server took it.")
    device_at: datetime
    undone_at: datetime | None = Field(description="When it was taken back.")
    warnings: Annotated[list[WarningOut], Field(max_length=10)]

    @classmethod
    def of(cls, made: TerminalScan, lang: Lang) -> Self:
        """Write a scan in one language."""
        return cls(
            id=made.id,
            visit_id=made.visit_id,
            action=made.action,
            serial_number=made.serial_number,
            replaced_serial_number=made.replaced_serial_number,
            kind=made.kind,
            reason=made.reason,
            at=made.at,
            device_at=made.device_at,
            undone_at=made.undone_at,
            warnings=[
                WarningOut(code=ScanWarning(code), words=WARNING_WORDS[ScanWarning(code)].say(lang))
                for code in made.warnings
            ],
        )


class ScansOut(Answer):
    """What was scanned in a visit, oldest first; what was taken back is there, too."""

    scans: Annotated[list[ScanOut], Field(max_length=500)]
