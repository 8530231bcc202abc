"""The board on the wire. A board of 300 people has 1,800 visits, so its bytes are made by hand."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any
from uuid import UUID

import orjson
from pydantic import Field

from app.board.queries import OpenOutage, Waiting
from app.board.rules.day import PersonDay, Timetable
from app.board.rules.words import ON_SHIFT, RISK_WORDS, Doing, Risk, Works
from app.core.http import Answer
from app.core.i18n import Words
from app.outages.rules import OutageState, PlaceKind
from app.workorders.rules import UNPLACED_WORDS, State, UnplacedReason, masked_address
from app.worktypes.rules import WorkType

Text = Annotated[str, Field(max_length=2000)]
# Slack beyond it, in seconds, means that nothing bounds it.
A_LIFETIME = 3_000_000_000

Moments = "What has happened is told as it was, what is to come as it is expected; null: not known."


class WordsOut(Answer):
    """A code in two languages."""

    zh: Text
    en: Text


class PieceOut(Answer):
    """A piece of time."""

    from_at: datetime
    until_at: datetime


class RiskOut(Answer):
    """What endangers a visit."""

    code: Risk
    minutes: int | None = Field(
        description="For `window` and `promise` what is left, negative when it will be missed; for "
        "`runs_long` and `shift_end` how far beyond, for `unacknowledged` how long it has waited."
    )


class BoardVisitOut(Answer):
    """An order of the day in somebody's route."""

    id: UUID = Field(description="The order's id.")
    external_id: Text
    work_type: WorkType
    priority: Annotated[int, Field(ge=1, le=4)] = Field(description="1 is the most urgent.")
    state: State
    version: int = Field(description="Grows with every change; what changes the order asks for it.")
    address: Text = Field(description="Reduced to the building.")
    locality: Text | None
    grid_code: Text | None
    estimated_minutes: int
    appointment_from: datetime | None
    appointment_until: datetime | None
    due_at: datetime | None
    planned_day: date = Field(description="Earlier than `day` when it is left from before.")
    pinned: bool = Field(description="Somebody has given it by hand, and plans leave it there.")
    repeats: int = Field(description="How many faults in a row came back on its service.")
    nudges: int = Field(description="How often the customer has asked for it.")
    resume_at: datetime | None = Field(description="When suspended work is to go on.")
    leaves_at: datetime | None = Field(description=f"Setting out. {Moments}")
    arrives_at: datetime | None
    begins_at: datetime | None = Field(description="Later than `arrives_at` by what is waited.")
    ends_at: datetime | None
    late_minutes: int = Field(description="How long after `due_at` it ends.")
    slack_minutes: int | None = Field(
        description="How much later it may begin without anything of this route becoming late that "
        "is not late anyway; null when nothing bounds it, or it is done."
    )
    at_risk: bool
    risks: Annotated[list[RiskOut], Field(max_length=8)]


class LastSeenOut(Answer):
    """About where somebody was at a moment."""

    at: datetime
    lon: float = Field(description="The middle of a square of some hundred metres, in WGS-84.")
    lat: float
    accuracy_m: int = Field(ge=0, description="As the phone gave it; the square comes on top.")


class PresenceOut(Answer):
    """Whether somebody is there, as they and their phones say."""

    on_shift_since: datetime | None = Field(description="Null: not on shift, as far as they said.")
    last_seen_at: datetime | None = Field(
        description="When a phone of theirs was last heard of, to within some minutes."
    )
    streaming: bool = Field(description="Whether a phone of theirs listens at this moment.")
    shares_position: bool = Field(description="Whether they agree to positions on this shift.")
    seen: LastSeenOut | None = Field(
        description="About where they were last on this shift; null unless `positions` was asked"
        " for, they agree to it and they belong to the unit, wherever they are lent to."
    )


class CountsOut(Answer):
    """A route in numbers."""

    done: int
    to_do: int
    at_risk: int
    late: int = Field(description="Those whose promise or appointment is or will be missed.")


