"""Whatever is asked of orders and visits, in whatever order: nothing ends up in an illegal state.

Hypothesis walks at random over the doorways that phones, supervisors and upstream systems use. Each
step may be refused, but only by name; after each the database is asked for everything that must
never be.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from app.auth.rules import Role
from app.core.clock import FixedClock
from app.core.db import new_id, open_database
from app.core.settings import Settings
from app.promises.rules import StopCause
from app.visits.rules import (
    DeclineCause,
    HandBackCause,
    ScanAction,
    SuspendCause,
    TransferCause,
)
from app.workorders.rules import MOVES, Step
from app.worktypes.rules import BUILT_IN, WorkType
from tests.conftest import MONDAY_NINE, RolledBack, assembled, http_on
from tests.make.auth import bearer, caller_for, make_account
from tests.make.customers import make_customer
from tests.make.dispatch import make_territory, order
from tests.make.promises import make_stop_rule
from tests.make.terminals import make_terminal
from tests.make.workorders import make_promise

Given = TypeVar("Given")

CUSTOMER = "C-1"
EVENING = MONDAY_NINE + timedelta(hours=8)
# What the suite has time for; a night has time for more: YINGWEI_WALK=100 takes 10,000 steps.
STEPS, WALKS = 100, int(os.environ.get("YINGWEI_WALK", "6"))

# Each line is something that must never be, and reads as what is wrong.
NEVER = """
    SELECT 'held without a holder or a day, or the other way round: ' || id FROM work_order
    WHERE (state IN ('assigned', 'acknowledged', 'en_route', 'on_site', 'suspended'))
        <> (holder_id IS NOT NULL AND planned_day IS NOT NULL)
    AND state NOT IN ('completed', 'archived', 'cancelled')
UNION ALL
    SELECT 'two orders under way at once: ' || holder_id FROM work_order
    WHERE state IN ('en_route', 'on_site') GROUP BY holder_id HAVING count(*) > 1
UNION ALL
    SELECT 'at a door without a visit that is going on, or the other way round: ' || o.id
    FROM work_order o
    LEFT JOIN visit v ON v.work_order_id = o.id AND v.ended_at IS NULL
    WHERE (o.state IN ('en_route', 'on_site', 'suspended')) <> (v.id IS NOT NULL)
    AND NOT (o.state = 'cancelled' AND v.id IS NOT NULL) -- ended by a job
UNION ALL
    SELECT 'somebody else is at the door than who holds the order: ' || o.id
    FROM work_order o JOIN visit v ON v.work_order_id = o.id AND v.ended_at IS NULL
    WHERE o.holder_id <> v.technician_id
UNION ALL
    SELECT 'its state is not where its last step led: ' || o.id || ' ' || o.state
    FROM work_order o
    CROSS JOIN LATERAL (
        SELECT to_state FROM work_order_event e
        WHERE e.work_order_id = o.id ORDER BY e.id DESC LIMIT 1
    ) last
    WHERE last.to_state <> o.state
UNION ALL
    SELECT 'a step that begins elsewhere than where the one before had led: ' || e.id
    FROM (
        SELECT id, from_state, to_state, lag(to_state) OVER (
            PARTITION BY work_order_id ORDER BY id
        ) AS before FROM work_order_event
    ) e
    WHERE e.before IS NOT NULL AND e.from_state IS DISTINCT FROM e.before
UNION ALL
    SELECT 'a day promises other minutes than its orders take: ' || d.technician_id || ' ' || d.day
    FROM technician_day d
    LEFT JOIN (
        SELECT holder_id, planned_day, sum(estimated_minutes) AS minutes, count(*) AS orders
        FROM work_order
        WHERE state IN ('assigned', 'acknowledged', 'en_route', 'on_site', 'suspended')
        GROUP BY holder_id, planned_day
    ) o ON o.holder_id = d.technician_id AND o.planned_day = d.day
    WHERE (d.committed_minutes, d.orders) IS DISTINCT FROM
        (coalesce(o.minutes, 0), coalesce(o.orders, 0))
