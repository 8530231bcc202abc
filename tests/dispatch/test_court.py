"""A command that moves orders, judged in memory: what the days gain and lose, and days too full."""

from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from app.dispatch.rules.court import MOST_FOLLOWED, judge
from app.dispatch.rules.diaries import Diary
from app.dispatch.rules.frames import frame_of
from app.dispatch.rules.moves import Found, Ground, Person, Standing, Wish
from app.dispatch.rules.routes import Stop
from app.dispatch.rules.why_not import OVERRIDABLE, WhyNot
from app.travel.rules import Place, Travel
from app.workorders.rules import State
from tests.conftest import MONDAY_NINE, SHANGHAI

TODAY = date(2026, 3, 2)
ZHANG, LI = UUID(int=1), UUID(int=2)
TRAVEL = Travel()


def person(technician_id: UUID, held: list[Found]) -> Person:
    """Somebody who works from eight to six and has these orders today."""
    minutes = sum(one.minutes for one in held)
    diary = Diary(
        technician_id=technician_id,
        active=True,
        skills=frozenset(),
        zone=SHANGHAI,
        daily_minutes=480,
        shifts=[(0, time(8), time(18))],
        leave=[],
        promised={TODAY: (minutes, len(held))},
        now=MONDAY_NINE,
        allowance=15.0,
        home=(112.0, 28.0),
    )
    return Person(diary, TRAVEL, ours=True)


def order(number: int, holder: UUID, minutes: int = 30, due: datetime | None = None) -> Found:
    """An order that somebody has today, at a place of its own."""
    id_ = UUID(int=100 + number)
    place = Place(112.0 + 0.001 * (number % 7), 28.0 + 0.001 * (number % 5))
    return Found(
        id=id_,
        external_id=f"F-{number}",
        grid_id=None,
        version=1,
        state=State.ASSIGNED,
        unplaced_reason=None,
        holder_id=holder,
        planned_day=TODAY,
        minutes=minutes,
        skills=frozenset(),
        terminals=(),
        window=None,
        stop=Stop(id_, place, minutes * 60, due=int(due.timestamp()) if due else 1 << 40),
    )


def ground(orders: list[Found]) -> Ground:
    """What a command meets where two people have these orders."""
    people, days = {}, {}
    for technician_id in (ZHANG, LI):
        held = [one for one in orders if one.holder_id == technician_id]
        people[technician_id] = each = person(technician_id, held)
        frame = frame_of(each.diary, TODAY, now=MONDAY_NINE, lunch_slack=3600)
        days[technician_id, TODAY] = Standing(frame, [one.stop for one in held], ())
    return Ground({one.id: one for one in orders}, people, days, {})


@given(
    st.lists(
        st.tuples(st.sampled_from([ZHANG, LI]), st.integers(5, 120), st.booleans()), max_size=9
    )
)
def test_what_one_day_loses_another_gains(made):
    """Whatever is moved from one to the other, no minute and no visit is lost or doubled."""
    orders = [order(n, holder, minutes) for n, (holder, minutes, _) in enumerate(made)]
    other = {ZHANG: LI, LI: ZHANG}
    wishes = [
        Wish(one.id, 1, other[one.holder_id or ZHANG])
        for one, (_, _, moves) in zip(orders, made, strict=True)
        if moves
    ]
    plan = judge(wishes, ground(orders), override=True)
    assert all(OVERRIDABLE.issuperset(row.reasons) for row in plan.rows)
    zhang, li = plan.effects[ZHANG, TODAY], plan.effects[LI, TODAY]
    whole = sum(one.minutes for one in orders)
    assert [zhang.minutes[n] + li.minutes[n] for n in (0, 1)] == [whole, whole]
    assert [zhang.orders[n] + li.orders[n] for n in (0, 1)] == [len(orders)] * 2
    moved = {wish.order_id for wish in wishes}
    # Whoever has it afterwards: Zhang's that moved, and Li's that did not.
    then = [one for one in orders if (one.holder_id == ZHANG) == (one.id in moved)]
    assert li.minutes[1] == sum(one.minutes for one in then)


def test_a_day_takes_what_fits_and_more_only_when_somebody_insists():
    """Far beyond what anybody could do, the day is no longer followed, and still refused."""
    orders = [order(n, ZHANG) for n in range(MOST_FOLLOWED + 20)]
    wishes = [Wish(one.id, 1, LI) for one in orders]
    rows = judge(wishes, ground(orders)).rows
    fitting = [row for row in rows if not row.reasons]
    assert 0 < len(fitting) <= 480 // 45
    assert all(WhyNot.NO_MINUTES_LEFT in row.reasons for row in rows[len(fitting) :])
    insisted = judge(wishes, ground(orders), override=True)
    assert insisted.refused(override=True) == []
    assert insisted.rows[-1].reasons == (WhyNot.NO_MINUTES_LEFT, WhyNot.SHIFT_END)
    assert insisted.effects[LI, TODAY].orders == (0, len(orders))


def test_what_nobody_holds_cannot_be_taken_back():
    waiting = order(0, ZHANG)._replace(state=State.LOCATED, holder_id=None, planned_day=None)
    [row] = judge([Wish(waiting.id, 1, take_back=True)], ground([waiting])).rows
    assert row.reasons == (WhyNot.NOT_HELD,)


def test_a_visit_that_leaves_no_time_for_lunch_is_refused():
    """Four hours that have to begin before ten, and lunch is at twelve."""
    window = MONDAY_NINE, MONDAY_NINE + timedelta(hours=1)
    opens, closes = (int(moment.timestamp()) for moment in window)
    long = order(0, ZHANG, 240)
    long = long._replace(window=window, stop=long.stop._replace(opens=opens, closes=closes))
    met = ground([long])
    li = met.people[LI]
    li.diary.shifts = [(0, time(8), time(12)), (0, time(13), time(18))]
    frame = frame_of(li.diary, TODAY, now=MONDAY_NINE, lunch_slack=0)
    met.days[LI, TODAY] = Standing(frame, [], ())  # type: ignore[index]
    [row] = judge([Wish(long.id, 1, LI)], met).rows
    assert row.reasons == (WhyNot.NO_BREAK,)


def test_late_visits_are_counted_before_and_after():
    """Due in an hour, after three others of an hour: given to somebody free, it is not late."""
    soon = MONDAY_NINE + timedelta(hours=1)
    others = [order(n, ZHANG, 60) for n in range(3)]
    pressed = order(3, ZHANG, 30, soon)
    met = ground([*others, pressed])
    route = [*(one.id for one in others), pressed.id]
    standing = met.days[ZHANG, TODAY]
    days = {**met.days, (ZHANG, TODAY): standing._replace(route=route)}
    plan = judge([Wish(pressed.id, 1, LI)], Ground(met.orders, met.people, days, {}))
    assert plan.effects[ZHANG, TODAY].late == (1, 0)
    assert plan.effects[LI, TODAY].late == (0, 0)
    [row] = plan.rows
    assert row.begin is not None
    assert datetime.fromtimestamp(row.begin, UTC) < soon
    assert plan.routes[ZHANG, TODAY] == [one.id for one in others]
