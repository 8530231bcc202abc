"""What runs, stops and watches the clocks of promises comes in by YAML, as the demo city's does."""

from datetime import date, time

import pytest
from sqlalchemy import select

from app.core.files import FileRefused
from app.promises import queries
from app.promises.models import CalendarDay, PromiseRule
from app.promises.rules import Clock, Level, StopCause, steps_for, stop_rule_for
from app.worktypes.rules import WorkType
from seed.city import HERE
from seed.clocks import load_calendar, load_escalation_rules, load_stop_rules, load_working_hours
from seed.dated import load_promise_rules
from tests.seed.test_dated import PROMISE, counts

PATH = "yj.ch.np."
TODAY = date(2026, 11, 26)


def document(name):
    return (HERE / name).read_text(encoding="utf-8")


async def test_the_demo_citys_files_are_loaded_once(tx):
    for load, name, number in (
        (load_stop_rules, "stop_rules.yaml", 11),
        (load_working_hours, "working_hours.yaml", 2),
        (load_escalation_rules, "escalation_rules.yaml", 3),
        (load_calendar, "calendar.yaml", 39),
    ):
        assert counts(await load(tx, document(name))) == (number, 0, 0, 0)
        assert counts(await load(tx, document(name))) == (0, 0, number, 0)
    rules = await queries.stop_rules(tx)
    missing = (rules, StopCause.RESOURCE_MISSING)
    assert stop_rule_for(*missing, WorkType.INSTALL, PATH, TODAY)
    assert stop_rule_for(*missing, WorkType.REPAIR, PATH, TODAY) is None
    steps = await queries.escalation_steps(tx)
    assert [one.level for one in steps_for(steps, WorkType.REPAIR, PATH, TODAY)] == list(Level)
    calendar = await queries.whole_calendar(tx)
    # National day is a holiday, the Saturday after it is worked with its pause at noon.
    assert calendar.hours(PATH, date(2026, 10, 1)) == ()
    assert calendar.hours(PATH, date(2026, 10, 10)) == (
        (time(8), time(12)),
        (time(13, 30), time(19)),
    )


async def test_a_promise_may_say_for_whom_and_by_which_clock(tx):
    special = f"{PROMISE}  value_tier: gold\n  grid_kind: business_building\n  clock: working\n"
    await load_promise_rules(tx, special)
    rule = await tx.scalar(select(PromiseRule))
    assert (rule.value_tier, rule.grid_kind, rule.clock) == (
        "gold",
        "business_building",
        Clock.WORKING,
    )
    with pytest.raises(FileRefused):
        await load_promise_rules(tx, special.replace("gold", "silver"))


DAY = 'days:\n- {day: 2099-01-01, kind: holiday, name_zh: 元旦, name_en: "New Year"}\n'


async def test_a_day_that_has_passed_is_not_rewritten(tx):
    await load_calendar(tx, DAY)
    await load_calendar(tx, DAY.replace("2099", "2020"))
    worked = DAY.replace("holiday", "workday")
    assert counts(await load_calendar(tx, worked)) == (0, 1, 0, 0)
    with pytest.raises(FileRefused):
        await load_calendar(tx, worked.replace("2099", "2020"))
    assert {row.kind.value for row in await tx.scalars(select(CalendarDay))} == {
        "holiday",
        "workday",
    }
    # Its name may be put right.
    renamed = DAY.replace("2099", "2020").replace("New Year", "New Year's Day")
    assert counts(await load_calendar(tx, renamed)) == (0, 1, 0, 0)


@pytest.mark.parametrize(
    ("load", "name", "was", "becomes"),
    [
        (load_stop_rules, "stop_rules.yaml", "cause: weather", "cause: whim"),
        (load_stop_rules, "stop_rules.yaml", "most_hours: 48", "most_hours: 0"),
        (load_working_hours, "working_hours.yaml", '"12:00"', '"07:00"'),
        (load_working_hours, "working_hours.yaml", "weekdays: 127", "weekdays: 128"),
        (load_escalation_rules, "escalation_rules.yaml", "level: branch", "level: moon"),
        (load_calendar, "calendar.yaml", "kind: holiday", "kind: party"),
    ],
)
async def test_bad_entries_are_named(tx, load, name, was, becomes):
    with pytest.raises(FileRefused):
        await load(tx, document(name).replace(was, becomes, 1))
