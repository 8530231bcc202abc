"""Seven days of a branch through the public API, on a simulated clock, by seeded dice.

Every morning a plan is made and published. Orders come all day: repairs, urgent ones, appointments
made through slots and holds, and once an outage that makes many of one place. Technicians follow
their phones: they set out, arrive, work longer or shorter than was thought, hand back, decline and
are ill. A supervisor moves orders and undoes it. After each event the rules of `watch` are looked
at; what breaks one ends the week with the seed and the story of the order.
"""

import heapq
import itertools
import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
from sqlalchemy import text

from app.core.clock import FixedClock
from app.core.db import new_id
from app.core.jobs import Worker
from app.dispatch import jobs as dispatch
from app.planning import jobs as planning
from app.planning.service.making import make_again
from app.worker import HANDLERS
from benchmarks.week import watch

DAYS = 7
POLL = timedelta(minutes=10)
OUTCOMES = {"install": "installed", "repair": "fixed"}
# A technician who arrives late has lost the time themselves, up to this much of looking at phones.
ALLOWED_MINUTES = 12.0

Point = tuple[float, float]
Act = Callable[[], Awaitable[None]]


class Fault(AssertionError):
    """A rule was broken; the words say which, when, and what had happened to the order."""


@dataclass(frozen=True)
class Scale:
    """How much happens: orders a day, how many of an outage, steps of a plan's search."""

    orders: int = 25
    outage: int = 8
    iterations: int = 2_000
    days: int = DAYS


@dataclass
class Person:
    """A technician with a phone; `lost` are minutes of today that they took longer than thought."""

    id: str
    code: str
    headers: dict[str, str]
    order: dict[str, Any] | None = None
    visit: str = ""
    away: list[tuple[datetime, datetime]] = field(default_factory=list)
    lost: float = 0.0
    looked: int = -1

    def is_away(self, now: datetime) -> bool:
        """Tell whether a leave of theirs runs."""
        return any(begins <= now < ends for begins, ends in self.away)


@dataclass
class Branch:
    """Where the week happens: accounts, people, and where the customers live."""

    headers: dict[str, str]
    system: dict[str, str]
    people: Sequence[Person]
    places: Sequence[Point]
    first: date
    zone: ZoneInfo


@dataclass
class DayCounts:
    """What happened on a day."""

    day: date
    counts: Counter[str] = field(default_factory=Counter)


