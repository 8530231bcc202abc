"""Wire shapes of plans: asked for, how far they are, what they come to, and what they say."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints, model_validator
from sqlalchemy import Row

from app.core.http import Answer, Code, Day, Input, Line, Note
from app.core.paging import NextPage, Rows
from app.grids.rules.asking import Kind
from app.planning.rules import (
    LEAST_SECONDS,
    LEFT_WORDS,
    MOST_SECONDS,
    LeftReason,
    PlanKind,
    PlanState,
)
from app.planning.rules.drafts import Score
from app.planning.rules.wishes import Wish
from app.workorders.rules import UNPLACED_WORDS, UnplacedReason
from app.worktypes.rules import WorkType

MOST_ITERATIONS = 100_000_000


class PlanIn(Input):
    """A plan to be made. At most one of `cpu_seconds` and `iterations`; neither is what the
    settings say for each order."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "01970000-0000-7000-8000-0000000000a1",
                "org_unit": "gd.sz.ns",
                "day": "2026-03-03",
                "cpu_seconds": 20,
            }
        }
    )

    id: UUID = Field(description="Made by the client; sent again it stands for the same plan.")
    org_unit: Code | None = Field(None, description="Its code; the caller's own when left out.")
    day: Day = Field(description="A local day of the org unit, today or later.")
    cpu_seconds: float | None = Field(
        None, ge=LEAST_SECONDS, le=MOST_SECONDS, description="Processor time of the search."
    )
    iterations: int | None = Field(
        None,
        ge=1,
        le=MOST_ITERATIONS,
        description="Steps of the search, altogether: the same plan on any machine.",
    )
    seed: int = Field(0, ge=0, le=2**31 - 1)
    base: UUID | None = Field(
        None, description="A plan of that day to begin with, instead of what is in force."
    )
    reason: Annotated[str, StringConstraints(max_length=200)] = ""

    @model_validator(mode="after")
    def _one_budget(self) -> "PlanIn":
        if self.cpu_seconds is not None and self.iterations is not None:
            raise ValueError("say cpu_seconds or iterations, not both")
        return self

    def wish(self) -> Wish:
        """Say it in planning's own words."""
        return Wish(
            id=self.id,
            day=self.day,
            seed=self.seed,
            cpu_seconds=self.cpu_seconds,
            iterations=self.iterations,
            base_id=self.base,
            reason=self.reason,
        )


class ProgressOut(Answer):
    """How far a plan is. Costs are seconds of travel, or thought worth as much; districts that are
    not done count with what is in force."""

    districts: int
    done: int
    cost_before: int
    cost: int
    unplaced: int
    seconds: float = Field(description="Since the run began.")
    error: Note | None = Field(description="Why it failed.")


class ScoreOut(Answer):
    """What a day comes to."""

    technicians: int
    orders: int
    placed: int
    unplaced: int
    kilometres: float
    travel_minutes: int
    work_minutes: int
    wait_minutes: int = Field(description="At doors, before appointments begin.")
    late_orders: int = Field(description="That end after what was promised.")
    late_minutes: int
    owner_kept_percent: float | None = Field(
        description="Of the visits in grids, those by the grid's primary; null without any."
    )
    overtime_minutes: int
    moved: int = Field(description="Given to somebody else than had them.")
    given: int = Field(description="Had nobody, and have somebody now.")
    taken_back: int = Field(description="Had somebody, and have nobody any more.")
    broken: int = Field(description="Hard rules broken: appointments missed, shifts outlasted.")
    cost: int = Field(description="Seconds of travel, or thought worth as much.")

    @staticmethod
    def of(kept: Mapping[str, Any]) -> "ScoreOut":
        """Shape what is kept of a score."""
        score = Score(**kept)
        return ScoreOut(
            technicians=score.technicians,
            orders=score.orders,
            placed=score.placed,
            unplaced=score.unplaced,
            kilometres=round(score.metres / 1000, 1),
            travel_minutes=score.travel // 60,
            work_minutes=score.work // 60,
            wait_minutes=score.wait // 60,
            late_orders=score.late_orders,
            late_minutes=score.late // 60,
            owner_kept_percent=round(100 * score.kept / score.owned, 1) if score.owned else None,
            overtime_minutes=score.overtime // 60,
            moved=score.moved,
            given=score.given,
            taken_back=score.taken_back,
            broken=score.broken,
            cost=score.cost,
        )


