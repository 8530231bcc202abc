"""Clients of server-sent events, and a real server for them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
import uvicorn
from fastapi import FastAPI

from app.demo.processes import free_port

# Long enough that only a stream that says nothing at all fails.
PATIENCE = 20.0


@dataclass
class Event:
    """An event as a client understands it; without data it is none, and only its id counts."""

    name: str
    id: str
    data: dict[str, Any]

    @classmethod
    def read(cls, block: str) -> "Event":
        fields = {"event": "", "id": "", "data": "{}"}
        for line in block.splitlines():
            name, _, value = line.partition(":")
            fields[name] = value.strip()
        return cls(fields["event"], fields["id"], orjson.loads(fields["data"]))


class Listener:
    """A client of the stream."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._blocks = self._read()

    async def _read(self) -> AsyncIterator[str]:
        held = ""
        async for part in self.answer.aiter_text():
            held += part
            while "\n\n" in held:
                block, _, held = held.partition("\n\n")
                yield block

    async def next(self) -> Event:
        """The next event, heartbeats and the like passed over."""
        async with asyncio.timeout(PATIENCE):
            async for block in self._blocks:
                event = Event.read(block)
                if event.name:
                    return event
        raise AssertionError("the stream has ended")

    async def heartbeat(self) -> str:
        """The id of the next heartbeat."""
        async with asyncio.timeout(PATIENCE):
            async for block in self._blocks:
                if block.startswith(":"):
                    return Event.read(block).id
        raise AssertionError("the stream has ended")


@contextlib.asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[str]:
    """Serve an application on a real server; gives its address.

    Who has opened streams ends them before leaving, or the server waits for them.
    """
    port = free_port()
    running = uvicorn.Server(
        uvicorn.Config(app, port=port, lifespan="off", http="h11", log_config=None)
    )
    task = asyncio.create_task(running._serve())
    patient = httpx.AsyncHTTPTransport(retries=20)
    async with httpx.AsyncClient(transport=patient, timeout=PATIENCE) as client:
        await client.get(f"http://127.0.0.1:{port}/healthz")
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        running.should_exit = True
        await task
