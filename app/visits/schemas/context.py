"""The card for the door: each block says since when it holds and who says so. Null is not known."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from app.core.http import Answer
from app.core.i18n import Lang
from app.customers.queries import Card, Service
from app.customers.rules import (
    FROM_HERE,
    Channel,
    InteractionKind,
    Segment,
    masked_address,
    masked_name,
    masked_phone,
    masked_words,
)
from app.terminals.rules import DueCause, TerminalKind
from app.visits.queries import (
    BehindTheDoor,
    LineOfCustomer,
    Measured,
    OrderOfCustomer,
    TerminalOfCustomer,
)
from app.visits.schemas.blocks import Block, CodedOut, Text, block
from app.visits.schemas.standing import (
    CompetitionOut,
    ConsentBlockOut,
    FormerOut,
    LifecycleOut,
    OutagesOut,
    PreferenceOut,
    RecommendationOut,
    StandingBlocks,
    UsageOut,
)
from app.workorders.rules import State
from app.worktypes.rules import WorkType

# Where what the network inventory says of a line comes from.
FROM_INVENTORY = "resource_inventory"
# What a technician found at the door.
FROM_VISIT = "visit"


class IdentityOut(Block):
    """Who this is."""

    code: Text
    name: Text
    phone: Text
    segment: Segment
    elderly: bool
    area: Text = Field(description="The org unit they belong to.")


class ServiceOut(Answer):
    """One service that runs; money in fen, speed in Mbit/s."""

    service_number: Text
    offering_code: Text
    category: Text
    monthly_price_fen: int
    speed_mbps: int | None
    started_on: date
    contract_ends_on: date | None
    contract_days_left: int | None = Field(description="Negative when it is over.")


class ServicesOut(Block):
    """The services that run, the earliest end of contract first."""

    held: Annotated[list[ServiceOut], Field(max_length=100)]
    contract_ends_on: date | None = Field(description="The earliest end of a contract.")
    fit: CodedOut | None = Field(
        description="How the package suits what is used: `fits`, `more_than_needed` or "
        "`less_than_needed`; null is not known."
    )


class TenureOut(Block):
    """For how long they have been a customer."""

    activated_on: date | None
    months: int | None


class PaymentOut(Block):
    """What is owed, and what is known of their credit."""

    arrears_fen: int | None = Field(description="0 is nothing owed; null is not known.")
    blacklisted: bool | None = Field(description="On the CRM's list of bad debts.")


class DoNotDisturbOut(Block):
    """Whether nothing may be offered."""

    on: bool
    since: datetime | None


class FaultsOut(Block):
    """Recent faults and complaints."""

    in_90_days: int
    last_on: date | None
    complaints_open: int
    complaints_in_90_days: int
    complaint_closed_on: date | None
    repeat_faults_in_90_days: int = Field(description="Repairs of a fault that came back.")
    dissatisfied_in_90_days: int = Field(
        description="Days on which they declined offers because they are not satisfied with us."
    )
    dissatisfied_on: date | None = Field(description="When they last said so in that time.")


class LastContactOut(Answer):
    """One contact and how it ended."""

    on: date
    channel: Channel
    kind: InteractionKind
    outcome: Text | None


class ContactsOut(Block):
    """Contacts of all channels."""

    sales_in_30_days: int = Field(description="With this customer alone, each by itself.")
    sales_in_365_days: int
    home_sales_in_30_days: int = Field(
        description="With anybody at their address, a visit once: what limits offers count."
    )
    home_sales_in_365_days: int
    home_last_sales_on: date | None
    others_in_30_days: int
    others_in_365_days: int
    last_sales_on: date | None
    last_sales_outcome: Text | None
    last_mark: int | None = Field(
        description="What the customer last said of a visit, from 1 to 5; null when never asked."
    )
    last_mark_on: date | None
    last: Annotated[list[LastContactOut], Field(max_length=5)] = Field(
        description="The last five on any channel, the newest first."
    )


class LineOut(Block):
    """A place they are served at, and what the line there can do."""

    address: Text = Field(description="Down to the building when masked.")
    olt_port: Text | None
    port_free: bool | None
    max_speed_mbps: int | None


class LineSpeedOut(Block):
    """What the line last did when a technician measured it at the door; all null: nobody has."""

    download_mbps: float | None
    package_mbps: int | None = Field(description="What the fastest service that runs promises.")


class TerminalOut(Answer):
    """A device that stands at the customer's."""

    serial_number: Text
    kind: TerminalKind
    model: Text
    service_number: Text | None = Field(description="Of its line; null is not known.")
    since: datetime | None = Field(description="Since when it stands there; null is not known.")


class DueBackOut(Answer):
    """A device that the customer has to give back; it can be taken along."""

    serial_number: Text
    kind: TerminalKind
    cause: DueCause
    due_at: datetime


class TerminalsOut(Block):
    """The devices booked to the customer, and those that have to be given back."""

    at_home: Annotated[list[TerminalOut], Field(max_length=200)]
    due_back: Annotated[list[DueBackOut], Field(max_length=200)]