class PublishedOut(Answer):
    """What became of a plan's orders when it was published."""

    taken: int = Field(description="Given as planned.")
    taken_back: int = Field(description="Taken from a holder, since nobody can do them.")
    left: int = Field(description="Left as they were: see the list of them.")


class PlanOut(Answer):
    """A plan of an org unit's day."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "01970000-0000-7000-8000-0000000000a1",
                "org_unit": "gd.sz.ns",
                "org_unit_id": "01970000-0000-7000-8000-000000000002",
                "day": "2026-03-03",
                "kind": "day",
                "state": "running",
                "reason": "",
                "seed": 0,
                "cpu_seconds": 20.0,
                "iterations": None,
                "base": None,
                "asked_at": "2026-03-02T12:00:00Z",
                "started_at": "2026-03-02T12:00:01Z",
                "finished_at": None,
                "published_at": None,
                "progress": {
                    "districts": 8,
                    "done": 3,
                    "cost_before": 912000,
                    "cost": 780400,
                    "unplaced": 21,
                    "seconds": 6.2,
                    "error": None,
                },
                "score": None,
                "before": None,
                "published": None,
            }
        }
    )

    id: UUID
    org_unit: Line = Field(description="Its code.")
    org_unit_id: UUID
    day: date
    kind: PlanKind
    state: PlanState
    reason: Note
    seed: int
    cpu_seconds: float | None
    iterations: int | None
    base: UUID | None
    asked_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    published_at: datetime | None
    progress: ProgressOut | None = Field(description="Null until the run is under way.")
    score: ScoreOut | None = Field(description="Null until the plan is made.")
    before: ScoreOut | None = Field(description="What was in force when the plan was made.")
    published: PublishedOut | None

    @staticmethod
    def of(row: Row[Any]) -> "PlanOut":
        """Shape a plan as it was read."""
        effort = row.asked.get("effort", row.asked)
        progress, score = row.progress, row.score
        known = {name: progress.get(name, 0) for name in ProgressOut.model_fields}
        return PlanOut(
            id=row.id,
            org_unit=row.org_unit,
            org_unit_id=row.org_unit_id,
            day=row.day,
            kind=row.kind,
            state=row.state,
            reason=row.reason,
            seed=effort.get("seed", 0),
            cpu_seconds=effort.get("cpu_seconds"),
            iterations=effort.get("iterations"),
            base=row.base_id,
            asked_at=row.asked_at,
            started_at=row.started_at,
            finished_at=row.finished_at,
            published_at=row.published_at,
            progress=ProgressOut(**{**known, "error": progress.get("error")}) if progress else None,
            score=ScoreOut.of(score["plan"]) if "plan" in score else None,
            before=ScoreOut.of(score["before"]) if "before" in score else None,
            published=PublishedOut(**score["published"]) if "published" in score else None,
        )


class PlansOut(Answer):
    """A page of plans, newest first."""

    plans: Rows[PlanOut]
    next_page_token: NextPage


class _OrderOut(Answer):
    """What a plan's lists tell of an order."""

    work_order_id: UUID
    external_id: Line
    work_type: WorkType
    priority: int
    appointment_from: datetime | None
    appointment_until: datetime | None
    due_at: datetime | None = Field(description="Until when it is promised.")
    before_id: UUID | None = Field(description="Who held it when the plan was made.")


class VisitOut(_OrderOut):
    """A visit in a route."""

    place: int = Field(description="The how-many-th order of the day.")
    arrives_at: datetime
    begins_at: datetime
    ends_at: datetime
    way_seconds: int
    wait_seconds: int
    late_seconds: int = Field(description="After what was promised.")
    slack_seconds: int = Field(
        description="How much later it may begin without anything becoming late."
    )
    belongs: Kind | None = Field(description="How the technician belongs to the order's grid.")
    before_begins_at: datetime | None = Field(
        description="When it would have begun as things were; null where nobody had it."
    )
    frozen: bool = Field(description="Under way, or next: not to be moved.")
    pinned: bool = Field(description="Fixed to this technician by a person.")


