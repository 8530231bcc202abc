"""What a work type asks for at the door: its template, and which version is in force."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from app.core.errors import Invalid
from app.core.i18n import Words
from app.terminals.rules import TerminalKind


class WorkType(StrEnum):
    """What is to be done at the door."""

    INSTALL = "install"
    RELOCATE = "relocate"
    REMOVE = "remove"
    REPAIR = "repair"
    CARE = "care"


WORK_TYPE_WORDS: dict[WorkType, Words] = {
    WorkType.INSTALL: Words("装机", "installation"),
    WorkType.RELOCATE: Words("移机", "relocation"),
    WorkType.REMOVE: Words("拆机", "removal"),
    WorkType.REPAIR: Words("修障", "repair"),
    WorkType.CARE: Words("关怀", "care"),
}


class EvidenceKind(StrEnum):
    """What shows that something was done."""

    PHOTO = "photo"
    SIGNATURE = "signature"


class Measure(StrEnum):
    """What can be measured at a door; the unit stands in the name."""

    OPTICAL_RX_POWER_DBM = "optical_rx_power_dbm"
    DOWNLOAD_MBPS = "download_mbps"
    UPLOAD_MBPS = "upload_mbps"
    LATENCY_MS = "latency_ms"
    WIFI_RSSI_DBM = "wifi_rssi_dbm"


class Outside(StrEnum):
    """What happens when a measurement lies outside its limits."""

    WARN = "warn"
    REFUSE = "refuse"


class Acceptance(StrEnum):
    """How the customer says that the work is accepted."""

    NONE = "none"
    CODE = "code"
    SIGNATURE = "signature"
    EITHER = "either"


class Recover(StrEnum):
    """Which of the customer's terminals have to be taken away."""

    NONE = "none"
    ALL = "all"


class Check(NamedTuple):
    """A line of the checklist that has to be ticked."""

    code: str
    words: Words


class Requirement(NamedTuple):
    """Evidence that is asked for: at least so many of a kind.

    `may_follow` lets the bytes come after completing: that the phone has announced them, with the
    hash of their content, is enough, since an upload can take long where the signal is bad.
    """

    code: str
    kind: EvidenceKind
    words: Words
    least: int = 1
    may_follow: bool = False


class Limits(NamedTuple):
    """What a measurement may be, in its own unit; None is no limit.

    An optical power between -8 and -27 dBm is what a class B+ receiver works with (ITU-T G.984.2,
    amendment 1).
    """

    measure: Measure
    least: float | None = None
    most: float | None = None
    required: bool = False
    outside: Outside = Outside.WARN


class ClosingCode(NamedTuple):
    """What an order can be completed with; with it, what `waives` names need not be there.

    `works_again` says of a repair that the service works again.
    """

    code: str
    words: Words
    works_again: bool = False
    waives: tuple[str, ...] = ()


@dataclass(frozen=True)
class Template:
    """All that one work type asks for, as one version of it says; an order keeps its version.

    `minutes` are standard minutes at the door; `skills` are needed beside those an order names;
    `needs` are kinds of terminal that are in the van when setting out; of each kind in `fits` at
    least one is fitted. What a closing code waives is named by the codes of checks, evidence and
    measurements, and by the words `terminals`, `activation` and `acceptance`.
    """

    work_type: WorkType
    minutes: int
    closing_codes: tuple[ClosingCode, ...]
    skills: tuple[str, ...] = ()
    needs: tuple[TerminalKind, ...] = ()
    checklist: tuple[Check, ...] = ()
    evidence: tuple[Requirement, ...] = ()
    measurements: tuple[Limits, ...] = ()
    fits: tuple[TerminalKind, ...] = ()
    recovers: Recover = Recover.NONE
    activation: bool = False
    acceptance: Acceptance = Acceptance.NONE

    def closing(self, code: str) -> ClosingCode:
        """Find a closing code. Raises Invalid with those there are."""
        for known in self.closing_codes:
            if known.code == code:
                return known
        raise Invalid(
            errors=[
                {
                    "field": "outcome_code",
                    "message": f"{self.work_type.value} is completed with one of: "
                    + ", ".join(sorted(known.code for known in self.closing_codes)),
                }
            ]
        )


class DatedTemplate(NamedTuple):
    """A template as it is stored: for an org unit's subtree (empty for all), from a day on."""

    id: UUID
    code: str
    version: int
    org_path: str
    valid_from: date
    template: Template


def template_for(
    templates: Iterable[DatedTemplate], work_type: WorkType, org_path: str, day: date
) -> DatedTemplate | None:
    """Find the template in force for an org unit on a local day: the closest unit's, the latest."""
    fitting = [
        one
        for one in templates
        if one.template.work_type is work_type
        and org_path.startswith(one.org_path)
        and one.valid_from <= day
    ]
    return max(
        fitting, key=lambda one: (len(one.org_path), one.valid_from, one.version), default=None
    )


def _plain(work_type: WorkType, minutes: int, *codes: ClosingCode) -> Template:
    return Template(work_type=work_type, minutes=minutes, closing_codes=codes)


# What holds where an operator has loaded no template: how long it takes, and how it can end.
BUILT_IN: dict[WorkType, Template] = {
    template.work_type: template
    for template in (
        _plain(
            WorkType.INSTALL,
            90,
            ClosingCode("installed", Words("装机完成", "installed")),
        ),
        _plain(
            WorkType.RELOCATE,
            90,
            ClosingCode("relocated", Words("移机完成", "relocated")),
        ),
        _plain(WorkType.REMOVE, 45, ClosingCode("removed", Words("拆机完成", "removed"))),
        _plain(
            WorkType.REPAIR,
            60,
            ClosingCode("fixed", Words("已修复", "fixed"), works_again=True),
            ClosingCode(
                "fixed_elsewhere", Words("局端或线路已修复", "fixed elsewhere"), works_again=True
            ),
            ClosingCode("no_fault_found", Words("未发现故障", "no fault found")),
            ClosingCode(
                "customer_equipment", Words("用户自有设备故障", "the customer's own equipment")
            ),
        ),
        _plain(WorkType.CARE, 45, ClosingCode("cared_for", Words("关怀完成", "cared for"))),
    )
}
