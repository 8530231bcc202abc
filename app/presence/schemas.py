"""Wire shapes of presence."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from app.core.geo import CoordSys, from_wgs84, to_wgs84
from app.core.http import Answer, DeviceTime, Input
from app.presence.models import Duty
from app.presence.queries import Whereabouts
from app.presence.rules import (
    CONSENT_VERSION,
    CONSENT_WORDS,
    MOST_POINTS,
    MOST_SEEN,
    MOST_TRACKED,
    Dropped,
    DutyEnd,
    Point,
    Taken,
)

Consent = Annotated[
    int | None,
    Field(
        ge=1,
        le=10_000,
        description="The version of the words that the technician has just agreed to, see"
        " `GET /v1/my/shift`; null: no positions.",
    ),
]


class BeginShiftIn(Input):
    """That a shift begins."""

    id: UUID = Field(description="Made by the phone (UUIDv7).")
    positions_consent: Consent = None
    device_at: DeviceTime = Field(description="When, by the phone's clock.")


class EndShiftIn(Input):
    """That a shift ends."""

    device_at: DeviceTime = Field(description="When, by the phone's clock.")


class ConsentIn(Input):
    """What a technician says to positions for the rest of the shift."""

    positions_consent: Consent
    device_at: DeviceTime = Field(description="When, by the phone's clock.")


class ShiftOut(Answer):
    """A shift as it is really worked."""

    id: UUID
    began_at: datetime
    ended_at: datetime | None
    end: DutyEnd | None = Field(description="`left_open`: nobody ended it.")
    shares_position: bool = Field(description="Whether positions are agreed to.")

    @classmethod
    def of(cls, duty: Duty) -> Self:
        """Write a shift."""
        return cls(
            id=duty.id,
            began_at=duty.began_at,
            ended_at=duty.ended_at,
            end=duty.end,
            shares_position=duty.consent_from is not None,
        )


class ConsentWordsOut(Answer):
    """What a technician is asked before a shift."""

    version: int = Field(ge=1)
    zh: str = Field(max_length=2000)
    en: str = Field(max_length=2000)


class MyShiftOut(Answer):
    """The shift that a technician is on, and what is asked before the next one."""

    shift: ShiftOut | None
    consent: ConsentWordsOut

    @classmethod
    def of(cls, duty: Duty | None) -> Self:
        """Write it."""
        words = ConsentWordsOut(version=CONSENT_VERSION, **CONSENT_WORDS._asdict())
        return cls(shift=ShiftOut.of(duty) if duty else None, consent=words)


class PositionIn(Input):
    """Where a phone was."""

    at: DeviceTime = Field(description="When, by the phone's clock.")
    lon: float = Field(ge=-180, le=180, description="Longitude in degrees.")
    lat: float = Field(ge=-90, le=90, description="Latitude in degrees.")
    accuracy_m: float = Field(ge=0, le=100_000, description="As the phone gives it, in metres.")


class PositionsIn(Input):
    """A batch of positions."""

    coordsys: CoordSys = Field(description="The system all of them are in.")
    points: Annotated[list[PositionIn], Field(min_length=1, max_length=MOST_POINTS)]

    def read(self) -> list[Point]:
        """Read them into WGS-84."""
        lons, lats = to_wgs84(
            [one.lon for one in self.points], [one.lat for one in self.points], self.coordsys
        )
        return [
            Point(one.at, float(lon), float(lat), one.accuracy_m)
            for one, lon, lat in zip(self.points, lons, lats, strict=True)
        ]


class DroppedOut(Answer):
    """Why some positions are not kept."""

    reason: Dropped
    count: int = Field(ge=1)


class PositionsTakenOut(Answer):
    """What became of a batch."""

    kept: int = Field(ge=0)
    dropped: Annotated[list[DroppedOut], Field(max_length=len(Dropped))]

    @classmethod
    def of(cls, taken: Taken) -> Self:
        """Write it."""
        dropped = [DroppedOut(reason=why, count=n) for why, n in sorted(taken.dropped.items())]
        return cls(kept=taken.kept, dropped=dropped)


class PresentOut(Answer):
    """Somebody, and whether they are on shift."""

    technician_id: UUID
    code: str = Field(max_length=64)
    name: str = Field(max_length=200)
    org_unit_id: UUID
    on_shift_since: datetime | None = Field(description="Null: not on shift, as far as they said.")
    last_seen_at: datetime | None = Field(
        description="When a phone of theirs was last heard of, to within some minutes."
    )
    streaming: bool = Field(description="Whether a phone of theirs listens at this moment.")
    shares_position: bool = Field(description="Whether they agree to positions on this shift.")


class PresencePage(Answer):
    """A page of people."""

    technicians: Annotated[list[PresentOut], Field(max_length=200)]
    next_page_token: str | None = Field(max_length=400)


class WhereOut(Answer):
    """About where somebody is."""

    technician_id: UUID
    code: str = Field(max_length=64)
    name: str = Field(max_length=200)
    at: datetime
    lon: float = Field(description="The middle of a square, in degrees.")
    lat: float = Field(description="The middle of a square, in degrees.")
    accuracy_m: int = Field(ge=0, description="As the phone gave it; the square comes on top.")


class WherePage(Answer):
    """About where those are who are on shift and agree to it."""

    coordsys: CoordSys
    technicians: Annotated[list[WhereOut], Field(max_length=MOST_SEEN)]

    @classmethod
    def of(cls, found: list[Whereabouts], coordsys: CoordSys) -> Self:
        """Write them in a coordinate system."""
        written = []
        for one in found:
            lon, lat = from_wgs84(one.lon, one.lat, coordsys)
            shown = {**one._asdict(), "lon": round(lon, 6), "lat": round(lat, 6)}
            written.append(WhereOut(**shown))
        return cls(coordsys=coordsys, technicians=written)


class TrackPointOut(Answer):
    """About where somebody was."""

    at: datetime
    lon: float
    lat: float
    accuracy_m: float = Field(ge=0)


class TrackOut(Answer):
    """Where somebody was, in the order of time."""

    coordsys: CoordSys
    points: Annotated[list[TrackPointOut], Field(max_length=MOST_TRACKED)]

    @classmethod
    def of(cls, points: list[Point], coordsys: CoordSys) -> Self:
        """Write it in a coordinate system."""
        written = []
        for one in points:
            lon, lat = from_wgs84(one.lon, one.lat, coordsys)
            shown = {**one._asdict(), "lon": round(lon, 6), "lat": round(lat, 6)}
            written.append(TrackPointOut(**shown))
        return cls(coordsys=coordsys, points=written)
