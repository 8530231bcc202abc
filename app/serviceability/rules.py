"""What is known of the line to an address, who says so, and how long that is believed. Pure."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from app.core.i18n import Words
from app.core.parameters import Parameter

CACHE_MINUTES = Parameter(
    "serviceability.cache_minutes",
    default=240,
    unit="min",
    words=Words(
        zh="资源预判结果多久内无需重新查询", en="How long an answer about a line is not asked again"
    ),
    least=1,
    most=43_200,
)
STALE_HOURS = Parameter(
    "serviceability.stale_hours",
    default=72,
    unit="h",
    words=Words(
        zh="查询不到时，过期的资源预判结果还可使用多久",
        en="How old an answer may be that is used when nobody answers",
    ),
    most=2160,
)


class Source(StrEnum):
    """Where what is known of a line comes from.

    asked: the system has just said so. cached: it said so a while ago, which still holds. stale: it
    said so longer ago and does not answer now. not_asked: what the customer's record says.
    """

    ASKED = "asked"
    CACHED = "cached"
    STALE = "stale"
    NOT_ASKED = "not_asked"


class Said(NamedTuple):
    """What the operator's system says of the line to an address; None is that it does not say.

    `until` is when it takes its word back, an aware moment. `reason` are its own words for a no.
    """

    port_free: bool | None
    max_speed_mbps: int | None
    olt_port: str | None = None
    reason: str | None = None
    until: datetime | None = None


class Recorded(NamedTuple):
    """An address: its code at the other system, and what the customer's record says of its line."""

    id: UUID
    code: str
    port_free: bool | None
    max_speed_mbps: int | None
    olt_port: str | None
    checked_at: datetime | None


class Remembered(NamedTuple):
    """What was said of an address, when, and until when it need not be asked again."""

    said: Said
    asked_at: datetime
    expires_at: datetime


class LineAt(NamedTuple):
    """What is known of the line to an address, as of when, and who says so."""

    address_id: UUID
    source: Source
    as_of: datetime | None
    port_free: bool | None
    max_speed_mbps: int | None
    olt_port: str | None
    reason: str | None = None


def holds(remembered: Remembered | None, now: datetime) -> bool:
    """Tell whether what was said need not be asked again."""
    return remembered is not None and remembered.asked_at <= now < remembered.expires_at


def line_of(
    recorded: Recorded, remembered: Remembered | None, now: datetime, stale: timedelta
) -> LineAt:
    """Say what is known without asking.

    An answer that still holds wins; one that is over is better than the record only if it is the
    younger of the two and not too old.
    """
    if remembered is not None:
        if holds(remembered, now):
            return _line(recorded.id, Source.CACHED, remembered)
        younger = recorded.checked_at is None or remembered.asked_at > recorded.checked_at
        if younger and now - remembered.asked_at <= stale:
            return _line(recorded.id, Source.STALE, remembered)
    return LineAt(
        recorded.id,
        Source.NOT_ASKED,
        recorded.checked_at,
        recorded.port_free,
        recorded.max_speed_mbps,
        recorded.olt_port,
    )


def just_said(address_id: UUID, said: Said, now: datetime) -> LineAt:
    """The same of an answer that has just come."""
    return _line(address_id, Source.ASKED, Remembered(said, now, now))


def _line(address_id: UUID, source: Source, remembered: Remembered) -> LineAt:
    said = remembered.said
    return LineAt(
        address_id,
        source,
        remembered.asked_at,
        said.port_free,
        said.max_speed_mbps,
        said.olt_port,
        said.reason,
    )


def expires(said: Said, now: datetime, minutes: float) -> datetime:
    """Say until when an answer need not be asked again: the other side may take it back sooner."""
    ours = now + timedelta(minutes=minutes)
    return ours if said.until is None else max(now, min(ours, said.until))