class BoardTechnicianOut(Answer):
    """Somebody's day."""

    id: UUID
    code: Text
    name: Text
    org_unit_id: UUID = Field(description="Their own unit, also on a loan.")
    works: Works = Field(
        description="`own`: of the unit; `borrowed`: lent to it; `helping`: of another unit, with "
        "orders of this one."
    )
    doing: Doing | None = Field(description="What they do now; null on another day than today.")
    since: datetime | None = Field(description="Since when: on the way, at the door, on leave.")
    presence: PresenceOut = Field(description="Of this moment; says nothing on another day.")
    shifts: Annotated[list[PieceOut], Field(max_length=50)] = Field(
        description="When they are at work that day, without leave; empty: not at all."
    )
    leave: Annotated[list[PieceOut], Field(max_length=50)]
    breaks: Annotated[list[PieceOut], Field(max_length=50)] = Field(
        description="Lunch and the like that are still ahead, as they are expected to be had."
    )
    free_at: datetime | None = Field(
        description="When they next have nothing under way; null when not within today's shift."
    )
    free_minutes: int = Field(description="What no visit, way or break takes of the shift left.")
    route_ends_at: datetime | None
    home_at: datetime | None
    counts: CountsOut
    visits_elsewhere: int = Field(
        description="Visits of other units that they have to make, too; times allow for them."
    )
    visits: Annotated[list[BoardVisitOut], Field(max_length=500)] = Field(
        description="In their order: those done, what is under way, those to come."
    )


class UnplacedOut(Answer):
    """An order that nobody has."""

    id: UUID
    external_id: Text
    work_type: WorkType
    priority: Annotated[int, Field(ge=1, le=4)]
    state: State
    reason: UnplacedReason | None = Field(description="Null while it has not been tried.")
    version: int
    outage_id: UUID | None = Field(description="The outage it belongs to, open or over.")
    address: Text = Field(description="Reduced to the building.")
    locality: Text | None
    grid_code: Text | None
    skills: Annotated[list[Text], Field(max_length=100)]
    estimated_minutes: int
    appointment_from: datetime | None
    appointment_until: datetime | None
    due_at: datetime | None
    received_at: datetime
    waiting_minutes: int = Field(description="Since it was received.")
    tried_at: datetime | None = Field(description="When placing it was last tried.")
    repeats: int = Field(description="How many faults in a row came back on its service.")
    nudges: int = Field(description="How often the customer has asked for it.")


class BoardOutageOut(Answer):
    """An outage that is proposed or confirmed."""

    id: UUID
    kind: PlaceKind
    name: Text
    state: OutageState
    since: datetime = Field(description="Of the first report.")
    expected_end: datetime | None
    parent_order_id: UUID | None = Field(description="The order that is worked on in their place.")
    lon: float | None = Field(description="Of a door in the middle of it, in WGS-84.")
    lat: float | None
    orders: int = Field(description="All orders that belong to it.")
    held: int = Field(description="Those of them that wait for its end.")
    version: int


class TotalsOut(Answer):
    """The board in numbers."""

    technicians: int
    on_shift: int
    free_now: int
    visits: int
    done: int
    to_do: int
    at_risk: int
    late: int
    unplaced: int


class BoardOut(Answer):
    """A unit's day at one look."""

    org_unit_id: UUID
    day: date
    as_of: datetime = Field(description="The minute for which it is true.")
    totals: TotalsOut | None = Field(description="Null unless all of the board is asked for.")
    technicians: Annotated[list[BoardTechnicianOut], Field(max_length=5_000)] | None = Field(
        description="By their codes; null when not asked for."
    )
    unplaced: Annotated[list[UnplacedOut], Field(max_length=5_000)] | None = Field(
        description="Of the whole unit on whichever day, the most pressing first; null when not "
        "asked for. `unplaced_count` counts those that are left off, too."
    )
    unplaced_count: int | None
    outages: Annotated[list[BoardOutageOut], Field(max_length=200)] | None = Field(
        description="Those that nobody has decided on come first; null when the orders that nobody "
        "has are not asked for."
    )
    risk_words: dict[str, WordsOut]
    reason_words: dict[str, WordsOut]


class ChangedOut(Answer):
    """The data of an event `changed` of the board's stream: whose days to ask for again."""

    technicians: Annotated[list[UUID], Field(max_length=1_000)]
    orders: Annotated[list[UUID], Field(max_length=1_000)]
    unplaced: bool = Field(description="What nobody has is another now.")
    alerts: bool = Field(description="What the unit is alerted to is another now: list it anew.")


