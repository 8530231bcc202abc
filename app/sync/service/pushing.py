"""Pushing: what was done offline is carried out in its order, and each action gets a verdict."""

import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from fastapi import Request
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.exc import StaleDataError

from app.auth.callers import Caller, technician_of
from app.core.colliding import TRIES, breathe, collided, state_of
from app.core.db import Database, Part
from app.core.errors import Invalid, Problem, SameIdOtherContent, Unauthorized, Unavailable
from app.core.log import log
from app.devices.queries import wipe_of
from app.devices.rules import UNNAMED, Wipe, WipeAsked
from app.evidence.rules.uploads import metadata_of
from app.sync import rules
from app.sync.queries import feed, pushing
from app.sync.rules import ActionVerdict, Kind
from app.sync.rules.actions import Action, Judged, Pushed
from app.sync.rules.payloads import PayloadUnfit, without_codes
from app.sync.rules.steps import step_of
from app.sync.service.doorways import Doorway, Way

# So often an action is tried that takes longer than a statement may: each time costs half a minute,
# and the others of the push wait for it. Those others tell whether it is the action or the database
# that is slow: without it they are done within so many seconds.
SLOW_TRIES = 2
SOON = 10.0
# Words of a database that say: the same again may go well. Deadlocks, failed serializations, rows
# that were written twice, and an action that ran out of time (a statement or a lock took too long)
# are tried again here; what is in the way of everybody (a lost connection, want of room, a server
# that is stopped) is tried again by the phone.
_TWICE = "23505"
_OUT_OF_TIME = ("57014", "55P03")
_LATER = ("08", "25P03", "40", "53", "55P03", "57")


class Answered(NamedTuple):
    """What became of a push, and the wipe that its phone has to obey, if there is one."""

    verdicts: list[Judged]
    wipe: Wipe | None


async def push(
    request: Request,
    caller: Caller,
    pushed: Pushed,
    doorways: Mapping[str, Doorway],
    *,
    now: datetime,
) -> Answered:
    """Carry a push out in one transaction, each action in a part of its own.

    A phone that is to be emptied pushes what it has once more: what was done before that was asked
    for is carried out, the rest refused. A collision with others is tried again here, and so is an
    action that runs out of time; one that a single action runs into each time is no collision, and
    is that action's verdict. Raises Unavailable when it does not end, and for whatever else the
    same push may go well with later, and Unauthorized for a phone that has been emptied; then
    nothing is written.
    """
    database: Database = request.app.state.database
    slow = Counter[UUID]()
    for tries in range(1, TRIES + 1):
        known = slow.total()
        try:
            async with database.begin(request) as tx:
                last = tries == TRIES
                one = _Push(tx, request, caller, pushed, doorways, now, last, slow)
                return await one.carry_out()
        except (DBAPIError, psycopg.Error, StaleDataError, Unavailable) as error:
            if not _may_collide(error) and slow.total() == known:
                raise
            if tries < TRIES:
                await breathe(tries)
    raise Unavailable(retry_after=2, reason="too many collisions")


def _may_collide(error: BaseException) -> bool:
    return isinstance(error, StaleDataError) or collided(error) or state_of(error) == _TWICE