class Week:
    """The dice, the queue of what comes next, and the hands that do it."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        worker: Worker,
        clock: FixedClock,
        branch: Branch,
        *,
        seed: int,
        scale: Scale,
    ) -> None:
        self.http, self.worker, self.clock, self.branch = http, worker, clock, branch
        self.seed, self.scale = seed, scale
        self.dice = random.Random(seed)
        self.days: list[DayCounts] = []
        self.stories: dict[str, list[str]] = {}
        self.plans: list[str] = []
        self._queue: list[tuple[datetime, int, Act]] = []
        self._number = itertools.count()
        # Grows with every change: where nothing has happened, nobody needs to look again.
        self._changes = 0

    # --- the clock and the story ------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The simulated moment."""
        return self.clock.now()

    @property
    def today(self) -> date:
        """The simulated local day."""
        return self.now.astimezone(self.branch.zone).date()

    @property
    def counts(self) -> Counter[str]:
        """What has been counted today."""
        return self.days[-1].counts

    def at(self, hour: float) -> datetime:
        """A local moment of today."""
        begins = datetime.combine(self.today, time(), self.branch.zone)
        return (begins + timedelta(hours=hour)).astimezone(UTC)

    def later(self, when: datetime, act: Act) -> None:
        """Let something happen."""
        heapq.heappush(self._queue, (when, next(self._number), act))

    def tell(self, order_id: str, words: str) -> None:
        """Add a line to the story of an order."""
        local = self.now.astimezone(self.branch.zone)
        self.stories.setdefault(order_id, []).append(f"{local:%a %H:%M} {words}")

    def fault(self, words: str, *order_ids: object) -> Fault:
        """Say what broke, with the seed and the stories of the orders concerned."""
        local = self.now.astimezone(self.branch.zone)
        lines = [f"seed {self.seed}, {local:%a %d %H:%M}: {words}"]
        for order_id in map(str, order_ids):
            lines += [
                f"order {order_id}",
                *(f"  {line}" for line in self.stories.get(order_id, [])),
            ]
        return Fault("\n".join(lines))

    # --- the API ----------------------------------------------------------------------------------

    async def ask(
        self, method: str, path: str, headers: dict[str, str], ok: Sequence[int], **given: Any
    ) -> Any:
        """Send a request; a refusal that is not in `ok` ends the week."""
        answer = await self.http.request(method, f"/v1{path}", headers=headers, **given)
        self._changes += method != "GET"
        if answer.status_code not in ok:
            raise self.fault(f"{method} {path}: {answer.status_code} {answer.text}")
        body = answer.json() if answer.content else {}
        if answer.status_code >= 400:
            slug = body["type"].rpartition(":")[2]
            self.counts[f"refused: {slug}"] += 1
            return None
        return body

    async def step(self, person: Person, path: str, ok: Sequence[int] = (), **body: Any) -> Any:
        """Take a step on a phone."""
        body = {"device_at": self.now.isoformat(), **body}
        return await self.ask("POST", path, person.headers, (200, 201, *ok), json=body)

    # --- the week ---------------------------------------------------------------------------------

    async def play(self, told: Callable[[date], None] = lambda _day: None) -> list[DayCounts]:
        """Play the days one after the other, and look back at the end. Raises Fault."""
        for number in range(self.scale.days):
            day = self.branch.first + timedelta(days=number)
            morning = datetime.combine(day, time(7, 30), self.branch.zone)
            self.clock.set(morning)
            self.days.append(DayCounts(day))
            await self._begin_day(number)
            while self._queue:
                when, _, act = heapq.heappop(self._queue)
                self.clock.set(max(when, self.now))
                before = self._changes
                await act()
                if self._changes > before:
                    await self._work_off()
                    await self._look()
            await self._missed()
            await self._count_replans()
            told(day)
        await self._look_back()
        return self.days

    async def _begin_day(self, number: int) -> None:
        for person in self.branch.people:
            person.lost, person.away = 0.0, []
            if self.dice.random() < 0.06:  # ill this morning
                await self._leave(person, self.at(8), self.at(18))
            elif self.dice.random() < 0.06:
                at_noon = self.at(12 + self.dice.random())
                self.later(at_noon, lambda p=person: self._leave(p, self.now, self.at(18)))  # type: ignore[misc]
            self.later(self.at(8), lambda p=person: self._idle(p))  # type: ignore[misc]
        await self._plan(number)
        for _ in range(self.scale.orders):
            self.later(self.at(7.6 + 9.5 * self.dice.random()), self._order_comes)
        for _ in range(max(1, self.scale.orders // 8)):
            self.later(self.at(8 + 9 * self.dice.random()), self._cancel)
            self.later(self.at(8 + 9 * self.dice.random()), self._move)
        if number == 2:
            self.later(self.at(13), self._outage)
        for half in range(20):
            self.later(self.at(8 + half / 2), self._worker_looks)

    async def _plan(self, number: int) -> None:
        plan_id = str(new_id())
        body = {
            "id": plan_id,
            "day": str(self.today),
            "iterations": self.scale.iterations,
            "seed": number,
        }
        await self.ask("POST", "/plans", self.branch.headers, (202,), json=body)
        await self._work_off()
        plan = await self.ask("GET", f"/plans/{plan_id}", self.branch.headers, (200,))
        if plan["state"] != "draft":
            raise self.fault(f"the plan of the morning is {plan['state']}: {plan['progress']}")
        plan = await self.ask("POST", f"/plans/{plan_id}/publish", self.branch.headers, (200,))
        self.plans.append(plan_id)
        score, was = plan["score"], plan["before"]
        self.counts["planned"] = score["placed"]
        self.counts["planned cost"], self.counts["cost before"] = score["cost"], was["cost"]
        if score["broken"]:
            raise self.fault(f"the plan of the morning breaks {score['broken']} hard rules")
        await self._look()
        # A window that has passed cannot be kept any more, whoever has the order; see `_missed`.
        gone = {str(row.id) for row in await self._appointments("appointment_until < :now")}
        for person in self.branch.people:
            for broken in (await self._route(person))["broken"]:
                if broken["order_id"] not in gone:
                    raise self.fault(
                        f"after publishing, the day of {person.code} breaks {broken['rule']}",
                        broken["order_id"],
                    )

    async def _appointments(self, condition: str) -> list[Any]:
        """Read open orders with appointments of a kind that nobody has set out for."""
        async with self.worker.database.read() as read:
            statement = text(
                "SELECT id, holder_id, appointment_from, appointment_until FROM work_order"
                f" WHERE state IN ('unplaced', 'located', 'assigned', 'acknowledged')"
                f" AND appointment_until IS NOT NULL AND {condition} ORDER BY id"
            )
            return list(await read.execute(statement, {"now": self.now, "since": self.at(0)}))

    async def _missed(self) -> None:
        """In the evening: appointments nobody came to have a reason, or the week ends.

        A leave begun since the morning may leave one behind; so may what the holder lost today.
        """
        today = "appointment_until BETWEEN :since AND :now"
        for row in await self._appointments(today):
            holder = next((one for one in self.branch.people if one.id == str(row.holder_id)), None)
            if holder is None:
                why = "nobody could any more"
            elif any(begins < row.appointment_until for begins, _ in holder.away):
                why = "the holder was away"
            elif holder.lost > 0:
                why = "the holder was behind"
            else:
                raise self.fault("nobody came to an appointment, and nobody was late", row.id)
            self.counts[f"appointments missed: {why}"] += 1
            self.tell(str(row.id), f"nobody came to the appointment: {why}")

    async def _count_replans(self) -> None:
        """Count today's plans for what happened in it; in the end they too are made again."""
        given = {"day": str(self.today), "page_size": "200"}
        found = await self.ask("GET", "/plans", self.branch.headers, (200,), params=given)
        for plan in found["plans"]:
            if plan["kind"] == "event":
                self.counts["replans"] += 1
                self.plans.append(plan["id"])

    async def _route(self, person: Person) -> Any:
        path = f"/technicians/{person.id}/route"
        given = {"day": str(self.today)}
        return await self.ask("GET", path, self.branch.headers, (200,), params=given)

    async def _leave(self, person: Person, begins: datetime, ends: datetime) -> None:
        body = {
            "id": str(new_id()),
            "starts_at": begins.isoformat(),
            "ends_at": ends.isoformat(),
            "cause": "illness",
        }
        path = f"/technicians/{person.id}/leave"
        await self.ask("POST", path, self.branch.headers, (201,), json=body)
        person.away.append((begins, ends))
        self.counts["leaves"] += 1

    # --- orders -----------------------------------------------------------------------------------

    async def _order_comes(self) -> None:
        lon, lat = self.dice.choice(self.branch.places)
        chance = self.dice.random()
        if chance < 0.3:
            await self._appointment(lon, lat)
        elif chance < 0.4:
            await self._send(lon, lat, "repair", priority=1, estimated_minutes=45)
        else:
            minutes = self.dice.choice((30, 45, 60, 90))
            await self._send(lon, lat, "repair", priority=3, estimated_minutes=minutes)

    async def _appointment(self, lon: float, lat: float) -> None:
        point = {"lon": lon, "lat": lat, "coordsys": "wgs84"}
        wish = {"point": point, "work_type": "install", "estimated_minutes": 60}
        days = {"first_day": str(self.today), "last_day": str(self.today + timedelta(days=2))}
        system = self.branch.system
        found = await self.ask(
            "POST", "/appointments/search-time-slots", system, (200,), json=wish | days
        )
        offered = [slot for slot in found["slots"] if slot["grade"] is not None]
        if not offered:
            self.counts["no slot offered"] += 1
            return
        slot = self.dice.choice(offered)
        body = {**wish, "id": str(new_id()), "day": slot["day"], "slot": slot["slot"]}
        held = await self.ask("POST", "/appointments/holds", system, (201,), json=body)
        if self.dice.random() < 0.1:  # the customer thinks better of it
            path = f"/appointments/holds/{held['id']}/release"
            await self.ask("POST", path, system, (200,))
            return
        await self._send(lon, lat, "install", estimated_minutes=60, appointment_hold_id=held["id"])

    def _body(self, lon: float, lat: float, work_type: str, **fields: Any) -> dict[str, Any]:
        return {
            "source": "crm",
            "external_id": f"W{next(self._number)}",
            "work_type": work_type,
            "address": f"碧波路{next(self._number)}号",
            "point": {"lon": lon, "lat": lat, "coordsys": "wgs84"},
            "contact_name": "王小明",
            "contact_phone": "15412341234",
            "summary": "宽带",
            **fields,
        }

    async def _send(self, lon: float, lat: float, work_type: str, **fields: Any) -> None:
        body = self._body(lon, lat, work_type, **fields)
        placed = await self.ask("POST", "/work-orders", self.branch.system, (201,), json=body)
        self._came(placed, "appointment" if "appointment_hold_id" in fields else work_type)
        if "appointment_hold_id" in fields and placed["state"] != "assigned":
            raise self.fault("a confirmed hold is no appointment that somebody keeps", placed["id"])

    def _came(self, placed: dict[str, Any], kind: str) -> None:
        self.counts["arrived"] += 1
        self.counts[f"{kind}s"] += 1
        self.tell(
            placed["id"],
            f"{kind} came in: {placed['state']} {placed['unplaced_reason'] or ''}"
            f" {placed['holder_id'] or ''} {placed['planned_day'] or ''}",
        )

    async def _outage(self) -> None:
        """Many repairs of one place at once, as a network outage makes them."""
        lon, lat = self.dice.choice(self.branch.places)
        for n in range(self.scale.outage):
            body = self._body(lon + n * 1e-4, lat, "repair", priority=2, estimated_minutes=30)
            placed = await self.ask("POST", "/work-orders", self.branch.system, (201,), json=body)
            self._came(placed, "repair of an outage")

    async def _open(self, states: str) -> list[Any]:
        async with self.worker.database.read() as read:
            statement = text(
                "SELECT id, holder_id, version FROM work_order WHERE state = ANY(:states)"
                " AND (planned_day IS NULL OR planned_day = :day) ORDER BY received_at, id"
            )
            given = {"states": states.split(), "day": self.today}
            return list(await read.execute(statement, given))

    async def _cancel(self) -> None:
        rows = await self._open("unplaced assigned acknowledged")
        if rows:
            order_id = self.dice.choice(rows).id
            body = {"reason": "客户取消"}
            path = f"/work-orders/{order_id}/cancel"
            await self.ask("POST", path, self.branch.system, (200,), json=body)
            self.tell(str(order_id), "cancelled")
            self.counts["cancelled"] += 1

    async def _move(self) -> None:
        """A supervisor gives some orders of one person to another, and may undo it."""
        rows = await self._open("assigned acknowledged")
        if not rows:
            return
        giver = self.dice.choice(rows).holder_id
        theirs = [row for row in rows if row.holder_id == giver][:3]
        taker = self.dice.choice([one for one in self.branch.people if one.id != str(giver)])
        body = {
            "id": str(new_id()),
            "kind": "give",
            "rows": [{"order_id": str(row.id), "version": row.version} for row in theirs],
            "technician_id": taker.id,
            "reason": "换人",
        }
        moves = "/work-orders/moves"
        done = await self.ask("POST", moves, self.branch.headers, (201, 409, 422), json=body)
        if done is None:
            return
        self.counts["moved by hand"] += len(theirs)
        for row in theirs:
            self.tell(str(row.id), f"moved by hand to {taker.code}")
        if self.dice.random() < 0.5:
            self.later(
                self.now + timedelta(minutes=15),
                lambda: self._undo(body["id"], [r.id for r in theirs]),
            )

    async def _undo(self, move_id: Any, order_ids: Sequence[UUID]) -> None:
        body = {"id": str(new_id()), "reason": "改回"}
        path = f"/work-orders/moves/{move_id}/undo"
        self.counts["undoing tried"] += 1
        undone = await self.ask("POST", path, self.branch.headers, (201, 409), json=body)
        if undone is not None:
            self.counts["moves undone"] += 1
            for order_id in order_ids:
                self.tell(str(order_id), "the move was undone")

    # --- people -----------------------------------------------------------------------------------

    async def _idle(self, person: Person) -> None:
        """Look at the phone for what is next, and set out for it."""
        if self.now >= self.at(18):
            return
        order = None
        if person.looked < self._changes and not person.is_away(self.now):
            order = await self._next(person)
        if order is None:
            self.later(self.now + POLL, lambda: self._idle(person))
            return
        if order["state"] == "assigned":
            if self.dice.random() < 0.02:
                path = f"/work-orders/{order['id']}/decline"
                await self.step(person, path, cause="no_material")
                self._did(person, order, "declined")
                self.later(self.now + POLL, lambda: self._idle(person))
                return
            await self.step(person, f"/work-orders/{order['id']}/acknowledge")
        route = await self._route(person)
        known = [stop for stop in route["stops"] if stop["order_id"] == order["id"]]
        person.order, person.visit = order, str(new_id())
        await self.step(person, "/visits", id=person.visit, work_order_id=order["id"])
        self.tell(order["id"], f"{person.code} set out")
        thought = max(2.0, (known[0]["travel_seconds"] if known else 300) / 60)
        took = thought * self.dice.uniform(0.8, 1.4)
        person.lost += max(0.0, took - thought)
        self.later(self.now + timedelta(minutes=took), lambda: self._arrive(person))

    async def _next(self, person: Person) -> dict[str, Any] | None:
        person.looked = self._changes
        given = {"coordsys": "wgs84"}
        day = await self.ask("GET", "/my/day", person.headers, (200,), params=given)
        for order in day["orders"]:
            if order["state"] in ("assigned", "acknowledged"):
                found: dict[str, Any] = order
                return found
        return None

    async def _arrive(self, person: Person) -> None:
        """Check in, no sooner than the appointment begins."""
        order = person.order
        assert order is not None
        begins, until = (
            datetime.fromisoformat(order[name]) if order[name] else None
            for name in ("appointment_from", "appointment_until")
        )
        if begins is not None and self.now < begins:
            self.later(begins, lambda: self._arrive(person))
            return
        path = f"/visits/{person.visit}/check-in"
        # The reason is for ways that the play makes shorter than they are.
        here = {"point": order["point"], "far_reason": "other"}
        if await self.step(person, path, ok=(409,), **here) is None:
            self._free(person, "was cancelled on the way")
            return
        self.tell(order["id"], f"{person.code} checked in")
        if until is not None and until > self.at(0):  # of days before, the evening has told
            self.counts["appointments met"] += self.now <= until
            self._late(person, order, (self.now - until) / timedelta(minutes=1))
        if self.dice.random() < 0.04:
            path = f"/visits/{person.visit}/hand-back"
            await self.step(person, path, cause="customer_absent")
            self._did(person, order, "handed back")
            self._free(person, "")
            return
        thought = float(order["estimated_minutes"])
        took = thought * (3.0 if self.dice.random() < 0.03 else self.dice.uniform(0.6, 1.3))
        person.lost += max(0.0, took - thought)
        self.counts["long jobs"] += took > 2 * thought
        self.later(self.now + timedelta(minutes=took), lambda: self._finish(person))

    def _late(self, person: Person, order: dict[str, Any], minutes: float) -> None:
        """A window is missed: by what the technician lost today, or by the system's own doing."""
        if minutes <= 0:
            return
        if minutes > person.lost + ALLOWED_MINUTES:
            raise self.fault(
                f"{person.code} came {minutes:.0f} minutes after the window, though only"
                f" {person.lost:.0f} minutes were lost today",
                order["id"],
            )
        self.counts["appointments late by somebody's delay"] += 1

    async def _finish(self, person: Person) -> None:
        order = person.order
        assert order is not None
        body = {"outcome_code": OUTCOMES[order["work_type"]]}
        if await self.step(person, f"/visits/{person.visit}/complete", ok=(409,), **body) is None:
            self._free(person, "was cancelled at the door")
            return
        self._did(person, order, "completed")
        self._free(person, "")

    def _did(self, person: Person, order: dict[str, Any], what: str) -> None:
        self.counts[what] += 1
        self.tell(order["id"], f"{person.code} {what}")

    def _free(self, person: Person, words: str) -> None:
        if words and person.order is not None:
            self.tell(person.order["id"], words)
        person.order, person.visit = None, ""
        self.later(self.now, lambda: self._idle(person))

    # --- the worker -------------------------------------------------------------------------------

    async def _worker_looks(self) -> None:
        """What the worker does from time to time and does not end by itself in a week's sleep."""
        await dispatch.end_holds(self.worker)
        await dispatch.place_waiting(self.worker)
        await planning.look_around(self.worker)
        self._changes += 1

    async def _work_off(self) -> None:
        """Do the jobs that were told, in their order."""
        while True:
            async with self.worker.database.begin() as tx:
                job = (await tx.execute(_TAKE_JOB)).first()
            if job is None:
                return
            for handler in HANDLERS[job.task_name]:
                await handler(self.worker, **job.args)

    # --- looking ----------------------------------------------------------------------------------

    async def _look(self) -> None:
        async with self.worker.database.read() as read:
            for words, row in await watch.look(read, self.now):
                known = [row["order_id"]] if "order_id" in row else row.get("order_ids", [])
                raise self.fault(f"{words}: {row}", *known)

    async def _look_back(self) -> None:
        """Look at every history, and make every morning's plan again."""
        for order_id in self.stories:
            path = f"/work-orders/{order_id}/history"
            told = await self.ask("GET", path, self.branch.headers, (200,))
            if wrong := watch.legal(told["events"]):
                raise self.fault(wrong, order_id)
        for plan_id in self.plans:
            kept = await self.ask("GET", f"/plans/{plan_id}/routes", self.branch.headers, (200,))
            drafts = await make_again(self.worker.database, UUID(plan_id))
            again = sorted(
                (str(visit.technician_id), visit.place or 0, str(visit.order_id), visit.begins_at)
                for draft in drafts
                for visit in draft.visits
                if visit.technician_id is not None
            )
            first = sorted(
                (
                    route["technician_id"],
                    visit["place"],
                    visit["work_order_id"],
                    datetime.fromisoformat(visit["begins_at"]),
                )
                for route in kept["routes"]
                for visit in route["visits"]
            )
            if again != first:
                raise self.fault(f"plan {plan_id} made again is another one")


_TAKE_JOB = text(
    """
    DELETE FROM procrastinate_jobs WHERE id = (
        SELECT id FROM procrastinate_jobs WHERE status = 'todo' ORDER BY id LIMIT 1)
    RETURNING task_name, args
    """
)


def ring(west: float, south: float, width: float, height: float, many: int) -> list[Point]:
    """Spread places over a rectangle of degrees, the same each time."""
    golden = (math.sqrt(5) - 1) / 2
    return [
        (round(west + width * (n * golden % 1), 6), round(south + height * (n + 0.5) / many, 6))
        for n in range(many)
    ]
