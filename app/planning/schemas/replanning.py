"""Wire shapes of replanning: asked for by hand, and what a plan of the rest of a day changes."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, StringConstraints

from app.core.http import Answer, Code, Input
from app.core.i18n import Words
from app.planning.queries.changes import Changed, Replan
from app.planning.rules import EventKind, Happened, PlanState, said
from app.planning.rules.changes import WHY_WORDS, ChangeKind, Spot, Why, counted, why_of
from app.workorders.rules import UNPLACED_WORDS, UnplacedReason
from app.worktypes.rules import WorkType


class ReplanIn(Input):
    """The rest of an org unit's day shall be planned anew; the id is made by the sender, and is
    that of the plan."""

    id: UUID
    org_unit: Code | None = Field(
        default=None, description="The code of an org unit; left out: the caller's own."
    )
    reason: Annotated[str, StringConstraints(min_length=1, max_length=500)] = Field(
        description="Why, for those who will read of it."
    )


class SaidOut(Answer):
    """The same in Chinese and in English."""

    zh: str = Field(max_length=2000)
    en: str = Field(max_length=2000)

    @classmethod
    def of(cls, words: Words) -> Self:
        """Write words out."""
        return cls(zh=words.zh, en=words.en)


class EventOut(Answer):
    """Something that has happened and that a plan was made for."""

    kind: EventKind
    technician_id: UUID | None
    work_order_id: UUID | None
    words: SaidOut

    @classmethod
    def of(cls, event: Happened) -> Self:
        """Write an event out."""
        return cls(
            kind=event.kind,
            technician_id=event.technician_id,
            work_order_id=event.order_id,
            words=SaidOut.of(said(event.kind, event.facts)),
        )


class PlaceOut(Answer):
    """Whose an order is, and when it is done."""

    technician_id: UUID
    name: str = Field(max_length=200)
    begins_at: datetime | None = Field(description="Null: it could not be done there at all.")
    late_seconds: int = Field(ge=0, le=10_000_000, description="After what was promised.")


class ChangeOut(Answer):
    """What a plan changes about one order, and why."""

    work_order_id: UUID
    external_id: str = Field(max_length=200)
    work_type: WorkType
    priority: int = Field(ge=1, le=4)
    appointment_from: datetime | None
    appointment_until: datetime | None
    due_at: datetime | None
    kind: ChangeKind
    before: PlaceOut | None = Field(description="Null: nobody had it.")
    after: PlaceOut | None = Field(description="Null: nobody will have it.")
    becomes_late: bool
    becomes_in_time: bool
    why: Why
    why_words: SaidOut
    unplaced_reason: UnplacedReason | None = Field(description="Why nobody will have it.")
    unplaced_words: SaidOut | None

    @classmethod
    def of(cls, row: Changed, kind: ChangeKind, events: Sequence[Happened]) -> Self:
        """Write a change out."""
        change, why = row.change, why_of(row.change, events)
        reason = row.unplaced_reason if change.after is None else None
        return cls(
            work_order_id=change.order_id,
            external_id=row.external_id,
            work_type=row.work_type,
            priority=row.priority,
            appointment_from=row.appointment_from,
            appointment_until=row.appointment_until,
            due_at=row.due_at,
            kind=kind,
            before=_place(change.before, row.before_name),
            after=_place(change.after, row.name),
            becomes_late=change.becomes_late,
            becomes_in_time=change.becomes_in_time,
            why=why,
            why_words=SaidOut.of(WHY_WORDS[why]),
            unplaced_reason=reason,
            unplaced_words=SaidOut.of(UNPLACED_WORDS[reason]) if reason else None,
        )


def _place(spot: Spot | None, name: str | None) -> PlaceOut | None:
    if spot is None:
        return None
    return PlaceOut(
        technician_id=spot.technician_id,
        name=name or "",
        begins_at=spot.begins_at,
        late_seconds=spot.late,
    )


class CountsOut(Answer):
    """How much a plan changes, in visits."""

    visits: int = Field(ge=0, le=100_000, description="All that are planned.")
    moved: int = Field(ge=0, le=100_000, description="To somebody else.")
    others: int = Field(
        ge=0, le=100_000, description="Held by others than those to whom something has happened."
    )
    others_moved: int = Field(ge=0, le=100_000, description="Of these, to somebody else.")
    placed: int = Field(ge=0, le=100_000, description="Had nobody.")
    left_out: int = Field(ge=0, le=100_000, description="Will have nobody any more.")
    still_out: int = Field(ge=0, le=100_000, description="Had nobody, and will not.")
    shifted: int = Field(ge=0, le=100_000, description="Ten minutes or more, with the same person.")
    become_late: int = Field(ge=0, le=100_000)
    become_in_time: int = Field(ge=0, le=100_000)


class ReplanOut(Answer):
    """A plan of the rest of a day, and what it was made for."""

    id: UUID
    org_unit_id: UUID
    day: date
    state: PlanState
    reason: str = Field(max_length=2000)
    events: list[EventOut] = Field(max_length=1000)
    asked_at: datetime
    asked_by: UUID | None
    finished_at: datetime | None

    @classmethod
    def of(cls, plan: Replan) -> Self:
        """Write a plan out."""
        return cls(
            id=plan.id,
            org_unit_id=plan.org_unit_id,
            day=plan.day,
            state=plan.state,
            reason=plan.reason,
            events=[EventOut.of(event) for event in plan.trigger],
            asked_at=plan.asked_at,
            asked_by=plan.asked_by,
            finished_at=plan.finished_at,
        )


class ChangesOut(Answer):
    """What a plan of the rest of a day changes; orders that stay as they are, are not listed."""

    plan: ReplanOut
    counts: CountsOut
    changes: list[ChangeOut] = Field(max_length=10_000)

    @classmethod
    def of(cls, plan: Replan, rows: Sequence[Changed]) -> Self:
        """Write the changes of a plan out."""
        counts = counted([row.change for row in rows], plan.trigger)
        return cls(
            plan=ReplanOut.of(plan),
            counts=CountsOut(**counts._asdict()),
            changes=[
                ChangeOut.of(row, kind, plan.trigger)
                for row in rows
                if (kind := row.change.kind) is not None
            ],
        )
