"""The log hinders nobody, and says no more than it should."""

import os
import subprocess
import sys

_STUMBLE = """
from app.core.log import log
wife = "Wang Xiaofang"
try:
    raise ValueError("no answer from 13812341234")
except ValueError:
    log.exception("it stumbled")
"""


def test_a_traceback_is_short_and_shows_no_variables():
    """The library's own way draws every variable, which takes a second a traceback."""
    ended = subprocess.run(
        [sys.executable, "-c", _STUMBLE], capture_output=True, text=True, check=True
    )
    assert "ValueError: no answer from 138****1234" in ended.stderr
    assert "it stumbled" in ended.stderr
    assert "Xiaofang" not in ended.stderr
    assert ended.stdout == ""


_UNHEARD = """
import asyncio, logging, os, sys
from app.core.log import log, set_up
from app.core.settings import Settings
set_up(Settings())
log.warning("heard")
sys.stderr.flush()
full = os.open("/dev/full", os.O_WRONLY)
os.dup2(full, 2)
log.warning("the disk is full")
logging.getLogger("library").warning("here too")
sys.stderr.close()
log.warning("nobody listens")
print("it went on")
"""


def test_a_log_that_cannot_be_written_hinders_nobody():
    """The courier ended its rounds when it could not say what it had stumbled over."""
    ended = subprocess.run(
        [sys.executable, "-c", _UNHEARD],
        capture_output=True,
        text=True,
        env={**os.environ, "YINGWEI_LOG_FORMAT": "json"},
    )
    assert ended.stdout == "it went on\n", ended
    assert "heard" in ended.stderr