@dataclass
class _Push:
    """One push being carried out."""

    tx: AsyncSession
    request: Request
    caller: Caller
    pushed: Pushed
    doorways: Mapping[str, Doorway]
    now: datetime
    # Whether it is not tried again here.
    last: bool
    # How often each action has run out of time, in this try and those before.
    slow: Counter[UUID]
    # Actions about somebody who was erased: what they say is not kept.
    of_nobody: Collection[UUID] = ()

    async def carry_out(self) -> Answered:
        tx, mine = self.tx, technician_of(self.caller)
        actions = self.pushed.actions
        await pushing.one_at_a_time(tx, mine)
        began = time.monotonic()
        wipe = await wipe_of(tx, self.caller, self.pushed.device or UNNAMED)
        if wipe is not None and wipe.confirmed_at is not None:
            raise Unauthorized()
        revoked = not await pushing.is_open(tx, self.caller.account_id)
        before = await pushing.known(tx, [one.id for one in actions])
        new = [one for one in actions if one.id not in before]
        about = await self._about(new)
        self.of_nobody = await self._about_nobody(new, about)
        if not revoked:
            await pushing.lock_orders(tx, mine, set(about.values()))
        answered: dict[UUID, tuple[str, Judged]] = {
            one.id: (
                one.content_hash if one.technician_id == mine else "",
                Judged(*(getattr(one, name) for name in Judged.__dataclass_fields__)),
            )
            for one in before.values()
        }
        written: list[dict[str, Any]] = []
        verdicts = []
        for place, action in enumerate(actions):
            if action.id in answered:
                verdicts.append(_again(action, *answered[action.id]))
                continue
            # Two steps of one push are never at the same moment, or their order would be lost.
            at = self.now + timedelta(microseconds=place)
            stands = _stands_against(action, wipe, revoked=revoked)
            row = await self._judge(action, about.get(action.id), at, stands)
            written.append(row)
            judged = Judged(action.id, *(row[name] for name in _TOLD))
            answered[action.id] = action.content_hash, judged
            verdicts.append(judged)
        await pushing.write_down(tx, written)
        await feed.touch(tx, [one async for one in self._news(written)])
        if any(map(self._too_slow, actions)) and time.monotonic() - began > SOON:
            # It is slow without what ran out of time, too: not the action is the matter.
            raise Unavailable(retry_after=2, reason="everything is slow")
        return Answered(verdicts, wipe)

    async def _judge(
        self, action: Action, order_id: UUID | None, at: datetime, stands: Problem | None
    ) -> dict[str, Any]:
        erased = action.id in self.of_nobody
        row: dict[str, Any] = {
            "id": action.id,
            "technician_id": technician_of(self.caller),
            "account_id": self.caller.account_id,
            "device": self.pushed.device,
            "type": action.type,
            "payload": _ids_of(action) if erased else _kept(action),
            "base_version": action.base_version,
            "device_at": action.device_at,
            "received_at": self.now,
            "content_hash": action.content_hash,
            "verdict": ActionVerdict.APPLIED,
            "work_order_id": order_id,
            **dict.fromkeys(("code", "words_zh", "words_en", "facts", "judgement", "moved_to")),
        }
        problem = stands or await self._problem_with(action, at)
        if problem is None:
            return row
        row.update(
            verdict=rules.verdict_on(problem),
            code=problem.slug,
            words_zh=f"{problem.title.zh}：{problem.detail('zh')}",
            words_en=f"{problem.title.en}: {problem.detail('en')}",
            facts=None if erased else problem.facts_in("zh"),
        )
        if stands is None and order_id is not None and row["verdict"] is ActionVerdict.CONFLICT:
            await self._look_where_it_went(row, action, order_id)
        return row

    async def _problem_with(self, action: Action, at: datetime) -> Problem | None:
        """Carry an action out; give what stood against it.

        Nothing that a single action brings about keeps back those behind it: what nobody foresaw is
        logged, kept and told like a refusal. Raises what may go well another time.
        """
        if self._too_slow(action):
            log.warning("an action ran out of time each time", action=str(action.id))
            return rules.NotCarriedOut(id=action.id)
        try:
            async with Part(self.tx) as part:
                doorway = self.doorways.get(action.type)
                if doorway is None:
                    raise rules.UnknownAction(type=action.type)
                if action.unread is not None:
                    raise PayloadUnfit(action.unread.wrong)
                if action.told:
                    raise Invalid(errors=[{"field": "payload", "message": "missing"}])
                read = doorway.read(action.payload, action.device_at.isoformat())
                await doorway.go_through(read, Way(self.request, part, clock=_At(at)))
        except Problem as problem:
            if problem.status < 500:
                return problem
            # Whoever says when to come again lacks something that all of them need.
            if isinstance(problem, Unavailable) or "retry_after" in problem.facts:
                raise
            log.exception("an action could not be carried out", action=str(action.id))
            return rules.NotCarriedOut(id=action.id)
        except (DBAPIError, psycopg.Error, StaleDataError) as error:
            if state_of(error) in _OUT_OF_TIME:
                self.slow[action.id] += 1
            if self._may_go_well(error):
                raise
            log.exception("an action could not be carried out", action=str(action.id))
            return rules.NotCarriedOut(id=action.id)
        except Exception:  # noqa: BLE001 - logged and kept; the phone's queue must go on
            log.exception("an action could not be carried out", action=str(action.id))
            return rules.NotCarriedOut(id=action.id)
        return None

    def _too_slow(self, action: Action) -> bool:
        return self.slow[action.id] >= SLOW_TRIES

    def _may_go_well(self, error: BaseException) -> bool:
        """Tell whether an action that failed in the database may go well with the same push later.

        Two that write the same row collide once: the next try finds it. An action that does so in
        the last try as well would keep back all that comes behind it, for good.
        """
        state = state_of(error)
        if state == _TWICE or isinstance(error, StaleDataError):
            return not self.last
        if not state:
            # A driver names no state where the connection was lost, and where it was given what it
            # cannot send, which it cannot send the next time either.
            said = getattr(error, "orig", error)
            return isinstance(said, (psycopg.OperationalError, psycopg.InterfaceError))
        return state.startswith(_LATER)

    async def _look_where_it_went(
        self, row: dict[str, Any], action: Action, order_id: UUID
    ) -> None:
        moved = await pushing.moved_away(self.tx, order_id, row["technician_id"])
        if moved is None:
            return
        other = moved.holder_id if moved.holder_id != row["technician_id"] else None
        row["moved_to"] = other
        reason = step_of(action.type).too_late
        if reason is None:
            return
        row["judgement"] = rules.judged(action.device_at, moved.moved_at)
        await pushing.tell_history(
            self.tx,
            order_id,
            technician_id=row["technician_id"],
            account_id=row["account_id"],
            device_at=action.device_at,
            at=self.now,
            reason=reason,
            facts={
                "action_id": action.id,
                "type": action.type,
                "judgement": row["judgement"],
                "outcome_code": action.payload.get("outcome_code"),
            },
        )

    async def _about(self, actions: Iterable[Action]) -> dict[UUID, UUID]:
        """Tell which order each action is about, as far as it says so itself, or by a visit or sale
        that is known or comes with the same push."""
        named: dict[UUID, UUID] = {}
        waiting: list[tuple[UUID, list[UUID], UUID | None]] = []
        made: dict[UUID, UUID] = {}
        for action in actions:
            said = {
                name: found
                for name in ("work_order_id", "visit_id", "sale_id", "id")
                if (found := _id_of(action.payload.get(name))) is not None
            }
            if "work_order_id" in said:
                named[action.id] = said["work_order_id"]
                if "id" in said:
                    made[said["id"]] = said["work_order_id"]
                continue
            through = [said[name] for name in ("visit_id", "sale_id") if name in said]
            if through:
                waiting.append((action.id, through, said.get("id")))
        wanted = {one for _, through, _ in waiting for one in through} - made.keys()
        if wanted:
            behind = await pushing.orders_behind(self.tx, technician_of(self.caller), wanted)
            made = {**behind, **made}
        for action_id, through, makes in waiting:
            for one in through:
                if one in made:
                    named[action_id] = made[one]
                    if makes is not None:
                        made.setdefault(makes, made[one])
        return named

    async def _about_nobody(
        self, actions: Iterable[Action], about: Mapping[UUID, UUID]
    ) -> set[UUID]:
        """Tell which actions are about a customer who was erased while the phone was away, by
        whatever they name of theirs."""
        named: dict[str, set[UUID]] = {name: set() for name in pushing.SUBJECTS}
        whose: dict[UUID, set[UUID]] = {}
        for action in actions:
            said = {name: _id_of(action.payload.get(name)) for name in named}
            said["work_order_id"] = (
                about.get(action.id) or said["work_order_id"] or _pictured(action.payload)
            )
            whose[action.id] = {one for one in said.values() if one is not None}
            for name, one in said.items():
                if one is not None:
                    named[name].add(one)
        nobodys = await pushing.of_nobody(self.tx, named)
        return {action_id for action_id, ids in whose.items() if ids & nobodys}

    async def _news(
        self, written: Iterable[Mapping[str, Any]]
    ) -> AsyncIterator[tuple[UUID, Kind, UUID]]:
        mine = technician_of(self.caller)
        late: dict[UUID, list[UUID]] = {}
        for row in written:
            yield mine, Kind.ACTION, row["id"]
            if row["judgement"] is not None:
                late.setdefault(row["work_order_id"], []).append(row["id"])
        for technician_id, order_id in await pushing.whose_phones(self.tx, late) if late else ():
            for row_id in late[order_id]:
                yield technician_id, Kind.ACTION, row_id
        # What a phone changed in other tables is not taken from there; it is told how they stand.
        for kind, ids in self.pushed.touched.items():
            if kind is Kind.SUGGESTION and ids:
                ids = await pushing.suggested_for(self.tx, ids)
            elif kind is Kind.ACTION and ids:
                # An app may clear its list of what was done long ago, and most of that is known.
                ids = await pushing.known(self.tx, ids)
            elif kind in (Kind.WORK_ORDER, Kind.CUSTOMER) and ids:
                # By such a line it is known whose an order was, which is not for a phone to say.
                ids = await pushing.told_of(self.tx, mine, kind, ids)
            for row_id in ids:
                yield mine, kind, row_id