class RouteOut(Answer):
    """A technician's day in a plan."""

    technician_id: UUID
    technician: Line = Field(description="Their code.")
    name: Line
    org_unit_id: UUID = Field(description="Where they are planned: not their own unit on a loan.")
    leaves_at: datetime
    home_at: datetime
    lunch_at: datetime | None
    kilometres: float
    travel_seconds: int
    work_seconds: int
    wait_seconds: int
    overtime_seconds: int
    visits: Annotated[list[VisitOut], Field(max_length=1_000)]


class RoutesOut(Answer):
    """A page of routes."""

    routes: Rows[RouteOut]
    next_page_token: NextPage

    @staticmethod
    def of(
        routes: Iterable[Row[Any]], visits: Iterable[Row[Any]], token: str | None
    ) -> "RoutesOut":
        """Shape routes and put their visits into them."""
        mine: dict[UUID, list[VisitOut]] = {}
        for visit in visits:
            given = {name: getattr(visit, name) for name in _PLAIN_VISIT}
            seconds = {f"{name}_seconds": getattr(visit, name) for name in _SECONDS}
            mine.setdefault(visit.technician_id, []).append(VisitOut(**given, **seconds))
        return RoutesOut(
            routes=[
                RouteOut(
                    technician_id=route.technician_id,
                    technician=route.technician,
                    name=route.name,
                    org_unit_id=route.org_unit_id,
                    leaves_at=route.leaves_at,
                    home_at=route.home_at,
                    lunch_at=route.lunch_at,
                    kilometres=round(route.metres / 1000, 1),
                    travel_seconds=route.travel,
                    work_seconds=route.work,
                    wait_seconds=route.wait,
                    overtime_seconds=route.overtime,
                    visits=mine.get(route.technician_id, []),
                )
                for route in routes
            ],
            next_page_token=token,
        )


_SECONDS = ("way", "wait", "late", "slack")
_PLAIN_VISIT = [name for name in VisitOut.model_fields if not name.endswith("_seconds")]


class UnplacedOut(_OrderOut):
    """An order that the plan has nobody for."""

    reason: UnplacedReason
    reason_zh: Note
    reason_en: Note

    @staticmethod
    def of(row: Row[Any]) -> "UnplacedOut":
        """Shape a row."""
        reason = UnplacedReason(row.unplaced_reason)
        words = UNPLACED_WORDS[reason]
        return UnplacedOut(**_order(row), reason=reason, reason_zh=words.zh, reason_en=words.en)


class UnplacedPageOut(Answer):
    """A page of orders without anybody, the most urgent first."""

    unplaced: Rows[UnplacedOut]
    next_page_token: NextPage


class LeftOut(_OrderOut):
    """An order that publishing left as it was."""

    planned_id: UUID | None = Field(description="Whom the plan gives it to.")
    holder_id: UUID | None = Field(description="Who holds it now.")
    reason: LeftReason
    reason_zh: Note
    reason_en: Note

    @staticmethod
    def of(row: Row[Any]) -> "LeftOut":
        """Shape a row."""
        reason = LeftReason(row.left_reason)
        words = LEFT_WORDS[reason]
        return LeftOut(
            **_order(row),
            planned_id=row.technician_id,
            holder_id=row.holder_id,
            reason=reason,
            reason_zh=words.zh,
            reason_en=words.en,
        )


class LeftPageOut(Answer):
    """A page of orders that publishing left as they were."""

    left: Rows[LeftOut]
    next_page_token: NextPage


def _order(row: Row[Any]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _OrderOut.model_fields}


class MoveOut(Answer):
    """An order that goes from somebody to somebody else; null is nobody."""

    model_config = ConfigDict(from_attributes=True)

    work_order_id: UUID
    external_id: Line
    from_id: UUID | None
    from_technician: Line | None
    to_id: UUID | None
    to_technician: Line | None
    from_begins_at: datetime | None
    to_begins_at: datetime | None


class ComparisonOut(Answer):
    """A plan against another one of the same day, or against what is in force.

    The figures of what is in force are of the moment the plan was made; the orders that would move
    are of now.
    """

    plan: ScoreOut
    other: ScoreOut
    moves: int = Field(description="How many orders would change hands.")
    moved: Rows[MoveOut]
    next_page_token: NextPage
