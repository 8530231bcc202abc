"""A technician's day: in what order things are done, and who sees whose name."""

from datetime import datetime, timedelta
from uuid import UUID

from app.core.i18n import Words
from app.core.parameters import Parameter
from app.workorders.rules import State

GRACE_HOURS = Parameter(
    "visits.contact_grace_hours",
    default=2.0,
    unit="hours",
    words=Words(
        "完工后装维人员仍可看到客户信息的时间",
        "How long after completing a technician still sees whom they met",
    ),
    most=72.0,
)


_PHASE: dict[State, int] = {
    State.EN_ROUTE: 0,
    State.ON_SITE: 0,
    State.SUSPENDED: 1,
    State.ACKNOWLEDGED: 2,
    State.ASSIGNED: 2,
    State.COMPLETED: 3,
    State.ARCHIVED: 3,
}
IN_THE_DAY = frozenset(_PHASE)

_NEVER = float("inf")


def place_in_day(
    state: State,
    *,
    place: int | None,
    appointment_from: datetime | None,
    appointment_until: datetime | None,
    priority: int,
    due_at: datetime | None,
    completed_at: datetime | None,
    order_id: UUID,
) -> tuple[float | str, ...]:
    """Give the sort key of an order in a technician's day.

    What is under way comes first, then what is suspended; then those with a `place` in the day's
    route by that, then appointments by their window, then the rest by priority (1 is the most
    urgent), promise and id; what was completed stands at the end in the order it was done.
    """
    routed = _NEVER if place is None else place
    begins = appointment_from.timestamp() if appointment_from else _NEVER
    ends = appointment_until.timestamp() if appointment_until else _NEVER
    due = due_at.timestamp() if due_at else _NEVER
    done = completed_at.timestamp() if completed_at else 0.0
    return (_PHASE[state], done, routed, begins, ends, priority, due, order_id.hex)


SHOWN_WHILE_HELD = frozenset({State.ACKNOWLEDGED, State.EN_ROUTE, State.ON_SITE, State.SUSPENDED})


def sees_contact(
    state: State, completed_at: datetime | None, now: datetime, grace: timedelta
) -> bool:
    """Tell whether the order's holder sees the customer's name and number unmasked.

    From acknowledging to completing, and for a short grace afterwards.
    """
    if state in SHOWN_WHILE_HELD:
        return True
    return (
        state in (State.COMPLETED, State.ARCHIVED)
        and completed_at is not None
        and now - completed_at <= grace
    )
