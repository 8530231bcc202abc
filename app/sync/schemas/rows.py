"""Rows of a phone's tables."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import ConfigDict, Field

from app.catalog.rules import BusinessType, OnSite
from app.core.geo import CoordSys
from app.core.http import Answer
from app.customers.rules import Channel, Segment
from app.evidence.rules import UploadState
from app.grids.rules import GridKind, MembershipKind
from app.sales.rules import ConsentKind, SaleState
from app.suggestions.rules import AnswerKind, Coordination
from app.suggestions.rules.ahead import ShowWhen
from app.suggestions.rules.leads import LeadTo
from app.sync.rules import ActionVerdict, Judgement
from app.terminals.rules import Pool, TerminalKind
from app.visits.rules import FarReason, Outcome, SuspendCause
from app.visits.rules.installing import NotNow
from app.workorders.rules import State
from app.worktypes.rules import EvidenceKind, WorkType

Text = Annotated[str, Field(max_length=2000)]
Json = Annotated[str, Field(max_length=100_000)]


class PhoneRow(Answer):
    """A row of a phone's table; lists and objects are JSON in text, moments are in UTC."""

    model_config = ConfigDict(from_attributes=True, extra="forbid")


class PhoneOrder(PhoneRow):
    """An order that the technician holds, helps with, or has closed lately."""

    id: UUID
    external_id: Text
    work_type: WorkType
    state: State
    priority: Annotated[int, Field(ge=1, le=4)] = Field(description="1 is the most urgent.")
    customer_id: UUID | None
    masked: bool = Field(description="Whether name, numbers and address are masked, as in the day.")
    visible_until: datetime | None = Field(
        description="When the phone has to forget name, numbers and address of them, also without"
        " having reached the server; null while the order goes on, and where they are masked."
    )
    contact_name: Text | None
    contact_phone: Text | None
    service_number: Text | None
    address: Text | None
    summary: Text
    lon: float | None
    lat: float | None
    coordsys: CoordSys
    grid_code: Text | None
    grid_name: Text | None
    near_border: bool
    estimated_minutes: int
    appointment_from: datetime | None
    appointment_until: datetime | None
    due_at: datetime | None
    planned_day: date
    completed_at: datetime | None
    visit_id: UUID | None = Field(description="The visit that is going on.")
    resume_at: datetime | None
    restored_at: datetime | None
    repeats: int
    nudges: int
    absences: int
    outage_id: UUID | None
    version: int = Field(description="Grows with every change: an action's `base_version`.")
    assisting: bool
    assist_id: UUID | None
    allowed: Json = Field(description="JSON: the technician's steps open now.")
    template_id: UUID | None = Field(description="Of the template, which a phone may keep by it.")
    skills: Json = Field(description="JSON: codes of skills.")
    terminals: Json = Field(description="JSON: kinds of terminals, of each of which one is fitted.")
    nothing_because: Json | None = Field(
        description="JSON: that nothing is offered there, and why, with `code`, `zh` and `en`; `at`"
        " is when it was decided, and `valid_until` and `show_when` are as of a suggestion. Null"
        " where something is offered, nobody has asked, or the order is completed."
    )


class PhoneVisit(PhoneRow):
    """A visit of the technician's own."""

    id: UUID
    work_order_id: UUID
    travel_started_at: datetime
    checked_in_at: datetime | None
    far_reason: FarReason | None
    suspend_cause: SuspendCause | None
    resume_at: datetime | None
    restored_at: datetime | None
    accepted_at: datetime | None
    ended_at: datetime | None
    outcome: Outcome | None
    outcome_code: Text | None
    checked: Json = Field(description="JSON: lines of the checklist that are done.")
    measurements: Json | None = Field(description="JSON: what was measured.")
    note: Text | None
    progress_at: datetime | None


class PhoneCustomer(PhoneRow):
    """Somebody whom the technician meets, in full; each is written into the audit trail."""

    id: UUID
    work_order_id: UUID
    visible_until: datetime | None = Field(
        description="When the phone has to forget them, also without having reached the server;"
        " null while an order of theirs goes on."
    )
    name: Text
    phone: Text
    segment: Segment
    elderly: bool
    do_not_disturb: bool
    personal_offers: bool
    preferred_channel: Channel | None
    arrears_fen: int | None
    monthly_usage_gb: int | None
    activated_on: date | None
    standard_address: Text | None
    olt_port: Text | None
    max_speed_mbps: int | None
    services: Json = Field(description="JSON: what they hold.")
    terminals: Json = Field(description="JSON: what stands at their home.")
    as_of: datetime


