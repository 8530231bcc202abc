"""Requests that collide: of two transactions that wait for each other PostgreSQL undoes one, and
whoever asked for that one has done nothing wrong. It is carried out once more from its beginning.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.errors import Unavailable
from app.core.log import log

Done = TypeVar("Done")

# So often something is tried that collides with others; then whoever asked is to come again.
TRIES = 5

# A deadlock, and a transaction that cannot be put in line with others.
_COLLIDED = ("40P01", "40001")
# Stands in the scope of a request that can be tried once more.
_MORE = "yingwei.can_be_tried_once_more"
# Stands in the scope of a request whose body is read piece by piece and not kept: it is gone.
GONE = "yingwei.body_is_gone"


def state_of(error: BaseException) -> str:
    """Read PostgreSQL's word (SQLSTATE) for what went wrong, "" where it has none."""
    while isinstance(error, Unavailable) and error.__cause__ is not None:
        error = error.__cause__
    return getattr(getattr(error, "orig", error), "sqlstate", None) or ""


def collided(error: BaseException) -> bool:
    """Tell whether a transaction was undone only because of others at the same time."""
    return state_of(error) in _COLLIDED


async def breathe(tries: int) -> None:
    """Wait a little after so many tries, longer each time and by luck, so that the same two do not
    collide again."""
    await asyncio.sleep(random.uniform(0.01, 0.05) * 2 ** (tries - 1))


async def repeated(act: Callable[[], Awaitable[Done]]) -> Done:
    """Do something that opens its own transaction, once more each time that it collides with
    others. Raises what it raises, also a collision that does not end."""
    tries = 1
    while True:
        try:
            return await act()
        except Exception as error:
            if tries == TRIES or not collided(error):
                raise
        await breathe(tries)
        tries += 1


def leave_to_the_next_try(request: Request, error: Exception) -> None:
    """Raise an error on to where its request is tried once more, if it is one that can be."""
    if request.scope.get(_MORE) and GONE not in request.scope and collided(error):
        raise error


async def until_through(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve a request, from its beginning each time that it collides with others.

    Its transaction ends before anything is answered, so whoever collides has done nothing and said
    nothing yet. Who has several does in each what can be done once more. The last try answers
    Unavailable, and so does each where the body is gone.
    """
    heard = _Heard(scope, receive)
    for tries in range(1, TRIES + 1):
        scope[_MORE] = tries < TRIES
        try:
            await app(scope, heard.from_the_beginning(), send)
        except Exception as error:
            if not (scope[_MORE] and GONE not in scope and collided(error)):
                raise
            log.info("collided", tries=tries, state=state_of(error))
        else:
            return
        await breathe(tries)


class _Heard:
    """Hears a request's body, and says what was heard again to the next try.

    Of a body that is not kept nothing is kept here either: it may be larger than any memory.
    """

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope = scope
        self._receive = receive
        self._heard: list[Message] = []

    def from_the_beginning(self) -> Receive:
        said = iter(tuple(self._heard))

        async def receive() -> Message:
            for message in said:
                return message
            message = await self._receive()
            if GONE not in self._scope:
                self._heard.append(message)
            return message

        return receive
