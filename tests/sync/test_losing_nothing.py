"""Whatever phones do, and whatever the network does to it: nothing is lost, nothing happens twice.

Two technicians with three reference phones, a supervisor and the system that sends orders, on real
connections. The network loses requests and answers, sends twice and late; phones are switched off
and installed anew; two sync at once; an order moves while it is worked on; now and then the
database is restored. At the end everything is delivered, and all phones are asked what they know.
"""

import asyncio
import os
import random
import tempfile
from collections import Counter
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from app.auth.rules import Role
from app.core.clock import FixedClock
from app.core.db import open_database
from app.core.settings import Settings
from app.phone.line import NoSignal
from app.phone.phone import Phone
from app.phone.rules import SHORT, Stage
from app.phone.store import Done, Store
from app.sync.service import turning
from app.workorders.rules import Step
from tests.conftest import MONDAY_NINE, assembled, http_on
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.customers import make_customer
from tests.make.phones import BadNetwork, make_reference_phone
from tests.make.visits import LAT, LON, at, make_assigned_order, make_phone

Given = TypeVar("Given")

# What the suite has time for; a night has time for more: YINGWEI_PHONES=200 plays 200 days.
DAYS = int(os.environ.get("YINGWEI_PHONES", "2"))
STEPS = 40 if DAYS > 2 else 22
# Whose phones these are, and how far their clocks are wrong.
PHONES = ((0, timedelta(0)), (0, timedelta(hours=2)), (1, timedelta(minutes=-20)))
SAID: dict[str, dict[str, Any]] = {
    "decline": {"cause": "no_time"},
    "arrive": {"point": at(LON, LAT)},
    "note": {"checked": []},
    "suspend": {"cause": "customer_postponed"},
    "finish": {"outcome_code": "fixed"},
    "back": {"cause": "customer_absent"},
    "pass": {"cause": "no_time"},
}
# Most of the time a day goes on; what ends it for an order comes now and then.
USUAL = ("take", "go", "arrive", "restored", "finish", "note", "resume")
STEP = st.sampled_from([*USUAL, *USUAL, *(name for name in SHORT if name != "fit")])
WHO, WHICH = st.integers(0, len(PHONES) - 1), st.integers(0, 5)

EVENTS = """
    SELECT e.work_order_id, e.device_at, e.step FROM work_order_event AS e
    JOIN work_order AS o ON o.id = e.work_order_id
    WHERE o.org_unit_id = :unit AND e.device_at IS NOT NULL AND e.step IS NOT NULL
"""
ACTIONS = """
    SELECT a.id, a.type, a.payload, a.device_at, a.received_at, a.verdict FROM sync_action AS a
    JOIN technician AS t ON t.id = a.technician_id WHERE t.org_unit_id = :unit
"""
NOTES = """
    SELECT v.id, v.note FROM visit AS v JOIN technician AS t ON t.id = v.technician_id
    WHERE t.org_unit_id = :unit
"""
# The step of an order that an action takes, where it takes one.
MOVES = {
    "visits_acknowledge": Step.ACKNOWLEDGE,
    "visits_decline": Step.DECLINE,
    "visits_set_out": Step.TRAVEL,
    "visits_check_in": Step.CHECK_IN,
    "visits_suspend": Step.SUSPEND,
    "visits_resume": Step.RESUME,
    "visits_restored": Step.RESTORE,
    "visits_complete": Step.COMPLETE,
    "visits_hand_back": Step.HAND_BACK,
    "visits_transfer": Step.TRANSFER,
}


class Wrong:
    """A phone's clock, which is wrong by so much."""

    def __init__(self, clock: FixedClock, by: timedelta) -> None:
        self.clock, self.by = clock, by

    def now(self) -> datetime:
        return self.clock.now() + self.by

    def real(self, moment: datetime) -> datetime:
        return self.clock.real(moment - self.by)


