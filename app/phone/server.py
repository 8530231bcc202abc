"""What a phone and its server tell each other: what was done goes up in its order, what has changed
comes down, and pictures follow in pieces.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from app.core.clock import Clock
from app.phone import photos, rules
from app.phone.line import VERSION, Line, Refused, SignInNeeded
from app.phone.rules import Stage
from app.phone.store import Done, Picture, Store

# The tables are kept as they are told; this is the version of what is made of them here.
SCHEMA_VERSION = 4
# What one push may hold, and how much of that is left for what is around the actions.
MOST_ACTIONS, MOST_BYTES = 200, 480 * 1024
# Refusals of a push as a whole, which say that something in it cannot be read.
UNREADABLE = (400, 413, 422)
# A pull goes on at once for so many pages; one that never ended would keep the phone from sending.
MOST_PAGES = 200


@dataclass
class Synced:
    """What a sync has brought about."""

    sent: int = 0
    told: int = 0
    pictures: int = 0
    anew: bool = False


class Server:
    """The server as one phone speaks with it."""

    def __init__(self, store: Store, line: Line, clock: Clock) -> None:
        self.store = store
        self.line = line
        self.clock = clock
        self._one = asyncio.Lock()

    async def register(self) -> None:
        """Say what this phone is; again is like once. Nothing wakes a phone in a terminal.

        Raises NoSignal, SignInNeeded and Refused.
        """
        said = {"platform": "terminal", "app_version": VERSION, "push": None}
        await self.line.ask("PUT", "/v1/my/device", json=said)

    async def sync(self) -> Synced:
        """Send what was done, ask for what has changed, and send pictures on: see `Phone.sync`."""
        async with self._one:
            done = Synced()
            if self.store["wipe"] is not None:
                await self._wiped(done)
            await self.push(done)
            try:
                await self._pull(done)
            except Refused as refused:
                await self._told_no(refused, done)
                raise
            await self._send_pictures(done, self.store.pictures())
            return done

    async def _told_no(self, refused: Refused, done: Synced) -> None:
        """Do what a pull that is refused asks for; whatever it is, the pictures of what was done
        and taken go up before anything of it is removed. What is unsent was pushed before; whatever
        is left could not be."""
        if refused.slug == "wipe-asked":
            unsent = len(self.store.done(waiting=True))
            with self.store.together():
                self.store["wipe"] = {"id": refused.facts["wipe_id"], "unsent": unsent}
                self.store.forget_told()
            await self._wiped(done)
            return
        revoked = refused.slug == "access-revoked"
        if revoked:
            # Nothing is shown any more, however long the pictures take.
            self.store.forget_told()
        await self._last_pictures(done)
        if revoked:
            # Who has something to send needs to be let in once more.
            waiting = self.store.done(waiting=True)
            self.store.empty(kept=["tokens"] if waiting else (), unsent=False)

    async def _last_pictures(self, done: Synced) -> None:
        # Where the phone is not let in any more, nobody waits for them.
        with suppress(SignInNeeded):
            await self._send_pictures(done, self.store.pictures())

    async def push(self, done: Synced) -> None:
        """Send what was done, in its order, until each has its verdict.

        A completion waits for the pictures of its order, without which it would be refused. Those
        that may follow are sent at the end of a sync.
        """
        while waiting := self.store.done(waiting=True, most=MOST_ACTIONS):
            awaited = [one for one in self.store.pictures() if not (one.follows or one.problem)]
            of_orders = {one.about for one in awaited}
            kinds = [(one.type, one.about) for one in waiting]
            number = rules.before_pictures(kinds, of_orders)
            if number == 0:
                await self._send_pictures(done, awaited)
                # What could not be sent is told as a refusal, and keeps nothing back.
                number = rules.before_pictures(kinds, of_orders - {waiting[0].about})
            written = [_written(one) for one in waiting[:number]]
            sizes = [len(orjson.dumps(one)) for one in written]
            number = rules.pieces(written, sizes, MOST_BYTES)
            await self._push_some(waiting[:number], written[:number])
            done.sent += number

    async def _push_some(self, some: Sequence[Done], written: Sequence[Mapping[str, Any]]) -> None:
        changes = {"actions": {"created": written, "updated": [], "deleted": []}}
        body = {
            "changes": changes,
            "last_pulled_at": self.store["cursor"],
            "sent_at": self.clock.now().isoformat(),
        }
        try:
            answer = await self.line.ask("POST", "/v1/sync", json=body)
        except Refused as refused:
            if refused.status not in UNREADABLE:
                raise
            # What cannot be read must not keep back what can: it is found by halves.
            if len(some) == 1:
                told = {"code": refused.slug} | dict.fromkeys(
                    ("words_zh", "words_en"), refused.words
                )
                self.store.judge(some[0].id, Stage.REFUSED, told)
                return
            half = len(some) // 2
            await self._push_some(some[:half], written[:half])
            await self._push_some(some[half:], written[half:])
            return
        read = answer.json()
        with self.store.together():
            self._reached()
            # By how much this clock is wrong, in words, if it is.
            self.store["clock"] = read["clock"]
            for verdict in read["verdicts"]:
                self.store.judge(verdict["id"], _stage(verdict), verdict)

    async def _pull(self, done: Synced) -> None:
        for _ in range(MOST_PAGES):
            if not await self._pull_once(done):
                return

    async def _pull_once(self, done: Synced) -> bool:
        """Pull a page; tell whether there are more."""
        if self.store["schema_version"] != SCHEMA_VERSION:
            # The app is newer than what it was told: all comes anew, with what it knows now.
            self.store["cursor"], self.store["schema_version"] = None, SCHEMA_VERSION
        cursor, etag = self.store["cursor"], self.store["etag"]
        asked = {"schema_version": SCHEMA_VERSION}
        if cursor is not None:
            asked["last_pulled_at"] = cursor
        headers = {"if-none-match": etag} if etag and cursor is not None else {}
        try:
            answer = await self.line.ask("GET", "/v1/sync", params=asked, headers=headers)
        except Refused as refused:
            if refused.slug == "resync-needed" and cursor is not None:
                # What is unsent was pushed before, and stays where it was not; the tables are
                # replaced by what comes next, all in one.
                self.store["cursor"], self.store["etag"] = None, None
                return True
            raise
        if answer.status_code == 304:
            self._reached()
            return False
        read = answer.json()
        with self.store.together():
            if self.store["cursor"] != cursor:
                # Another sync of this phone was quicker, and knows more.
                return True
            self._reached()
            self.store.take(read["changes"], anew=cursor is None)
            self.store["cursor"], self.store["etag"] = read["timestamp"], answer.headers["etag"]
            self.store["offline_hours"] = read["offline_hours"]
            for row in read["changes"].get("actions", {}).get("updated", ()):
                if row["own"]:
                    self.store.judge(row["id"], Stage(row["verdict"]), row)
        done.anew |= cursor is None
        done.told += sum(
            len(one["updated"]) + len(one["deleted"]) for one in read["changes"].values()
        )
        return bool(read["has_more"])

    async def _wiped(self, done: Synced) -> None:
        """Send the last pictures, remove everything, say so, and forget at last what lets the phone
        in. Whoever is switched off meanwhile goes on with it. Raises NoSignal."""
        await self._last_pictures(done)
        self.store.empty(kept=["tokens", "wipe"])
        wipe = self.store["wipe"]
        said = {"unsent": wipe["unsent"]}
        with suppress(Refused, SignInNeeded):
            # Nobody may wait for it any more; empty the phone is all the same.
            await self.line.ask("POST", f"/v1/my/device/wipes/{wipe['id']}/confirm", json=said)
        self.store.empty()

    def _reached(self) -> None:
        self.store["reached_at"] = self.clock.now().isoformat()

    async def _send_pictures(self, done: Synced, pictures: Sequence[Picture]) -> None:
        stages = {one.id: one for one in self.store.done()} if pictures else {}
        for picture in pictures:
            announced = stages[picture.action_id]
            if announced.stage is Stage.APPLIED and picture.problem is None:
                done.pictures += await photos.send(self.line, self.store, picture)
            elif announced.stage in (Stage.CONFLICT, Stage.REFUSED):
                self.store.picture_stands(picture.id, picture.sent, announced.code)


def _written(one: Done) -> dict[str, Any]:
    return {
        "id": one.id,
        "type": one.type,
        "payload": one.payload,
        "base_version": one.base_version,
        "device_at": one.device_at,
    }


def _stage(verdict: Mapping[str, Any]) -> Stage:
    """Read a verdict; of a duplicate the pull tells what the first one was, if it was a no."""
    if verdict["verdict"] == "duplicate":
        return Stage.APPLIED if verdict["code"] is None else Stage.REFUSED
    return Stage(verdict["verdict"])