class PhoneSuggestion(PhoneRow):
    """Something to offer in a visit, and the last answer to it."""

    id: UUID
    decision_id: UUID
    work_order_id: UUID
    visit_id: UUID | None
    customer_id: UUID
    offering_code: Text
    rank: Annotated[int, Field(ge=1, le=10)]
    coordination: Coordination | None
    at: datetime
    valid_until: datetime | None = Field(
        description="Show it no more from then on; null in decisions made before there was any"
        " such time."
    )
    show_when: ShowWhen = Field(
        description="`restored`: show it once the repair is marked restored, not before."
    )
    on_site: OnSite = Field(
        description="What a technician may do with it at the door of this customer, told anew when"
        " special terms, their tier, or whose business it is, change."
    )
    reasons: Json = Field(description="JSON: why it fits, each with `code`, `zh` and `en`.")
    talk_track: Json = Field(
        description="JSON: what to say, under `zh` and `en`: `opening`, `benefit`, `price`,"
        " `exit_line`, in this order."
    )
    answer: AnswerKind | None
    pitched: bool | None
    answer_id: UUID | None
    install_now: bool | None = Field(
        description="Whether the customer could have it with this visit, as of `install_as_of`;"
        " asking for suggestions says so anew. Null: nobody has asked."
    )
    install_code: NotNow | None = Field(description="What kept it from being done then.")
    install_as_of: datetime | None
    left_to: LeadTo | None = Field(
        description="They prefer that channel and are worth much: hand it over there rather than"
        " pitch it, unless they ask."
    )


class PhoneOffering(PhoneRow):
    """A version of an offering that is sold now or will be; money in fen."""

    id: UUID
    code: Text
    valid_from: date
    valid_to: date | None
    name_zh: Text
    name_en: Text
    category: Text
    business_type: BusinessType
    monthly_price_fen: int
    one_off_price_fen: int
    contract_months: int
    speed_mbps: int | None
    requires: Json
    excludes: Json
    terminal_kind: Text | None
    skill: Text | None
    install_minutes: int | None
    commission_fen: int
    talk_track_zh: Annotated[str, Field(max_length=4000)]
    talk_track_en: Annotated[str, Field(max_length=4000)]


class PhoneGrid(PhoneRow):
    """A grid that the technician looks after, with its shape in few points."""

    id: UUID
    code: Text
    name: Text
    kind: GridKind
    membership: MembershipKind
    valid_from: date
    valid_to: date | None
    boundary: Json | None = Field(description="A GeoJSON MultiPolygon in `coordsys`.")
    coordsys: CoordSys


class PhoneTerminal(PhoneRow):
    """A terminal in the technician's van, or recovered and not handed in."""

    id: UUID
    serial_number: Text
    kind: TerminalKind
    model: Text
    pool: Pool
    placed_at: datetime | None


class PhoneAction(PhoneRow):
    """Something that was done on a phone, and what became of it."""

    id: UUID
    type: Text
    own: bool = Field(
        description="False: a colleague did it, too late, for an order that the caller holds or"
        " helps with."
    )
    technician_id: UUID
    technician_name: Text
    work_order_id: UUID | None
    device_at: datetime
    received_at: datetime
    verdict: ActionVerdict
    code: Text | None = Field(description="Slug of the refusal; null when it was applied.")
    words_zh: Text | None
    words_en: Text | None
    facts: Json | None
    judgement: Judgement | None = Field(
        description="Of a completion or a sale that came after its order had gone to somebody"
        " else: `before` was done before that, by the phone's clock."
    )
    moved_to: UUID | None = Field(description="The technician who had the order by then.")
    payload: Json | None = Field(
        description="What a colleague sent, without the codes in it, for as long as the order's"
        " customer is shown to the caller; null otherwise, and of the phone's own."
    )


class PhonePhoto(PhoneRow):
    """What is known of a picture of the technician's own."""

    id: UUID
    work_order_id: UUID
    visit_id: UUID | None
    requirement: Text
    kind: EvidenceKind
    state: UploadState
    sha256: Annotated[str, Field(max_length=64)]
    bytes: int
    filename: Text | None
    taken_at: datetime | None
    announced_at: datetime
    expires_at: datetime
    stored_at: datetime | None
    far: bool | None
    old: bool | None
    reused: bool | None
    refusal: Json | None


class PhoneSale(PhoneRow):
    """A sale of the technician's own."""

    id: UUID
    visit_id: UUID
    work_order_id: UUID
    state: SaleState
    made_at: datetime
    consent_kind: ConsentKind | None
    confirmed_at: datetime | None
    sent_at: datetime | None
    acknowledged_at: datetime | None
    completed_at: datetime | None
    rejected_reason: Text | None
    note: Text | None
    items: Json = Field(
        description="JSON: what was sold, with its prices in fen, which are those of the catalogue;"
        " `discount_percent` is what is taken off the monthly one for the first `discount_months`"
        " months, both null without special terms; `returned` of what came back, alone or with the"
        " whole sale."
    )


class PhoneHandover(PhoneRow):
    """A terminal that the technician gives to a colleague, or is given, and nobody has answered."""

    id: UUID
    own: bool = Field(description="True: the technician gives it. False: they are given it.")
    serial_number: Text
    kind: TerminalKind
    model: Text
    from_technician_id: UUID
    from_technician: Text
    to_technician_id: UUID
    to_technician: Text
    device_at: datetime
    offered_at: datetime


class PhoneShift(PhoneRow):
    """The shift that the technician is on."""

    id: UUID
    began_at: datetime
    shares_position: bool = Field(description="Whether positions are agreed to.")


class PhoneDay(PhoneRow):
    """A day of the technician's that has a route."""

    id: date
    day: date
    route: Json = Field(description="JSON: ids of orders, in the order they are to be done.")
