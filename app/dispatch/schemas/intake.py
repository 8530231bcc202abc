"""Wire shapes of intake: an order as it is sent, and what became of it."""

import hashlib
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Self
from uuid import UUID

import orjson
from pydantic import (
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from app.core.errors import Malformed, Problem, TooLarge
from app.core.geo import PointIn
from app.core.http import Answer, Code, Input, Moment, Name, Note, invalid_from, problem_body
from app.core.i18n import Lang, Words
from app.dispatch.lines import Line
from app.dispatch.rules import Judged, Verdict
from app.dispatch.schemas.decisions import WordsOut
from app.terminals.rules import TerminalKind
from app.workorders.rules import Draft, State, UnplacedReason
from app.worktypes.rules import WorkType

LONGEST_WINDOW = timedelta(days=7)

ExternalId = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Address = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Phone = Annotated[str, StringConstraints(min_length=3, max_length=40)]


class OrderIn(Input):
    """An order as an upstream system sends it; source and external id together name it."""

    id: Annotated[UUID | None, Field(description="A UUIDv7 of the sender's, if it makes one.")] = (
        None
    )
    source: Code
    external_id: ExternalId
    work_type: WorkType
    priority: Annotated[int, Field(ge=1, le=4, description="1 is the most urgent.")] = 3
    org_unit_code: Annotated[
        Code | None,
        Field(description="The unit it belongs to until it is located; else the caller's."),
    ] = None
    customer_code: Code | None = None
    service_number: Code | None = None
    contact_name: Name | None = None
    contact_phone: Phone | None = None
    address: Address
    locality: Annotated[
        Name | None, Field(description="The street or compound the address lies in.")
    ] = None
    point: PointIn | None = None
    skills: Annotated[list[Code], Field(max_length=20)] = Field(default_factory=list)
    terminals: Annotated[
        list[TerminalKind],
        Field(
            max_length=8,
            description="Of each of these one is fitted; named twice, two of the kind. Only who "
            "has them in the van gets the order.",
        ),
    ] = Field(default_factory=list)
    estimated_minutes: Annotated[int, Field(ge=5, le=960)] | None = None
    appointment_from: Moment | None = None
    appointment_until: Moment | None = None
    appointment_hold_id: Annotated[
        UUID | None,
        Field(description="A slot held for it, in place of appointment_from and _until."),
    ] = None
    reported_at: Annotated[
        Moment | None, Field(description="When the customer asked for it; left out means now.")
    ] = None
    summary: Note = ""

    @model_validator(mode="after")
    def _window_in_order(self) -> Self:
        begins, ends = self.appointment_from, self.appointment_until
        if (begins is None) != (ends is None):
            raise ValueError("appointment_from and appointment_until belong together")
        if begins and ends and not begins < ends <= begins + LONGEST_WINDOW:
            raise ValueError("appointment_until must follow appointment_from within 7 days")
        if begins and self.appointment_hold_id:
            raise ValueError("a hold brings its own window: leave appointment_from and _until out")
        return self

    def draft(self, now: datetime) -> Draft:
        """Turn it into what intake takes; `now` stands in for a report without a moment."""
        lon, lat = self.point.wgs84() if self.point else (None, None)
        content = self.model_dump_json(exclude={"id"}, exclude_defaults=True)
        return Draft(
            source=self.source,
            external_id=self.external_id,
            content_hash=hashlib.blake2b(content.encode(), digest_size=16).hexdigest(),
            work_type=self.work_type,
            address=self.address,
            summary=self.summary,
            reported_at=self.reported_at or now,
            priority=self.priority,
            id=self.id,
            org_unit_code=self.org_unit_code,
            customer_code=self.customer_code,
            service_number=self.service_number,
            contact_name=self.contact_name,
            contact_phone=self.contact_phone,
            locality=self.locality,
            lon=lon,
            lat=lat,
            skills=tuple(self.skills),
            terminals=tuple(self.terminals),
            estimated_minutes=self.estimated_minutes,
            appointment_from=self.appointment_from,
            appointment_until=self.appointment_until,
            hold_id=self.appointment_hold_id,
        )


class PlacedOut(Answer):
    """Where an order stands after it was taken in or given to somebody."""

    id: UUID
    source: str = Field(max_length=64)
    external_id: str = Field(max_length=128)
    org_unit_id: UUID
    state: State
    unplaced_reason: UnplacedReason | None = Field(
        description="Why nobody has it; null unless the state is unplaced."
    )
    grid_id: UUID | None
    near_border: bool = Field(description="A grid's border is so close that the grid may be wrong.")
    holder_id: UUID | None = Field(description="The technician who has it.")
    planned_day: date | None = Field(description="A local day of the org unit.")
    due_at: datetime | None = Field(description="Promised by; null where no promise rule applies.")
    received_at: datetime
    outage_id: UUID | None = Field(description="The outage it belongs to.")
    customer_words: WordsOut | None = Field(
        description="What to tell the customer whose fault is known already; null for others."
    )
    version: int = Field(ge=1, le=2**31 - 1)

    @classmethod
    def of(cls, row: Any, words: Words | None = None) -> Self:
        """Shape a row of `workorders.queries.one`, with what to tell the customer."""
        told = None if words is None else WordsOut(zh=words.zh, en=words.en)
        return cls(**dict(row._mapping), customer_words=told)


_ORDER = TypeAdapter(OrderIn)


def order_from(line: Line, now: datetime, *, longest: int) -> tuple[str | None, Draft | Problem]:
    """Read one line of a bulk intake: its external id as far as known, and an order or a refusal.

    `longest` is the limit in bytes that a line without text has broken.
    """
    if line.text is None:
        return None, TooLarge(limit=f"{longest} bytes a line")
    try:
        order = _ORDER.validate_json(line.text)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
        if errors[0]["type"] == "json_invalid":
            return None, Malformed(reason=str(errors[0].get("ctx", {}).get("error", "not JSON")))
        return _external_id(line.text), invalid_from(errors)
    return order.external_id, order.draft(now)


def _external_id(text: bytes) -> str | None:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    name = found.get("external_id") if isinstance(found, dict) else None
    return name[:128] if isinstance(name, str) else None


LAST_LINE = 2**31 - 1


class VerdictOut(Answer):
    """The verdict on one line of a bulk intake; the answer has one such object a line (NDJSON)."""

    line: int = Field(ge=1, le=LAST_LINE, description="The line's number in the request, from 1.")
    through: int = Field(
        ge=1, le=LAST_LINE, description="The last line this stands for; mostly the line itself."
    )
    external_id: str | None = Field(max_length=128)
    id: UUID | None = Field(description="The order; null when the line was refused.")
    verdict: Verdict
    reason: UnplacedReason | None = Field(description="Why nobody has it, when it is unplaced.")
    problem: dict[str, Any] | None = Field(
        description="The refusal in the shape of Problem, when the line was refused."
    )


def verdict_line(judged: Judged, lang: Lang, request_id: str) -> bytes:
    """Write one verdict as a line of NDJSON in the shape of VerdictOut."""
    outcome = judged.outcome
    return orjson.dumps(
        {
            "line": judged.number,
            "through": judged.through,
            "external_id": judged.external_id,
            "id": outcome.id,
            "verdict": outcome.verdict,
            "reason": outcome.reason,
            "problem": problem_body(outcome.problem, lang, request_id) if outcome.problem else None,
        },
        default=str,
        option=orjson.OPT_APPEND_NEWLINE,
    )
