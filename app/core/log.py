"""Structured logs: one JSON line an event, with the request id, and without personal data."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import orjson
import structlog

from app.core.settings import Settings

# Chinese mobile numbers, and the identity card numbers that must never be written anywhere.
_PERSONAL = re.compile(r"(?<!\d)(1[3-9]\d)\d{4}(\d{4})(?!\d)|(?<![\dA-Za-z])\d{17}[\dXx](?!\w)")


def masked(text: str) -> str:
    """Mask telephone and identity numbers in a text: 13812341234 becomes 138****1234."""
    return _PERSONAL.sub(lambda hit: f"{hit[1]}****{hit[2]}" if hit[1] else "***", text)


def _mask(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = masked(value)
        elif isinstance(value, dict | list | tuple):
            event[key] = masked(str(value))
    return event


def set_up(settings: Settings) -> None:
    """Set the process's logging up, the libraries' included, on standard error."""
    level = logging.getLevelNamesMapping().get(settings.log_level.upper(), logging.INFO)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.processors.format_exc_info,
        _mask,
    ]
    if settings.log_format == "json":
        renderer: Any = structlog.processors.JSONRenderer(
            serializer=lambda event, **_: orjson.dumps(event, default=str).decode()
        )
    else:
        renderer = structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processor=renderer)
    )
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)


log = structlog.get_logger("yingwei")
