"""Staying in touch: a phone with a network pulls when there is news, and now and then by itself."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from app.phone.line import NoSignal, Refused, SignInNeeded
from app.phone.phone import Phone
from app.phone.server import Synced

# Seconds. A phone that hears of nothing looks by itself so often, and after a lost signal so soon.
BY_ITSELF, AGAIN = 300.0, 10.0

Told = Callable[[Synced], None]


async def stay(phone: Phone, told: Told) -> None:
    """Sync at once and whenever there is news, until this is cancelled; `told` hears of each sync.

    A network that is lost is waited for. Raises SignInNeeded, and Refused where the account is
    closed or the phone is to be emptied.
    """
    listening = asyncio.create_task(phone.listen())
    try:
        while True:
            patience = BY_ITSELF
            try:
                told(await phone.sync())
            except NoSignal as lost:
                patience = lost.retry_after or AGAIN
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await phone.news.wait()
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


class InTouch:
    """A phone that stays in touch beside whoever talks with it, in a thread of its own."""

    def __init__(self, take: Callable[[], AbstractAsyncContextManager[Phone]], told: Told) -> None:
        self._take = take
        self._told = told
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._staying: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._stay()), daemon=True)

    def __enter__(self) -> None:
        self._thread.start()
        # By then the phone's file is open: what is done meanwhile is done beside nothing.
        self._ready.wait()

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._staying is not None:
            with contextlib.suppress(RuntimeError):
                # It may be over already.
                self._loop.call_soon_threadsafe(self._staying.cancel)
        self._thread.join()

    async def _stay(self) -> None:
        self._loop, self._staying = asyncio.get_running_loop(), asyncio.current_task()
        try:
            async with self._take() as phone:
                self._ready.set()
                # Why it is over is told by the next sync that somebody asks for.
                with contextlib.suppress(asyncio.CancelledError, SignInNeeded, Refused):
                    await stay(phone, self._told)
        finally:
            self._ready.set()