_TOLD = ("verdict", "code", "words_zh", "words_en", "judgement")


def _kept(action: Action) -> Mapping[str, Any]:
    if not step_of(action.type).keeps_payload:
        return {}
    if action.unread is not None:
        return action.unread.kept
    kept: Mapping[str, Any] = without_codes(action.payload)
    return kept


def _ids_of(action: Action) -> Mapping[str, Any]:
    """Give what an action is about and nothing else: what the phone sends next may build on it."""
    names = ("id", *pushing.SUBJECTS)
    return {name: str(one) for name in names if (one := _id_of(action.payload.get(name)))}


def _stands_against(action: Action, wipe: Wipe | None, *, revoked: bool) -> Problem | None:
    """Say why nothing of a phone is carried out any more; it is kept as evidence all the same."""
    if revoked:
        return rules.AccessRevoked(needs="an open account")
    if wipe is not None and action.device_at > wipe.asked_at:
        return WipeAsked(asked_at=wipe.asked_at, wipe_id=wipe.id)
    return None


def _again(action: Action, content_hash: str, judged: Judged) -> Judged:
    """Answer an action that has its verdict: nothing is done a second time."""
    if content_hash != action.content_hash and not (action.told and content_hash):
        problem = SameIdOtherContent(id=action.id)
        return Judged(
            action.id,
            ActionVerdict.REFUSED,
            problem.slug,
            f"{problem.title.zh}：{problem.detail('zh')}",
            f"{problem.title.en}: {problem.detail('en')}",
        )
    return Judged(
        judged.id,
        ActionVerdict.DUPLICATE,
        judged.code,
        judged.words_zh,
        judged.words_en,
        judged.judgement,
    )


def _id_of(value: Any) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _pictured(payload: Mapping[str, Any]) -> UUID | None:
    """Tell of which order a picture is announced: it is named in the announcement's header."""
    try:
        return _id_of(metadata_of(str(payload.get("metadata", ""))).get("work_order_id"))
    except Problem:
        return None


@dataclass(frozen=True)
class _At:
    """A clock that stands at the moment of one action."""

    at: datetime

    def now(self) -> datetime:
        """Return the moment."""
        return self.at
