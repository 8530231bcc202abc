"""Check-ins with something odd about them, as a supervisor reads them."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from app.core.geo import CoordSys, PointOut
from app.core.http import Answer
from app.core.i18n import Lang
from app.visits.queries import MarkedCheckIn
from app.visits.rules import MARK_WORDS, FarReason, Mark
from app.workorders.rules import masked_address

Text = Annotated[str, Field(max_length=2000)]


class MarkOut(Answer):
    """What is odd, and its words."""

    code: Mark
    words: Text


class MarkedOut(Answer):
    """A check-in that is worth a look; distances in metres, speed in km/h."""

    visit_id: UUID
    work_order_id: UUID
    external_id: Text
    address: Text = Field(description="Down to the building.")
    technician_id: UUID
    technician_code: Text
    technician_name: Text
    at: datetime = Field(description="When the server took it.")
    device_at: datetime | None = Field(description="When it was, by the phone's clock.")
    marks: Annotated[list[MarkOut], Field(max_length=8)]
    far_reason: FarReason | None = Field(
        description="What the technician gave as the reason; `address_point_wrong` says that the"
        " address's point is to be corrected where it comes from."
    )
    distance_m: float | None = Field(description="From the address; null when that has no point.")
    accuracy_m: float | None
    speed_kmh: float | None = Field(
        description="At least needed from the last check-in of the same person."
    )
    point: PointOut
    address_point: PointOut | None

    @classmethod
    def of(cls, one: MarkedCheckIn, coordsys: CoordSys, lang: Lang) -> Self:
        """Write one in a language and a coordinate system."""
        address = None
        if one.address_lon is not None and one.address_lat is not None:
            address = PointOut.of(one.address_lon, one.address_lat, coordsys)
        fields = one._asdict()
        for name in ("lon", "lat", "address_lon", "address_lat"):
            del fields[name]
        return cls(
            **{
                **fields,
                "address": masked_address(one.address),
                "marks": [
                    MarkOut(code=Mark(mark), words=MARK_WORDS[Mark(mark)].say(lang))
                    for mark in one.marks
                ],
                "point": PointOut.of(one.lon, one.lat, coordsys),
                "address_point": address,
            }
        )


class MarkedPage(Answer):
    """Some of them, the newest first."""

    check_ins: Annotated[list[MarkedOut], Field(max_length=200)]
    next_page_token: str | None = Field(max_length=400)