UNION ALL
    SELECT 'completed without an outcome or a moment: ' || id FROM work_order
    WHERE (state IN ('completed', 'archived')) <> (completed_at IS NOT NULL)
    OR (state = 'completed') <> (outcome_code IS NOT NULL)
UNION ALL
    SELECT 'it was asked for more often than somebody called: ' || o.id
    FROM work_order o
    LEFT JOIN (
        SELECT work_order_id, count(*) AS calls FROM work_order_event
        WHERE step = 'nudge' GROUP BY work_order_id
    ) e ON e.work_order_id = o.id
    WHERE o.nudges <> coalesce(e.calls, 0)
UNION ALL
    SELECT 'a terminal is not where its last move brought it: ' || t.serial_number
    FROM terminal t
    JOIN terminal_move m ON m.terminal_id = t.id AND m.number = t.last_move
    WHERE (t.pool, t.technician_id, t.customer_id, t.service_number) IS DISTINCT FROM
        (m.to_pool, m.to_technician_id, m.to_customer_id, m.to_service_number)
UNION ALL
    SELECT 'a move begins elsewhere than where the one before had brought it: ' || m.id
    FROM terminal_move m
    JOIN terminal_move b ON b.terminal_id = m.terminal_id AND b.number = m.number - 1
    WHERE (m.from_pool, m.from_technician_id, m.from_customer_id) IS DISTINCT FROM
        (b.to_pool, b.to_technician_id, b.to_customer_id)
UNION ALL
    SELECT 'a terminal was moved in a visit of somebody else or after it: ' || m.id
    FROM terminal_move m JOIN visit v ON v.id = m.visit_id
    WHERE v.technician_id <> m.by_technician_id OR m.at > v.ended_at
UNION ALL
    SELECT 'a clock that stands still twice at once: ' || a.id
    FROM clock_stop a JOIN clock_stop b ON b.work_order_id = a.work_order_id AND b.id > a.id
    WHERE a.withdrawn_at IS NULL AND b.withdrawn_at IS NULL
    AND tstzrange(a.began_at, coalesce(a.ended_at, a.ends_by))
        && tstzrange(b.began_at, coalesce(b.ended_at, b.ends_by))
UNION ALL
    SELECT 'it is due at another time than first, and all that its clock stood still: ' || o.id
    FROM work_order o
    JOIN (
        SELECT work_order_id, min(first_due_at) AS first, sum(
            coalesce(ended_at, ends_by) - began_at
        ) FILTER (WHERE withdrawn_at IS NULL) AS stood
        FROM clock_stop GROUP BY work_order_id
    ) s ON s.work_order_id = o.id
    WHERE o.due_at <> s.first + coalesce(s.stood, interval '0')
"""
HOLDER = "SELECT holder_id FROM work_order WHERE id = :id"
GOING_ON = """
    SELECT id, technician_id FROM visit WHERE ended_at IS NULL
    ORDER BY travel_started_at DESC, id LIMIT 1
"""
ORDER = "SELECT work_order_id FROM visit WHERE id = :id"
WORK_TYPE = """
    SELECT work_type FROM work_order o JOIN visit v ON v.work_order_id = o.id WHERE v.id = :id
"""
# What is told in an order's history and moves it nowhere.
UNREADABLE = {"invalid", "malformed"}
BESIDE = {Step.STOP_CLOCK, Step.START_CLOCK}
STEPS_TAKEN = """
    SELECT id, from_state, step, to_state FROM work_order_event
    WHERE step IS NOT NULL AND id > :seen ORDER BY id
