"""Structured logs: one JSON line an event, with the request id, and without personal data."""

import contextlib
import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO, cast

import orjson
import structlog

from app.core.settings import Settings

# Chinese mobile numbers, and the identity card numbers that must never be written anywhere.
_PERSONAL = re.compile(r"(?<!\d)(1[3-9]\d)\d{4}(\d{4})(?!\d)|(?<![\dA-Za-z])\d{17}[\dXx](?!\w)")


# What errors quote of the values they are about: PostgreSQL in its details, SQLAlchemy what a
# statement was given, pydantic what it was to read. Names and addresses have no shape to know them
# by, so all of it goes, up to what comes after it in a traceback.
_QUOTED = re.compile(
    r"(?P<what>\b(?:DETAIL|CONTEXT|QUERY): +|\[parameters: |\binput_value=)"
    r".*?(?=\b(?:DETAIL|CONTEXT|QUERY|HINT): |, input_type=|\n\(Background on|"
    r"\n\nThe above exception|\n\nDuring handling|\nTraceback|\Z)",
    re.DOTALL,
)


def unquoted(text: str) -> str:
    """Leave out of an error's text what it quotes of the values it is about."""
    return _QUOTED.sub(lambda hit: f"{hit['what']}…", text)


def masked(text: str) -> str:
    """Mask telephone and identity numbers in a text: 13812341234 becomes 138****1234."""
    return _PERSONAL.sub(lambda hit: f"{hit[1]}****{hit[2]}" if hit[1] else "***", text)


def _mask(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = masked(unquoted(value))
        elif isinstance(value, dict | list | tuple | BaseException):
            event[key] = masked(unquoted(str(value)))
    return event


class _StandardError:
    """Where the log goes. What cannot be written, the disk being full or the other end of a pipe
    gone, is lost: whoever logs does so while handling something worse, and must get on with it."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            (self._stream or sys.stderr).write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            (self._stream or sys.stderr).flush()


_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.format_exc_info,
    _mask,
    # What we add ourselves need not be looked through with every line.
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso"),
]


def set_up(settings: Settings) -> None:
    """Set the process's logging up, the libraries' included, on standard error."""
    out: Any = _StandardError(sys.stderr)
    level = logging.getLevelNamesMapping().get(settings.log_level.upper(), logging.INFO)
    if settings.log_format == "json":
        renderer: Any = structlog.processors.JSONRenderer(
            serializer=lambda event, **_: orjson.dumps(event, default=str).decode()
        )
    else:
        renderer = structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[*_SHARED, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=_SHARED, processor=renderer)
    )
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)


# Whoever does not set the log up, a command or a script, must not get the library's own way: it
# draws tracebacks with all variables, which takes a second each and shows personal data.
structlog.configure(
    processors=[*_SHARED, structlog.dev.ConsoleRenderer()],
    logger_factory=structlog.WriteLoggerFactory(file=cast(Any, _StandardError())),
)
log = structlog.get_logger("yingwei")