class OpenOrderOut(Answer):
    """An order of theirs that is not closed."""

    id: UUID
    external_id: Text
    work_type: WorkType
    state: State
    summary: Annotated[str, Field(max_length=2000)]
    reported_at: datetime
    due_at: datetime | None
    appointment_from: datetime | None
    appointment_until: datetime | None


class OpenOrdersOut(Block):
    """The customer's orders that are not closed, the newest first."""

    orders: Annotated[list[OpenOrderOut], Field(max_length=500)]


class ContextOut(Answer):
    """Whom the technician meets."""

    customer_id: UUID
    masked: bool
    identity: IdentityOut
    services: ServicesOut
    tenure: TenureOut
    lifecycle: LifecycleOut
    payment: PaymentOut
    usage: UsageOut
    competition: CompetitionOut
    former: FormerOut
    recommendation: RecommendationOut
    preference: PreferenceOut
    consent: ConsentBlockOut
    do_not_disturb: DoNotDisturbOut
    faults: FaultsOut
    contacts: ContactsOut
    lines: Annotated[list[LineOut], Field(max_length=100)]
    measured: LineSpeedOut
    terminals: TerminalsOut
    open_orders: OpenOrdersOut
    outages: OutagesOut

    @classmethod
    def of(
        cls,
        card: Card,
        here: BehindTheDoor,
        open_orders: Sequence[OrderOfCustomer],
        *,
        standing: StandingBlocks,
        fit: CodedOut | None,
        outages: OutagesOut,
        masked: bool,
        at: datetime,
        lang: Lang,
    ) -> Self:
        """Write the card; `at` is when this house's own part was read."""
        who = card.identity
        return cls(
            customer_id=card.customer_id,
            masked=masked,
            identity=IdentityOut(
                **who.known._asdict(),
                code=who.code,
                name=masked_name(who.name) if masked else who.name,
                phone=masked_phone(who.phone) if masked else who.phone,
                segment=who.segment,
                elderly=who.elderly,
                area=who.area_zh if lang == "zh" else who.area_en,
            ),
            services=ServicesOut(
                **card.services.known._asdict(),
                held=[_service(service, masked) for service in card.services.held],
                contract_ends_on=min(
                    (held.contract_ends_on for held in card.services.held if held.contract_ends_on),
                    default=None,
                ),
                fit=fit,
            ),
            tenure=block(TenureOut, card.tenure),
            payment=block(PaymentOut, card.payment),
            do_not_disturb=block(DoNotDisturbOut, card.do_not_disturb),
            **vars(standing),
            faults=FaultsOut(
                **{**vars(card.faults), **card.faults.known._asdict()},
                repeat_faults_in_90_days=here.repeat_faults_90,
                dissatisfied_in_90_days=len(here.dissatisfied_on),
                dissatisfied_on=next(iter(here.dissatisfied_on), None),
            ),
            contacts=ContactsOut(
                **{**vars(card.contacts), **card.contacts.known._asdict()},
                home_sales_in_30_days=here.sold_at_home.in_30_days,
                home_sales_in_365_days=here.sold_at_home.in_365_days,
                home_last_sales_on=here.sold_at_home.last_on,
            ),
            lines=[_line(line, masked) for line in here.lines],
            measured=_measured(here.measured, card),
            terminals=TerminalsOut(
                as_of=at,
                source=FROM_HERE,
                at_home=[_terminal(terminal, masked) for terminal in here.terminals],
                due_back=[DueBackOut.model_validate(due) for due in here.due_back],
            ),
            open_orders=OpenOrdersOut(
                as_of=at,
                source=FROM_HERE,
                orders=[_open_order(order, masked) for order in open_orders],
            ),
            outages=outages,
        )


def _open_order(order: OrderOfCustomer, masked: bool) -> OpenOrderOut:
    out = OpenOrderOut.model_validate(order)
    if masked:
        out.summary = masked_words(out.summary)
    return out


def _service(service: Service, masked: bool) -> ServiceOut:
    out = ServiceOut.model_validate(service)
    if masked:
        out.service_number = masked_phone(out.service_number)
    return out


def _measured(measured: Measured | None, card: Card) -> LineSpeedOut:
    promised = [held.speed_mbps for held in card.services.held if held.speed_mbps is not None]
    return LineSpeedOut(
        as_of=None if measured is None else measured.at,
        source=FROM_VISIT,
        download_mbps=None if measured is None else measured.mbps,
        package_mbps=max(promised, default=None),
    )


def _terminal(terminal: TerminalOfCustomer, masked: bool) -> TerminalOut:
    number = terminal.service_number
    return TerminalOut(
        serial_number=terminal.serial_number,
        kind=terminal.kind,
        model=terminal.model,
        service_number=masked_phone(number) if masked and number else number,
        since=terminal.placed_at,
    )


def _line(line: LineOfCustomer, masked: bool) -> LineOut:
    return LineOut(
        as_of=line.checked_at,
        source=FROM_INVENTORY,
        address=masked_address(line.locality, line.building) if masked else line.standard_address,
        olt_port=line.olt_port,
        port_free=line.port_free,
        max_speed_mbps=line.max_speed_mbps,
    )
