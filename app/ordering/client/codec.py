"""Which version of TMF622 the other side speaks, and the codec that writes it."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from app.ordering.client import codec_v4, codec_v5
from app.ordering.order import Amendment, OrderToPlace


class Version(StrEnum):
    """The versions of TMF622 that can be spoken."""

    V4 = "4"
    V5 = "5"


class Codec(Protocol):
    """What a version has to write; both are modules of pure functions."""

    def body_of(self, order: OrderToPlace) -> dict[str, Any]:
        """Write an order as the body of `POST /productOrder`."""
        ...

    def amendment_of(self, order: OrderToPlace, changes: Amendment) -> dict[str, Any]:
        """Write what is to be different as the body of `PATCH /productOrder/{id}`."""
        ...

    def cancellation_of(self, order_id: str, reason: str, at: datetime) -> dict[str, Any]:
        """Write the wish to cancel an order as the body of `POST /cancelProductOrder`."""
        ...


CODECS: dict[Version, Codec] = {Version.V4: codec_v4, Version.V5: codec_v5}
