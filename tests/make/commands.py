"""Commands of `yingwei`, as a process of their own or, much quicker, in this one."""

import asyncio
import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Mapping
from unittest import mock

from app.cli import run

Ended = subprocess.CompletedProcess[str]


async def told(*words: object, env: Mapping[str, str]) -> Ended:
    """Run a command in a thread, where it may have an event loop of its own.

    What a process adds, importing and an exit code, one test of each file sees with `started`.
    """
    return await asyncio.to_thread(told_here, *words, env=env)


def told_here(*words: object, env: Mapping[str, str]) -> Ended:
    """Run a command in this thread, which has no event loop."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    said = [str(word) for word in words]
    with (
        mock.patch.dict(os.environ, env),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            run(said)
        except SystemExit as ended:
            code = int(ended.code or 0)
    return subprocess.CompletedProcess(said, code, out.getvalue(), err.getvalue())


async def started(*words: object, env: Mapping[str, str]) -> Ended:
    """Run a command as an office does."""
    return await asyncio.to_thread(started_here, *words, env=env)


def started_here(*words: object, env: Mapping[str, str]) -> Ended:
    """Run a command as a process, and wait for its end."""
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *map(str, words)],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
