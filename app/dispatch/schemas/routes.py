"""Wire shapes of a technician's day in its order."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, StringConstraints

from app.core.http import Answer, Input
from app.dispatch.rules.by_hand import RULE_WORDS
from app.dispatch.rules.routes import Broken, Drive, Rule, Stop
from app.workorders.rules import State

Seconds = Annotated[int, Field(ge=0, le=2**31 - 1)]


class RouteIn(Input):
    """The order in which somebody shall do a day."""

    order_ids: Annotated[
        list[UUID], Field(max_length=500, description="All of the day's; first what is first.")
    ]
    seen: Annotated[
        str,
        StringConstraints(max_length=64),
        Field(description="`seen` of the day as you read it; what has changed since is told."),
    ]
    reason: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    override: Annotated[bool, Field(description="Do it although it breaks a rule.")] = False


class RouteStopOut(Answer):
    """One visit of a day, as the day goes from now on; no times where nobody works that day."""

    order_id: UUID
    state: State
    pinned: bool
    leave_at: datetime | None
    travel_seconds: Seconds
    arrive_at: datetime | None
    begin_at: datetime | None
    end_at: datetime | None
    late_seconds: Seconds = Field(description="After what was promised.")


class BrokenOut(Answer):
    """A rule that the day breaks, and at which order (null: at its end)."""

    rule: Rule
    order_id: UUID | None
    zh: str = Field(max_length=200)
    en: str = Field(max_length=200)


class RouteOut(Answer):
    """A technician's local day in its order."""

    technician_id: UUID
    day: date
    seen: str = Field(max_length=64, description="Send it with the order you set.")
    written: bool = Field(description="Whether somebody or a plan has set the order.")
    stops: list[RouteStopOut] = Field(max_length=500)
    home_at: datetime | None
    broken: list[BrokenOut] = Field(max_length=1000)

    @classmethod
    def of(
        cls,
        technician_id: UUID,
        day: date,
        stops: Sequence[Stop],
        drive: Drive | None,
        *,
        seen: str,
        written: bool,
    ) -> Self:
        """Shape a day and how it goes."""
        timed = {one.stop.order_id: one for one in drive.visits} if drive else {}
        shaped = []
        for stop in stops:
            visit = timed.get(stop.order_id)
            shaped.append(
                RouteStopOut(
                    order_id=stop.order_id,
                    state=stop.state,
                    pinned=stop.pinned,
                    leave_at=_moment(visit.leave) if visit else None,
                    travel_seconds=visit.way if visit else 0,
                    arrive_at=_moment(visit.arrive) if visit else None,
                    begin_at=_moment(visit.begin) if visit else None,
                    end_at=_moment(visit.end) if visit else None,
                    late_seconds=visit.late if visit else 0,
                )
            )
        return cls(
            technician_id=technician_id,
            day=day,
            seen=seen,
            written=written,
            stops=shaped,
            home_at=_moment(drive.home) if drive and stops else None,
            broken=[_broken(one) for one in drive.broken] if drive else [],
        )


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _broken(one: Broken) -> BrokenOut:
    words = RULE_WORDS[one.rule]
    return BrokenOut(rule=one.rule, order_id=one.order_id, zh=words.zh, en=words.en)
