"""A week of a small branch through the public API; see benchmarks/week for what is watched."""

from collections import Counter
from datetime import date

from app.core.jobs import Worker
from app.technicians.models import TechnicianDay
from benchmarks.week import watch
from benchmarks.week.simulation import Scale, Week
from benchmarks.week.town import make_branch
from tests.make.technicians import make_technician


async def test_a_week_of_a_branch_breaks_no_rule(
    real_app, real_http, settings, real_database, clock
):
    async with real_database.begin() as tx:
        branch = await make_branch(tx, real_app, clock, technicians=4)
    worker = Worker(settings, clock, real_database)
    scale = Scale(orders=9, outage=6)
    week = Week(real_http, worker, clock, branch, seed=1, scale=scale)
    days = await week.play()
    whole = sum((day.counts for day in days), Counter())
    # It was a week in which something happened.
    assert len(week.plans) == 7 + whole["replans"]
    assert whole["completed"] > 50
    for what in (
        "appointments met",
        "cancelled",
        "moved by hand",
        "undoing tried",
        "leaves",
        "replans",
    ):
        assert whole[what] > 0, (what, whole)


def test_a_history_that_is_not_legal_is_seen():
    taken_in = {"step": None, "from_state": None, "to_state": "received"}
    located = {"step": "locate", "from_state": "received", "to_state": "located"}
    assert watch.legal([taken_in, located]) is None
    done = {"step": "complete", "from_state": "located", "to_state": "completed"}
    assert "complete leads from located" in str(watch.legal([taken_in, located, done]))
    assert "begins at" in str(watch.legal([taken_in, {**located, "from_state": "unplaced"}]))


async def test_what_does_not_add_up_is_seen(tx, clock):
    """The rules themselves: a day that has minutes for nothing."""
    assert await watch.look(tx, clock.now()) == []
    technician = await make_technician(tx)
    tx.add(TechnicianDay(technician_id=technician.id, day=date(2026, 3, 2), committed_minutes=60))
    await tx.flush()
    [(words, row)] = await watch.look(tx, clock.now())
    assert "books" in words and row["committed_minutes"] == 60
