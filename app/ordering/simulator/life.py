"""What happens to orders by themselves: they move on, and their listeners hear of it.

Everything still to happen stands in the store with its time, so a simulator that was killed goes
on where it stopped as soon as it is started again.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import httpx
import orjson

from app.core import clock
from app.core.db import new_id
from app.core.log import log
from app.core.simulating import luck
from app.ordering.simulator import differing
from app.ordering.simulator.dials import Dials, Step, steps_of
from app.ordering.simulator.store import Callback, Cancellation, Hub, Store, StoredOrder

NAME = "Yingwei ordering simulator"

_MOVED = "ProductOrderStateChangeEvent"
_CHANGEABLE = ("requestedStartDate", "requestedCompletionDate", "description", "priority")
_BATCH = 200
_AT_ONCE = 32
_CALLBACK_SECONDS = 5.0
_LONGEST_SLEEP = 1.0
# An event sent out of order leaves this long after the one it should have preceded.
_OVERTAKEN_BY_SECONDS = 0.3
_REASONS = {
    "rejected": "No free port at this address",
    "cancelled": "Cancelled by the customer",
    "failed": "The line could not be activated",
    "partial": "One item could not be delivered",
    "held": "Waiting for a free installation team",
}
# Past these nothing can be changed.
ENDED = frozenset({"completed", "partial", "failed", "rejected", "cancelled"})
# For an item no state "partial" exists.
_ITEM_STATES = {"partial": "completed"}


def epoch() -> float:
    """Return the real time in seconds since 1970."""
    return clock.wall().timestamp()


def wire_time(seconds: float) -> str:
    """Write epoch seconds as RFC 3339 in UTC with milliseconds."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Life:
    """The simulator's orders over time; `run` drives them until it is cancelled."""

    def __init__(self, store: Store, dials: Dials, callback_token: str) -> None:
        self.store = store
        self.dials = dials
        self._callback_token = callback_token
        self._woken = asyncio.Event()
        self._flying: set[tuple[int, str]] = set()
        self._slots = asyncio.Semaphore(_AT_ONCE)

    # --- changes ----------------------------------------------------------------------------

    def take(
        self, body: dict[str, Any], key: str, nth: int, href_of: Callable[[str], str]
    ) -> bytes:
        """Store a new order with its plan and its first event; returns it as JSON.

        What is returned is durable. `key` and `nth` say which POST of which externalId it is.
        """
        now = epoch()
        with self.store.transaction():
            number = self.store.next_number()
            id_ = f"{number:08d}"
            order = {
                **body,
                "@type": body.get("@type", "ProductOrder"),
                "id": id_,
                "href": href_of(id_),
                "orderDate": wire_time(now),
                "state": "acknowledged",
                "productOrderItem": [
                    {**item, "state": "acknowledged"} for item in body["productOrderItem"]
                ],
            }
            steps = steps_of(self.dials, key, nth, len(body["productOrderItem"]), now)
            if differing.drawn(self.dials, "forgotten", key, nth):
                self.store.put(StoredOrder(number, order, []), now)
                self.store.forget(number)
                self.store.count("forgotten")
            else:
                self._put_new(number, order, steps, now, key, nth)
            if differing.drawn(self.dials, "unasked", key, nth):
                self.store.count("unasked")
                number = self.store.next_number()
                id_ = f"{number:08d}"
                nobodys = differing.nobodys(order, id_, href_of(id_))
                self._put_new(number, nobodys, steps, now, id_, nth)
        self._woken.set()
        return orjson.dumps(order)

    def _put_new(
        self,
        number: int,
        order: dict[str, Any],
        steps: list[Step],
        now: float,
        key: str,
        nth: int,
    ) -> None:
        if differing.drawn(self.dials, "price_changed", key, nth):
            self.store.count("price_changed")
            order = differing.dearer(order)
        self.store.put(StoredOrder(number, order, steps), now)
        self._announce(number, "ProductOrderCreateEvent", "productOrder", order, steps, now)

    def advance(self, now: float) -> int:
        """Take every step that is due (epoch seconds), one batch; returns how many."""
        with self.store.transaction():
            due = self.store.due_orders(now, _BATCH)
            for order in due:
                step, *rest = order.steps
                moved = _moved(order.body, step.state, now)
                self.store.put(StoredOrder(order.number, moved, rest), now)
                self._announce(order.number, _MOVED, "productOrder", moved, rest, now)
            for task in self.store.due_cancellations(now):
                self._end_cancellation(task, now)
        return len(due)

    def amend(self, number: int, order: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
        """Change an order that has not ended; the same again makes no difference."""
        now = epoch()
        notes = [*order.get("note", [])]
        notes += [note for note in changes.get("note", []) if note not in notes]
        kept = {name: changes[name] for name in _CHANGEABLE if name in changes}
        amended = {**order, **kept} | ({"note": notes} if notes else {})
        amended["productOrderItem"] = _amended_items(order, changes)
        if amended != order:
            with self.store.transaction():
                steps = self.store.steps(number)
                self.store.put(StoredOrder(number, amended, steps), now)
                kind = "ProductOrderAttributeValueChangeEvent"
                self._announce(number, kind, "productOrder", amended, steps, now)
            self._woken.set()
        return amended

    def cancel(
        self,
        number: int,
        order: dict[str, Any],
        body: dict[str, Any],
        href_of: Callable[[str], str],
    ) -> dict[str, Any]:
        """Begin to cancel an order that has not ended; returns the task of it."""
        now = epoch()
        with self.store.transaction():
            id_ = f"c{self.store.next_cancellation():07d}"
            task = {
                **body,
                "@type": "CancelProductOrder",
                "id": id_,
                "href": href_of(id_),
                "state": "acknowledged",
            }
            due = now + self.dials.seconds_to_cancel
            self.store.put_cancellation(Cancellation(int(id_[1:]), number, task, due))
            # Meanwhile nothing else becomes of it.
            moved = _moved(order, "assessingCancellation", now)
            self.store.put(StoredOrder(number, moved, []), now)
            self._announce(number, _MOVED, "productOrder", moved, [], now)
        self._woken.set()
        return task

    def _end_cancellation(self, task: Cancellation, now: float) -> None:
        order = self.store.order(task.order_number)
        assert order is not None
        refused = luck(self.dials.seed, "cancel", task.number) < self.dials.cancel_refused
        ended = {**task.body, "state": "terminatedWithError" if refused else "done"}
        if not refused:
            ended["effectiveCancellationDate"] = wire_time(now)
        self.store.put_cancellation(task._replace(body=ended, due=None))
        steps = [Step("completed", now + self.dials.seconds_to_complete)] if refused else []
        moved = _moved(order, "inProgress" if refused else "cancelled", now)
        self.store.put(StoredOrder(task.order_number, moved, steps), now)
        self._announce(task.order_number, _MOVED, "productOrder", moved, steps, now)
        kind = "CancelProductOrderStateChangeEvent"
        self._announce(task.order_number, kind, "cancelProductOrder", ended, [], now)

    def _announce(
        self,
        number: int,
        kind: str,
        what: str,
        body: dict[str, Any],
        rest: Sequence[Step],
        now: float,
    ) -> None:
        """Put an event in the post for each listener, as the dials of callbacks would have it."""
        for hub in self.store.hubs():
            if not _wants(hub, kind):
                continue
            event = {
                "@type": kind,
                "eventId": new_id().hex,
                "eventTime": wire_time(now),
                "eventType": kind,
                "domain": "ProductOrdering",
                "title": NAME,
                "event": {what: body},
            }
            due = self._due(f"{body['id']}/{len(rest)}/{hub.callback}", rest, now)
            for moment in due:
                self.store.put_callback(number, hub.callback, orjson.dumps(event).decode(), moment)

    def _due(self, about: str, rest: Sequence[Step], now: float) -> list[float]:
        """Decide when an event is sent: once, never, late, after the next event, or twice."""
        dials = self.dials

        def drawn(name: str, share: float) -> bool:
            happens = luck(dials.seed, name, about) < share
            if happens:
                self.store.count(name)
            return happens

        if drawn("callback_lost", dials.callback_lost):
            return []
        due = now
        if drawn("callback_late", dials.callback_late):
            due += dials.callback_late_seconds
        if rest and drawn("callback_out_of_order", dials.callback_out_of_order):
            due = max(due, rest[0].due, now) + _OVERTAKEN_BY_SECONDS
        if drawn("callback_duplicate", dials.callback_duplicate):
            return [due, due]
        return [due]

    # --- driving ----------------------------------------------------------------------------

    async def run(self) -> None:
        """Move orders and send callbacks as they fall due, until cancelled."""
        headers = {"User-Agent": NAME, "Content-Type": "application/json"}
        if self._callback_token:
            headers["Authorization"] = f"Bearer {self._callback_token}"
        limits = httpx.Limits(max_connections=_AT_ONCE)
        async with (
            httpx.AsyncClient(headers=headers, timeout=_CALLBACK_SECONDS, limits=limits) as http,
            asyncio.TaskGroup() as flights,
        ):
            while True:
                self._woken.clear()
                now = epoch()
                moved = self.advance(now)
                for letters in self._by_order(self.store.due_callbacks(now, _BATCH)):
                    self._flying.add(_to_whom(letters[0]))
                    flights.create_task(self._send(http, letters))
                if moved < _BATCH:
                    await self._rest(now)
                else:
                    await asyncio.sleep(0)

    async def _rest(self, now: float) -> None:
        """Sleep until something falls due or somebody wakes us."""
        due = self.store.next_due(now)
        wait = _LONGEST_SLEEP if due is None else min(max(due - epoch(), 0), _LONGEST_SLEEP)
        # Not `wait_for`: that of Python 3.11 can swallow the cancellation that ends all this.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._woken.wait()

    def _by_order(self, due: Iterable[Callback]) -> list[list[Callback]]:
        """Group callbacks by order and listener, since those of one keep their order: while some
        are on their way to a listener, the later ones wait."""
        groups: dict[tuple[int, str], list[Callback]] = {}
        for letter in due:
            if _to_whom(letter) not in self._flying:
                groups.setdefault(_to_whom(letter), []).append(letter)
        return list(groups.values())

    async def _send(self, http: httpx.AsyncClient, letters: Sequence[Callback]) -> None:
        """Send the callbacks of one order to one listener, one after the other, until one fails."""
        try:
            for letter in letters:
                async with self._slots:
                    delivered = await _post(http, letter)
                with self.store.transaction():
                    self._settle(letter, delivered)
                if not delivered:
                    break
        finally:
            self._flying.discard(_to_whom(letters[0]))
            self._woken.set()

    def _settle(self, letter: Callback, delivered: bool) -> None:
        """Note how one sending ended: delivered, to be tried again, or given up."""
        if delivered:
            self.store.count("callback_delivered")
            self.store.drop_callback(letter.number)
            return
        self.store.count("callback_failed")
        if letter.tries + 1 >= self.dials.callback_tries:
            self.store.count("callback_given_up")
            self.store.drop_callback(letter.number)
            return
        pause = self.dials.callback_retry_seconds * 2**letter.tries
        self.store.put_off(letter.number, epoch() + pause)


def _to_whom(letter: Callback) -> tuple[int, str]:
    return letter.order_number, letter.url


async def _post(http: httpx.AsyncClient, letter: Callback) -> bool:
    """Send one event; says whether the listener took it."""
    try:
        answer = await http.post(letter.url, content=letter.body)
    except Exception as error:  # noqa: BLE001 - logged; one listener must not stop all orders
        # Not only httpx's own: a host name that cannot be encoded, a connection that was closed
        # the moment it was made.
        log.warning("callback_failed", url=letter.url, error=type(error).__name__)
        return False
    if not answer.is_success:
        log.warning("callback_refused", url=letter.url, status=answer.status_code)
    return answer.is_success


def _amended_items(order: dict[str, Any], changes: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the items of an order, those cancelled that are to be deleted, and the others with
    the appointments that they have from now on."""
    told = {item.get("id"): item for item in changes.get("productOrderItem", [])}

    def amended(item: dict[str, Any]) -> dict[str, Any]:
        change = told.get(item["id"], {})
        if change.get("action") == "delete":
            return {**item, "action": "delete", "state": "cancelled"}
        return {**item, "appointment": change["appointment"]} if "appointment" in change else item

    return [amended(item) for item in order["productOrderItem"]]


def _moved(order: dict[str, Any], state: str, now: float) -> dict[str, Any]:
    """Return the order in its new state, with what the schema says of that state."""
    item_state = _ITEM_STATES.get(state, state)
    items = [
        item if item["action"] == "delete" else {**item, "state": item_state}
        for item in order["productOrderItem"]
    ]
    if state == "partial":
        items[-1]["state"] = "failed"
    moved = {**order, "state": state, "productOrderItem": items}
    if state in ("completed", "partial"):
        moved["completionDate"] = wire_time(now)
    if state == "cancelled":
        moved |= {"cancellationDate": wire_time(now), "cancellationReason": _REASONS[state]}
    elif state in _REASONS:
        note = {"author": NAME, "date": wire_time(now), "text": _REASONS[state]}
        moved["note"] = [*order.get("note", []), note]
    return moved


def _wants(hub: Hub, kind: str) -> bool:
    """Say whether a listener's query (`eventType=A,B`) asks for events of a kind."""
    wanted = parse_qs(hub.query or "").get("eventType")
    return wanted is None or kind in ",".join(wanted).split(",")
