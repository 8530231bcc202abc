"""The customers' telephones: what arrives on them, what is read out at the door, and the answers.

Only their owners see them: nothing here goes through the backend but what a customer says.
"""

import asyncio
import random
import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import httpx

from app.demo.day import Day

# How long a customer at the door looks for a message that does not come, in real seconds.
PATIENCE = 4.0
ANSWERS = 0.6


class Telephones:
    """All telephones of the town, as the messaging provider keeps their inboxes."""

    def __init__(self, inboxes: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
        self._inboxes = inboxes
        self._api = api
        # Numbers whose owners were visited, and those who have answered.
        self.visited: set[str] = set()
        self.answered: set[str] = set()
        # Codes of consent that were read out, and replies that were sent.
        self.told: set[str] = set()

    async def read_out(
        self, number: str, seen: set[str], *, kind: str = "acceptance_code"
    ) -> str | None:
        """Read out the newest code of a kind that is not among `seen`; None when none comes."""
        return await self._look_for(number, kind, r"(?<!\d)\d{6}(?!\d)", seen)

    async def reply(self, number: str, kind: str, *, agrees: bool) -> bool:
        """Reply yes or no to the newest message of a kind; False when none comes."""
        named = await self._look_for(number, kind, r"Y\d{4}", self.told)
        if named is None:
            return False
        self.told.add(named)
        text = named if agrees else f"N{named[1:]}"
        try:
            answer = await self._inboxes.post(f"/inbox/{number}/replies", json={"text": text})
        except httpx.HTTPError:
            return False
        return answer.is_success

    async def _look_for(self, number: str, kind: str, pattern: str, seen: set[str]) -> str | None:
        """Look at a telephone until its newest message of a kind says something new."""
        waited, pause = 0.0, 0.15
        while waited < PATIENCE:
            await asyncio.sleep(pause)
            waited += pause
            for message in await self._inbox(number):
                if message["kind"] != kind:
                    continue
                found = re.search(pattern, message["text"])
                if found and found[0] not in seen:
                    return found[0]
                break
            pause = min(pause * 1.5, 0.6)
        return None

    async def answer_surveys(self, day: Day, luck: random.Random) -> None:
        """Look at the telephones some times a day, and answer what is asked there, or not."""
        for hours in (4.0, 7.0, 10.0, 11.0):
            await day.wait(day.starts + timedelta(hours=hours) - day.clock.now())
            for number in sorted(self.visited - self.answered):
                await self._answer(number, luck)

    async def _answer(self, number: str, luck: random.Random) -> None:
        for link in _links(await self._inbox(number)):
            self.answered.add(number)
            if luck.random() < ANSWERS:
                mark = luck.choices((5, 4, 3), (70, 25, 5))[0]
                try:
                    await self._api.post(link, json={"mark": mark})
                except httpx.HTTPError:
                    # Nobody asks a customer to try a second time.
                    return

    async def _inbox(self, number: str) -> list[Any]:
        try:
            answer = await self._inboxes.get(f"/inbox/{number}")
        except httpx.HTTPError:
            return []
        messages: list[Any] = answer.json()["messages"]
        return messages


def _links(messages: Iterable[Any]) -> list[str]:
    """Find the links to surveys among messages."""
    found = (re.search(r"/v1/surveys/[\w\-]+", message["text"]) for message in messages)
    return [link[0] for link in found if link]