def board_bytes(
    *,
    org_unit_id: UUID,
    day: date,
    at: datetime,
    days: Sequence[PersonDay] | None,
    unplaced: Sequence[Waiting] | None,
    unplaced_count: int,
    outages: Sequence[OpenOutage],
    whole: bool,
) -> bytes:
    """Write `BoardOut` as JSON; `whole` says that everybody's day is there."""
    technicians = None if days is None else [_technician(one) for one in days]
    totals = None
    if whole and technicians is not None:
        counts = [one["counts"] for one in technicians]
        added = {name: sum(one[name] for one in counts) for name in CountsOut.model_fields}
        totals = {
            "technicians": len(technicians),
            "on_shift": sum(one["doing"] in ON_SHIFT for one in technicians),
            "free_now": sum(one["doing"] is Doing.FREE for one in technicians),
            "visits": added["done"] + added["to_do"],
            **added,
            "unplaced": unplaced_count,
        }
    return orjson.dumps(
        {
            "org_unit_id": org_unit_id,
            "day": day,
            "as_of": at,
            "totals": totals,
            "technicians": technicians,
            "unplaced": None if unplaced is None else [_unplaced(one, at) for one in unplaced],
            "unplaced_count": None if unplaced is None else unplaced_count,
            "outages": None if unplaced is None else [one._asdict() for one in outages],
            "risk_words": _legend(RISK_WORDS),
            "reason_words": _legend(UNPLACED_WORDS),
        },
        option=orjson.OPT_UTC_Z,
    )


def _legend(words: Mapping[Any, Words]) -> dict[str, dict[str, str]]:
    return {code.value: {"zh": one.zh, "en": one.en} for code, one in words.items()}


def _moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _piece(begins: Any, ends: Any) -> dict[str, Any]:
    return {"from_at": begins, "until_at": ends}


def _technician(one: PersonDay) -> dict[str, Any]:
    who = one.person
    ahead = [_visit(visit) for visit in one.ahead]
    return {
        "id": who.id,
        "code": who.code,
        "name": who.name,
        "org_unit_id": who.org_unit_id,
        "works": who.works,
        "doing": one.doing,
        "since": _moment(one.since),
        "presence": who.presence._asdict()
        | {"seen": who.presence.seen and who.presence.seen._asdict()},
        "shifts": [_piece(*piece) for piece in one.at_work],
        "leave": [_piece(*piece) for piece in who.leave],
        "breaks": [_piece(*map(_moment, piece)) for piece in one.breaks],
        "free_at": _moment(one.free_at),
        "free_minutes": one.free // 60,
        "route_ends_at": _moment(one.route_ends),
        "home_at": _moment(one.home),
        "counts": {
            "done": len(one.done),
            "to_do": len(ahead),
            "at_risk": sum(bool(visit.risks) for visit in one.ahead),
            "late": sum(visit.missed for visit in (*one.done, *one.ahead)),
        },
        "visits_elsewhere": one.elsewhere,
        "visits": [*map(_visit, one.done), *ahead],
    }


def _visit(one: Timetable) -> dict[str, Any]:
    order = one.visit
    slack = one.slack
    return {
        "id": order.id,
        "external_id": order.external_id,
        "work_type": order.work_type,
        "priority": order.priority,
        "state": order.state,
        "version": order.version,
        "address": masked_address(order.address),
        "locality": order.locality,
        "grid_code": order.grid_code,
        "estimated_minutes": order.minutes,
        "appointment_from": _moment(order.opens),
        "appointment_until": _moment(order.closes),
        "due_at": _moment(order.due),
        "planned_day": order.planned_day,
        "pinned": order.pinned,
        "repeats": order.repeats,
        "nudges": order.nudges,
        "resume_at": _moment(order.resume),
        "leaves_at": _moment(one.leaves),
        "arrives_at": _moment(one.arrives),
        "begins_at": _moment(one.begins),
        "ends_at": _moment(one.ends),
        "late_minutes": -(-one.late // 60),
        "slack_minutes": None if slack is None or slack > A_LIFETIME else slack // 60,
        "at_risk": bool(one.risks),
        "risks": [
            {"code": code, "minutes": None if seconds is None else seconds // 60}
            for code, seconds in one.risks
        ],
    }


def _unplaced(one: Waiting, at: datetime) -> dict[str, Any]:
    return {
        "id": one.id,
        "external_id": one.external_id,
        "work_type": one.work_type,
        "priority": one.priority,
        "state": one.state,
        "reason": one.reason,
        "version": one.version,
        "outage_id": one.outage_id,
        "address": masked_address(one.address),
        "locality": one.locality,
        "grid_code": one.grid_code,
        "skills": one.skills,
        "estimated_minutes": one.minutes,
        "appointment_from": one.appointment_from,
        "appointment_until": one.appointment_until,
        "due_at": one.due_at,
        "received_at": one.received_at,
        "waiting_minutes": max(0, int((at - one.received_at).total_seconds()) // 60),
        "tried_at": one.tried_at,
        "repeats": one.repeats,
        "nudges": one.nudges,
    }