"""
LEGAL = {(state.value, step.value): then.value for (state, step), then in MOVES.items()}

PERSON = st.integers(0, 1)
WORK_TYPES = st.sampled_from([*WorkType, WorkType.REPAIR, WorkType.REPAIR])
# Mostly the last one and mostly whose it is, so that the walk gets somewhere.
WHICH = st.sampled_from([0, 0, 0, 0, 1, 1, 2, 5])
STRANGER = st.sampled_from([False, False, False, False, False, True])


class AnyStep(RuleBasedStateMachine):
    """Two technicians of two neighbouring grids, and all that can happen to their orders."""

    database_url = ""
    went: Counter[tuple[str, bool]]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.open = AsyncExitStack()
        self.clock = FixedClock(MONDAY_NINE)
        self.orders: list[str] = []
        self.visits: list[tuple[str, int]] = []
        self.scans: list[tuple[str, str, int]] = []
        self.stops: list[tuple[str, str]] = []
        self.seen = UUID(int=0)

    def run(self, doing: Coroutine[Any, Any, Given]) -> Given:
        return self.runner.run(doing)

    @initialize()
    def begin(self) -> None:
        """Let both stand at a door, with one order more each: doors are where most can happen."""
        self.run(self._begin())
        for person in (0, 1):
            for work_type in (WorkType.REPAIR, WorkType.INSTALL):
                self.an_order_comes(work_type, person, 3)
            self.go_to_the_next_door(person, 3)

    async def _begin(self) -> None:
        given = Settings(database_url=self.database_url, log_level="ERROR")
        opened = open_database(given)
        self.open.push_async_callback(opened.close)
        connection = await self.open.enter_async_context(opened.engine.connect())
        outer = await connection.begin()
        self.open.push_async_callback(outer.rollback)
        self.database = RolledBack(opened, connection)
        app = assembled(given, clock=self.clock, database=self.database)
        await self.open.enter_async_context(app.router.lifespan_context(app))
        self.http = await self.open.enter_async_context(http_on(app))
        async with self.database.begin() as tx:
            land = await make_territory(tx, grids=2)
            unit = land.org_unit
            self.people, self.points = [], [land.point_in(grid) for grid in land.grids]
            for grid in land.grids:
                technician = await land.add_technician(grid, daily_minutes=480)
                account = await make_account(
                    tx, unit, role=Role.TECHNICIAN, technician_id=technician.id
                )
                caller = caller_for(
                    Role.TECHNICIAN, unit, account_id=account.id, technician_id=technician.id
                )
                self.people.append(bearer(app, caller))
            self.technicians = [str(person.id) for person in land.people]
            customer = await make_customer(tx, org_unit=unit, code=CUSTOMER)
            self.serials = [
                (await make_terminal(tx, unit, technician_id=land.people[0].id)).serial_number,
                (await make_terminal(tx, unit, technician_id=land.people[1].id)).serial_number,
                (await make_terminal(tx, unit, customer_id=customer.id)).serial_number,
            ]
            await make_promise(tx)
            for cause in StopCause:
                await make_stop_rule(tx, cause, most_hours=6.0)
            self.upstream = bearer(app, caller_for(Role.INTEGRATION, unit))
            supervisor = await make_account(tx, unit, role=Role.SUPERVISOR)
            self.supervisor = bearer(
                app, caller_for(Role.SUPERVISOR, unit, account_id=supervisor.id)
            )

    def teardown(self) -> None:
        self.run(self.open.aclose())
        self.runner.close()

    # --- what is asked ---------------------------------------------------------------------------

    def post(self, who: dict[str, str], path: str, **body: Any) -> httpx.Response:
        answer = self.run(self.http.post(f"/v1{path}", json=body, headers=who))
        self.went[path.rsplit("/", 1)[-1], answer.is_success] += 1
        assert answer.status_code < 500, answer.text
        if not answer.is_success:
            # A walk that only sends what cannot be read would prove nothing.
            assert answer.json()["type"].rsplit(":", 1)[-1] not in UNREADABLE, answer.text
        return answer

    def get(self, who: dict[str, str], path: str) -> httpx.Response:
        answer = self.run(self.http.get(f"/v1{path}", headers=who))
        assert answer.status_code < 500, answer.text
        return answer

    def step(self, person: int, path: str, **body: Any) -> httpx.Response:
        return self.post(self.people[person], path, device_at=self.at(), **body)

    def at(self) -> str:
        return self.clock.now().isoformat()

    def an_order(self, which: int) -> str:
        return self.orders[-1 - which % len(self.orders)]

    def held(self, which: int, stranger: bool) -> tuple[str, int]:
        """An order, and who has it; or somebody who has not."""
        order_id = self.an_order(which)
        (holder,) = self.run(self._read(HOLDER, order_id))
        person = self.technicians.index(str(holder)) if holder else which % 2
        return order_id, 1 - person if stranger else person

    def visited(self, which: int, stranger: bool) -> tuple[str, int]:
        """A visit, mostly one that goes on, and who makes it; or somebody who does not."""
        going_on = self.run(self._read(GOING_ON))
        if which < 3 and going_on is not None:
            visit_id, technician_id = str(going_on[0]), str(going_on[1])
            person = self.technicians.index(technician_id)
        else:
            visit_id, person = self.visits[-1 - which % len(self.visits)]
        return visit_id, 1 - person if stranger else person

    @rule(
        work_type=st.sampled_from([*WorkType, *[WorkType.REPAIR] * 4]),
        where=PERSON,
        priority=st.integers(1, 4),
    )
    def an_order_arrives(self, work_type, where, priority):
        self.an_order_comes(work_type, where, priority)

    def an_order_comes(self, work_type: WorkType, where: int, priority: int) -> None:
        sent = order(
            f"F-{len(self.orders)}",
            work_type=work_type.value,
            point=self.points[where],
            priority=priority,
            customer_code=CUSTOMER,
        )
        answer = self.post(self.upstream, "/work-orders", **sent)
        assert answer.status_code in (200, 201), answer.text
        self.orders.append(answer.json()["id"])

    @precondition(lambda self: self.orders)
    @rule(which=WHICH, stranger=STRANGER, cause=st.none() | st.sampled_from(DeclineCause))
    def somebody_takes_it_on_or_declines(self, which, stranger, cause):
        order_id, person = self.held(which, stranger)
        if cause is None:
            self.step(person, f"/work-orders/{order_id}/acknowledge")
        else:
            self.step(person, f"/work-orders/{order_id}/decline", cause=cause)

    @precondition(lambda self: self.orders)
    @rule(which=WHICH, stranger=STRANGER)
    def somebody_sets_out(self, which, stranger):
        order_id, person = self.held(which, stranger)
        visit_id = str(new_id())
        sent = {"id": visit_id, "work_order_id": order_id}
        if self.step(person, "/visits", **sent).is_success:
            self.visits.append((visit_id, person))

    @precondition(lambda self: self.visits)
    @rule(which=WHICH, stranger=STRANGER, where=PERSON)
    def somebody_checks_in(self, which, stranger, where):
        visit_id, person = self.visited(which, stranger)
        path = f"/visits/{visit_id}/check-in"
        self.step(person, path, point=self.points[where], far_reason="met_elsewhere")

    @precondition(lambda self: self.visits)
    @rule(which=WHICH, stranger=STRANGER, cause=st.sampled_from(SuspendCause))
    def somebody_suspends(self, which, stranger, cause):
        visit_id, person = self.visited(which, stranger)
        until = (self.clock.now() + timedelta(hours=2)).isoformat()
        path = f"/visits/{visit_id}/suspend"
        self.step(person, path, cause=cause, resume_at=until)

    @precondition(lambda self: self.visits)
    @rule(which=WHICH, stranger=STRANGER, step=st.sampled_from(["resume", "restored"]))
    def somebody_goes_on(self, which, stranger, step):
        visit_id, person = self.visited(which, stranger)
        self.step(person, f"/visits/{visit_id}/{step}")

    @precondition(lambda self: self.visits)
    @rule(which=WHICH, stranger=STRANGER, cause=st.sampled_from(HandBackCause))
    def somebody_hands_it_back(self, which, stranger, cause):
        visit_id, person = self.visited(which, stranger)
        (order_id,) = self.run(self._read(ORDER, visit_id))
        path = f"/visits/{visit_id}" if which else f"/work-orders/{order_id}"
        self.step(person, f"{path}/hand-back", cause=cause)

    @precondition(lambda self: self.visits)
    @rule(which=WHICH, stranger=STRANGER)
    def somebody_finishes(self, which, stranger):
        visit_id, person = self.visited(which, stranger)
        (work_type,) = self.run(self._read(WORK_TYPE, visit_id))
        code = BUILT_IN[WorkType(work_type)].closing_codes[0].code
        self.step(person, f"/visits/{visit_id}/complete", outcome_code=code)

    @precondition(lambda self: self.orders)
    @rule(which=WHICH, to=PERSON)
    def a_supervisor_gives_it_to(self, which, to):
        order_id = self.an_order(which)
        seen = self.get(self.supervisor, f"/work-orders/{order_id}")
        version = seen.json()["version"] if seen.is_success else 1
        self.post(
            self.supervisor,
            f"/work-orders/{order_id}/assign",
            technician_id=self.technicians[to],
            day="2026-03-02",
            version=version,
            reason="the customer knows them",
        )

    @precondition(lambda self: self.visits)
    @rule(
        which=WHICH,
        stranger=STRANGER,
        action=st.sampled_from(ScanAction),
        serial=st.integers(0, 2),
        other=st.integers(1, 2),
    )
    def somebody_scans_a_terminal(self, which, stranger, action, serial, other):
        visit_id, person = self.visited(which, stranger)
        scan_id = str(new_id())
        swapped = action is ScanAction.SWAPPED
        answer = self.step(
            person,
            f"/visits/{visit_id}/terminals",
            id=scan_id,
            action=action,
            serial_number=self.serials[serial],
            **({"reason": "faulty"} if swapped else {}),
            **({"replaced_serial_number": self.serials[(serial + other) % 3]} if swapped else {}),
        )
        if answer.is_success:
            self.scans.append((visit_id, scan_id, person))

    @precondition(lambda self: self.scans)
    @rule(which=WHICH)
    def somebody_takes_a_scan_back(self, which):
        visit_id, scan_id, person = self.scans[-1 - which % len(self.scans)]
        self.step(person, f"/visits/{visit_id}/terminals/{scan_id}/undo")

    @precondition(lambda self: self.orders)
    @rule(
        which=WHICH,
        cause=st.sampled_from(StopCause),
        ago=st.integers(1, 40),
        minutes=st.none() | st.integers(1, 60),
    )
    def a_clock_is_stopped(self, which, cause, ago, minutes):
        began_at = self.clock.now() - timedelta(minutes=ago)
        until = began_at + timedelta(minutes=min(minutes or 0, ago))
        stop_id, order_id = str(new_id()), self.an_order(which)
        answer = self.post(
            self.upstream,
            f"/work-orders/{order_id}/clock-stops",
            id=stop_id,
            cause=cause,
            proof={"kind": "reference", "reference": "R-1"},
            began_at=began_at.isoformat(),
            **({"ended_at": until.isoformat()} if minutes else {}),
        )
        if answer.is_success:
            self.stops.append((order_id, stop_id))

    @precondition(lambda self: self.stops)
    @rule(which=WHICH, withdrawn=st.booleans())
    def a_stop_ends_or_is_withdrawn(self, which, withdrawn):
        order_id, stop_id = self.stops[-1 - which % len(self.stops)]
        path = f"/work-orders/{order_id}/clock-stops/{stop_id}"
        if withdrawn:
            self.post(self.upstream, f"{path}/withdraw", reason="it was another order")
        else:
            self.post(self.upstream, f"{path}/end", at=self.at())

    @precondition(lambda self: self.orders)
    @rule(which=WHICH, stranger=STRANGER, cause=st.sampled_from(TransferCause))
    def somebody_passes_it_on(self, which, stranger, cause):
        order_id, person = self.held(which, stranger)
        colleague = self.technicians[1 - person]
        self.step(person, f"/work-orders/{order_id}/transfer", to=colleague, cause=cause)

    @precondition(lambda self: self.orders)
    @rule(which=WHICH, call=st.integers(1, 3))
    def a_customer_asks_for_it(self, which, call):
        self.post(
            self.upstream, f"/work-orders/{self.an_order(which)}/nudges", reference=f"CALL-{call}"
        )

    @precondition(lambda self: len(self.orders) > 6)
    @rule(which=st.integers(3, 6))
    def upstream_cancels(self, which):
        self.post(self.upstream, f"/work-orders/{self.an_order(which)}/cancel", reason="moved")

    @rule(person=PERSON, steps=st.integers(1, 3))
    def somebody_goes_to_the_next_door(self, person, steps):
        self.go_to_the_next_door(person, steps)

    def go_to_the_next_door(self, person: int, steps: int) -> None:
        """Do what comes next, as the day lists it."""
        for _ in range(steps):
            day = self.get(self.people[person], "/my/day").json()["orders"]
            left = [one for one in day if one["state"] not in ("completed", "archived")]
            if not left or left[0]["state"] == "on_site":
                return
            if not self.next_step(person, left[0]).is_success:
                return

    def next_step(self, person: int, doing: dict[str, Any]) -> httpx.Response:
        """Take the step that an order waits for on its way to the door."""
        match doing["state"]:
            case "assigned":
                return self.step(person, f"/work-orders/{doing['id']}/acknowledge")
            case "acknowledged":
                visit_id = str(new_id())
                set_out = self.step(person, "/visits", id=visit_id, work_order_id=doing["id"])
                if set_out.is_success:
                    self.visits.append((visit_id, person))
                return set_out
            case "en_route":
                path = f"/visits/{doing['visit_id']}/check-in"
                return self.step(
                    person, path, point=self.points[person], far_reason="met_elsewhere"
                )
            case _:
                return self.step(person, f"/visits/{doing['visit_id']}/resume")

    @rule(minutes=st.integers(1, 20))
    def time_passes(self, minutes):
        """Let it be later the same day; what is left over at night is another day's."""
        self.clock.set(min(self.clock.now() + timedelta(minutes=minutes), EVENING))

    async def _read(self, statement: str, one: str | None = None) -> Any:
        given = {"id": UUID(one)} if one else {}
        async with self.database.read() as session:
            return (await session.execute(text(statement), given)).one_or_none()

    # --- what must never be ----------------------------------------------------------------------

    @invariant()
    def nothing_is_as_it_must_never_be(self):
        if self.orders:
            assert self.run(self._wrong()) == []

    async def _wrong(self) -> list[Any]:
        async with self.database.read() as session:
            wrong = list(await session.scalars(text(NEVER)))
            for row in await session.execute(text(STEPS_TAKEN), {"seen": self.seen}):
                self.seen = row.id
                stays = row.step in BESIDE and row.from_state == row.to_state
                if not stays and LEGAL.get((row.from_state, row.step)) != row.to_state:
                    wrong.append(row)
        return wrong


@pytest.mark.timeout(600)
def test_whatever_is_asked_in_whatever_order_nothing_illegal_comes_of_it(database_url):
    went: Counter[tuple[str, bool]] = Counter()
    machine = type("AnyStepHere", (AnyStep,), {"database_url": database_url, "went": went})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=WALKS,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    # Walks that never get anywhere would find nothing.
    stuck = {step for step, _ in went if not went[step, True]}
    assert not stuck or WALKS < 20, stuck
    assert sum(went[step, True] for step, _ in went) > STEPS * WALKS / 10