class Town:
    """What all days share: the application on a database of its own."""

    def __init__(self, database_url: str) -> None:
        self.runner = asyncio.Runner()
        self.open = AsyncExitStack()
        self.clock = FixedClock(MONDAY_NINE)
        self.database_url = database_url
        self.days = 0
        self.took: Counter[tuple[str, str]] = Counter()
        self.run(self._begin())

    def run(self, doing: Coroutine[Any, Any, Given]) -> Given:
        return self.runner.run(doing)

    async def _begin(self) -> None:
        given = Settings(database_url=self.database_url, log_level="ERROR", pool_size=4)
        self.database = open_database(given)
        self.open.push_async_callback(self.database.close)
        self.app = assembled(given, clock=self.clock, database=self.database)
        await self.open.enter_async_context(self.app.router.lifespan_context(self.app))
        self.http = await self.open.enter_async_context(http_on(self.app))

    def close(self) -> None:
        self.run(self.open.aclose())
        self.runner.close()


class PhonesOfADay(RuleBasedStateMachine):
    """One day of two technicians, their phones and their orders."""

    town: Town

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.run, self.clock = self.town.run, self.town.clock
        self.orders: list[str] = []
        self.pictures: list[tuple[int, str]] = []
        self.withdrawn: set[str] = set()
        # What was done and judged on phones that were installed anew since.
        self.before: list[Done] = []
        self.began = False

    @initialize(luck=st.integers(0, 2**16), share=st.sampled_from([0.0, 0.4, 0.8]))
    def begin(self, luck, share):
        self.town.days += 1
        self.clock.set(MONDAY_NINE + timedelta(days=self.town.days))
        self.evening = self.clock.now() + timedelta(hours=8)
        self.luck, self.share = luck, share
        self.run(self._begin())
        self.began = True

    async def _begin(self) -> None:
        town = self.town
        async with town.database.begin() as tx:
            self.unit = await make_org_unit(tx)
            self.people = [
                await make_phone(tx, town.app, town.http, self.clock, org_unit=self.unit)
                for _ in "12"
            ]
            self.customer = await make_customer(tx, org_unit=self.unit)
            supervisor = await make_account(tx, self.unit, role=Role.SUPERVISOR)
            caller = caller_for(Role.SUPERVISOR, self.unit, account_id=supervisor.id)
            self.supervisor = bearer(town.app, caller)
            self.upstream = bearer(town.app, caller_for(Role.INTEGRATION, self.unit))
        to = town.http._transport
        self.networks = [
            BadNetwork(to, random.Random(self.luck + number), share=0.0)
            for number in range(len(PHONES))
        ]
        self.phones = [self._phone(number) for number in range(len(PHONES))]
        for who in (0, 0, 1):
            await self._order(who)
        for who, network in enumerate(self.networks):
            await self.phones[who].sync()
            self._go_on(who)
            network.share = self.share

    def _phone(self, number: int) -> Phone:
        whose, wrong = PHONES[number]
        http = httpx.AsyncClient(transport=self.networks[number], base_url="http://yingwei.test")
        folder = Path(self.folder.name) / str(number)
        phone = make_reference_phone(folder, self.people[whose], http, store=Store(folder))
        # No two phones do anything at the very same moment.
        phone.clock = Wrong(self.clock, wrong + timedelta(microseconds=number))
        return phone

    async def _order(self, who: int) -> None:
        async with self.town.database.begin() as tx:
            order = await make_assigned_order(
                tx,
                self.people[who].technician,
                self.customer,
                now=self.clock.now(),
                planned_day=self.clock.now().date(),
            )
            self.orders.append(str(order.id))

    def teardown(self) -> None:
        try:
            if self.began:
                self.run(self._all_is_well())
        finally:
            if self.began:
                for phone in self.phones:
                    phone.store.close()
            self.folder.cleanup()

    # --- what happens -----------------------------------------------------------------------------

    @rule(who=WHO, which=WHICH, name=STEP)
    def somebody_takes_a_step(self, who, which, name):
        phone = self.phones[who]
        # Orders of which something is still to be done come first.
        known = sorted(phone.orders(), key=lambda one: not phone.steps(one))
        if not known:
            return
        order = known[which % len(known)]
        short = SHORT[name]
        if short.on == "visit" and order.visit_id is None:
            return
        self.clock.tick(timedelta(seconds=1))
        said = dict(SAID.get(name, {}))
        if name == "note":
            said["note"] = f"{who} {self.clock.now().isoformat()}"
        if name == "suspend":
            said["resume_at"] = (self.clock.now() + timedelta(hours=4)).isoformat()
        if name == "pass":
            said["to"] = self.people[1 - PHONES[who][0]].technician.code
        phone.step(name, order.id, **said)

    @rule(who=WHO, steps=st.integers(1, 4), then_syncs=st.booleans())
    def somebody_goes_on(self, who, steps, then_syncs):
        for _ in range(steps):
            self._go_on(who)
        if then_syncs:
            self.run(self._sync(who))

    def _go_on(self, who: int) -> None:
        """Do what is offered next, which gets a day forward."""
        phone = self.phones[who]
        for order in phone.orders():
            for name in ("take", "go", "arrive", "resume", "restored"):
                if name in phone.steps(order):
                    self.clock.tick(timedelta(seconds=1))
                    phone.step(name, order.id, **SAID.get(name, {}))
                    return

    @rule(who=WHO, which=WHICH)
    def somebody_takes_a_picture(self, who, which):
        phone = self.phones[who]
        if known := phone.orders():
            self.clock.tick(timedelta(seconds=1))
            picture = phone.photograph(known[which % len(known)].id, b"picture" + os.urandom(8))
            self.pictures.append((who, picture))

    @precondition(lambda self: self.pictures)
    @rule(which=WHICH)
    def somebody_takes_a_picture_back(self, which):
        who, picture = self.pictures[which % len(self.pictures)]
        self.clock.tick(timedelta(seconds=1))
        self.withdrawn.add(self.phones[who].do("evidence_upload_withdraw", {"upload_id": picture}))

    @rule(who=WHO)
    def a_phone_syncs(self, who):
        self.clock.tick(timedelta(seconds=5))
        self.run(self._sync(who))

    @rule(one=WHO, other=WHO)
    def two_sync_at_once(self, one, other):
        self.clock.tick(timedelta(seconds=5))

        async def both() -> None:
            await asyncio.gather(*(self._sync(who) for who in {one, other}))

        self.run(both())

    async def _sync(self, who: int) -> None:
        with suppress(NoSignal):
            await self.phones[who].sync()

    @rule(who=WHO)
    def what_was_late_arrives(self, who):
        self.run(self.networks[who].deliver())

    @rule(who=WHO)
    def a_phone_is_switched_off_and_on(self, who):
        self.phones[who].store.close()
        self.phones[who] = self._phone(who)

    @rule(who=WHO, rarely=st.sampled_from([False, False, True]))
    def a_phone_is_installed_anew_and_keeps_its_queue(self, who, rarely):
        if rarely:
            store = self.phones[who].store
            self.before += [one for one in store.done() if one.stage is not Stage.WAITING]
            store.empty(kept=["tokens"], unsent=False)

    @rule(to=st.integers(0, 1))
    def an_order_comes(self, to):
        self.run(self._order(to))

    @rule(which=WHICH, to=st.integers(0, 1))
    def a_supervisor_gives_it_to(self, which, to):
        self.run(self._given(self.orders[which % len(self.orders)], to))

    async def _given(self, order_id: str, to: int) -> None:
        url = f"/v1/work-orders/{order_id}"
        seen = (await self.town.http.get(url, headers=self.supervisor)).json()
        await self._asked(
            f"{url}/assign",
            self.supervisor,
            technician_id=str(self.people[to].technician.id),
            day=self.clock.now().date().isoformat(),
            version=seen["version"],
            reason="the customer knows them",
        )

    @rule(which=WHICH, rarely=st.sampled_from([False, False, True]))
    def upstream_cancels(self, which, rarely):
        if rarely:
            url = f"/v1/work-orders/{self.orders[which % len(self.orders)]}/cancel"
            self.run(self._asked(url, self.upstream, reason="moved"))

    async def _asked(self, url: str, headers: dict[str, str], **body: Any) -> None:
        answer = await self.town.http.post(url, json=body, headers=headers)
        assert answer.status_code < 500, answer.text
        assert answer.status_code != 422, answer.text

    @rule(minutes=st.sampled_from([1, 10, 130]))
    def time_passes(self, minutes):
        """Let it be later the same day; what is left over at night is another day's."""
        later = self.clock.now() + timedelta(minutes=minutes)
        if later < self.evening:
            self.clock.set(later)
            self.run(self._turned())

    async def _turned(self) -> None:
        async with self.town.database.begin() as tx:
            await turning.turn(tx, self.clock.now())

    @rule(rarely=st.sampled_from([False] * 7 + [True]))
    def the_database_is_restored_elsewhere(self, rarely):
        if rarely:
            self.run(self._restored())

    async def _restored(self) -> None:
        async with self.town.database.begin() as tx:
            await tx.execute(text("UPDATE sync_epoch SET cluster = cluster - 1"))
        self.town.database.cache.clear()

    # --- what must be true in the end -------------------------------------------------------------

    async def _all_is_well(self) -> None:
        for network in self.networks:
            network.share = 0.0
            await network.deliver()
        self.clock.tick(timedelta(minutes=1))
        await self._turned()
        # The first one brings up what is unsent, the second one what others have brought up.
        for _ in "12":
            for phone in self.phones:
                await phone.sync()
        for number, phone in enumerate(self.phones):
            assert phone.store.done(waiting=True) == [], "somebody is stuck"
            fresh = await self._fresh(number)
            known = phone.store.tables()
            for name in known.keys() | fresh.keys():
                assert known.get(name) == fresh.get(name), f"{name} of phone {number}"
        await self._each_action_once()

    async def _fresh(self, number: int) -> dict[str, Any]:
        whose, _ = PHONES[number]
        folder = Path(self.folder.name) / f"fresh {number}"
        phone = make_reference_phone(folder, self.people[whose], store=Store(folder))
        await phone.sync()
        known = phone.store.tables()
        phone.store.close()
        return known

    async def _each_action_once(self) -> None:
        async with self.town.database.read() as read:
            given = {"unit": self.unit.id}
            found = (await read.execute(text(EVENTS), given)).all()
            events = Counter((row.device_at, row.step) for row in found)
            orders = {(str(row.work_order_id), row.step) for row in found}
            actions = {str(row.id): row for row in (await read.execute(text(ACTIONS), given)).all()}
            notes = {str(row.id): row.note for row in await read.execute(text(NOTES), given)}
        done = [*self.before, *(one for phone in self.phones for one in phone.store.done())]
        assert {one.id for one in done} == actions.keys()
        said: dict[str, list[tuple[datetime, str]]] = {}
        for one in done:
            row = actions[one.id]
            assert (row.type, row.payload) == (one.type, one.payload)
            # To a phone that has not pulled since, a second answer tells a no, and not which one.
            no = one in self.before and one.stage is Stage.REFUSED and row.verdict == "conflict"
            assert row.verdict == one.stage.value or no, one
            self.town.took[one.type, one.stage.value] += 1
            applied = one.stage is Stage.APPLIED
            if one.type in MOVES:
                moved = events[datetime.fromisoformat(one.device_at), MOVES[one.type]]
                # Two phones that take the same step one after the other have taken it once, as a
                # double tap has.
                before = applied and (one.about, MOVES[one.type]) in orders
                assert moved == applied or (before and not moved), f"{one}: {moved} times"
            if one.type == "visits_keep_progress" and applied:
                moment = min(row.device_at, row.received_at)
                said.setdefault(one.payload["visit_id"], []).append((moment, one.payload["note"]))
            assert one.code != "not-carried-out", one
        for visit_id, told in said.items():
            # Two that arrived at the same moment are both the last one.
            last = max(moment for moment, _ in told) - timedelta(seconds=1)
            assert notes[visit_id] in {note for moment, note in told if moment >= last}
        withdrawn = {
            one.payload["upload_id"]
            for one in done
            if one.id in self.withdrawn and one.stage is Stage.APPLIED
        }
        for phone in self.phones:
            assert not withdrawn & phone.store.rows("photos").keys(), "a deleted picture revived"


@pytest.mark.timeout(7200)
def test_nothing_is_lost_and_nothing_happens_twice(databases):
    with databases.clone() as url:
        town = Town(url)
        try:
            run_state_machine_as_test(
                type("PhonesOfOneDay", (PhonesOfADay,), {"town": town}),
                settings=settings(
                    max_examples=DAYS,
                    stateful_step_count=STEPS,
                    deadline=None,
                    # A day is short enough to be read as it is.
                    phases=[Phase.generate],
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            town.close()
    # Days in which nothing was carried out would prove nothing.
    carried_out = sum(number for (_, stage), number in town.took.items() if stage == "applied")
    assert carried_out >= DAYS or DAYS < 20, town.took
