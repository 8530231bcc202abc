"""What the day has left at the doors, asked through the public API and the simulators: photos,
terminals, open lines, messages and answers, and whether each is there exactly once."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from app.demo.line import Line

# How many questions are asked at one time.
_AT_A_TIME = 8
Out = TypeVar("Out")


@dataclass
class AtDoors:
    """What is there of what was done at the doors, and what does not add up."""

    pictures: Counter[str] = field(default_factory=Counter)
    orders_with_pictures: int = 0
    terminals: int = 0
    moves: Counter[str] = field(default_factory=Counter)
    lines: int = 0
    asks: int = 0
    without: int = 0
    messages: int = 0
    posts: int = 0
    given_up: int = 0
    late: int = 0
    follow_ups: Counter[str] = field(default_factory=Counter)
    marks: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


async def take(admin: Line, platform: httpx.AsyncClient, inboxes: httpx.AsyncClient) -> AtDoors:
    """Ask what there is, and compare what two sides say of the same thing."""
    found = AtDoors()
    await _pictures(found, admin)
    await _terminals(found, admin)
    await _lines(found, admin, (await platform.get("/_simulator/asks")).json()["asks"])
    await _messages(found, admin, (await inboxes.get("/_simulator/counts")).json())
    follow_ups = await admin.pages("/v1/follow-ups", "follow_ups")
    found.follow_ups = Counter(one["state"] for one in follow_ups)
    found.marks = [one["mark"] for one in follow_ups if one["mark"] is not None]
    found.late = len(await admin.pages("/v1/promises/overdue", "orders"))
    return found


async def _pictures(found: AtDoors, admin: Line) -> None:
    done = await admin.pages("/v1/work-orders", "orders", {"state": "completed"})

    async def of(order: dict[str, Any]) -> list[Any]:
        reply = await admin.get(f"/v1/work-orders/{order['id']}/evidence")
        return reply.body["evidence"] if reply.ok else []

    for pictures in await _each(of, done):
        found.orders_with_pictures += bool(pictures)
        found.pictures.update(one["state"] for one in pictures)
        if any(one["reused"] for one in pictures):
            found.faults.append("a picture is evidence of two orders")
    if awaited := await admin.pages("/v1/evidence/outstanding", "outstanding"):
        found.faults.append(f"{len(awaited)} pictures of completed orders have not come")


async def _terminals(found: AtDoors, admin: Line) -> None:
    """Read where every terminal is, and the chain of each that has moved since it was loaded."""
    all_there = await admin.pages("/v1/terminals", "terminals")
    found.terminals = len(all_there)
    if len({one["serial_number"] for one in all_there}) != found.terminals:
        found.faults.append("a serial number is in two places")
    moved = [one for one in all_there if one["version"] > 1]

    async def chain(terminal: dict[str, Any]) -> Any:
        reply = await admin.get(f"/v1/terminals/{terminal['serial_number']}/history")
        return reply.body if reply.ok else None

    histories = await _each(chain, moved)
    for history in histories:
        if history is None or not _holds(history):
            found.faults.append("a terminal is not where its chain of moves ends")
            continue
        found.moves.update(one["handling"] for one in history["moves"] if not one["undone"])


def _holds(history: dict[str, Any]) -> bool:
    """Tell whether each move begins where the one before has ended, and the last one at the place
    of the terminal; moves come the newest first."""
    terminal, moves = history["terminal"], history["moves"]
    ends = [(one["to_pool"], one["to_customer_id"]) for one in moves]
    begins = [(one["from_pool"], one["from_customer_id"]) for one in moves]
    numbers = [one["number"] for one in moves]
    return (
        ends[:1] == [(terminal["pool"], terminal["customer_id"])]
        and begins[:-1] == ends[1:]
        and numbers == list(range(len(moves), 0, -1))
    )


async def _lines(found: AtDoors, admin: Line, asks: list[dict[str, Any]]) -> None:
    found.asks = len(asks)
    opened = Counter(ask["line"] for ask in asks if ask["code"] is None)
    found.lines = len(opened)
    if doubled := [line for line, times in opened.items() if times > 1]:
        found.faults.append(f"{len(doubled)} lines were opened twice")
    if again := [ask for ask in asks if ask["effects"] != 1]:
        found.faults.append(f"{len(again)} activations were carried out twice")
    found.without = len(await admin.pages("/v1/activation-overrides", "overrides"))


async def _messages(found: AtDoors, admin: Line, counts: dict[str, int]) -> None:
    found.messages, found.posts = counts["messages"], counts["posts"]
    found.given_up = len(await admin.pages("/v1/messages", "messages", {"state": "failed"}))
    state = await admin.get("/v1/messages/state")
    if state.body["waiting"]:
        found.faults.append(f"{state.body['waiting']} messages wait")


async def _each(
    ask: Callable[[dict[str, Any]], Awaitable[Out]], about: Iterable[dict[str, Any]]
) -> list[Out]:
    """Ask about each, several at one time."""
    places = asyncio.Semaphore(_AT_A_TIME)

    async def one(thing: dict[str, Any]) -> Out:
        async with places:
            return await ask(thing)

    return await asyncio.gather(*(one(thing) for thing in about))
