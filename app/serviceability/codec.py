"""How a question about lines is written, and its answer read, in the shape the other side speaks.

Service qualification (TMF645) asks what a line can do, product offering qualification (TMF679)
whether an offering can be had there. Yingwei asks the same of both, and reads the same from both:
they differ in their words. All of it is pure.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from app.core.outside import Unreadable, tidy
from app.serviceability.rules import Said

# The names of the characteristics, as the guide for whoever connects a system tells them.
SPEED, PORT_FREE, PORT = "downstreamSpeedMbps", "portFree", "oltPort"


class Shape(StrEnum):
    """What the other side may speak, both in version 4."""

    TMF645 = "tmf645"
    TMF679 = "tmf679"


class Codec(NamedTuple):
    """The words of one shape: the resource, its list of items, and what an item is about."""

    resource: str
    resource_type: str
    items: str
    item_type: str
    result: str
    subject: str
    characteristics: str
    proposals: str
    alternate: str

    def body_of(self, codes: Iterable[str], offering: str) -> dict[str, Any]:
        """Write a question about addresses by their codes; the items are numbered from 1.

        `offering` is what a line to an address is called on the other side.
        """
        items = [self._item(str(number), code, offering) for number, code in enumerate(codes, 1)]
        return {
            "@type": self.resource_type,
            "instantSyncQualification": True,
            "provideAlternative": True,
            "provideUnavailabilityReason": True,
            self.items: items,
        }

    def _item(self, number: str, code: str, offering: str) -> dict[str, Any]:
        place = {
            "id": code,
            "role": "installationAddress",
            "@type": "RelatedPlaceRefOrValue",
            "@referredType": "GeographicAddress",
        }
        item: dict[str, Any] = {"id": number, "@type": self.item_type}
        if self.subject == "service":
            service = {"@type": "Service", "serviceType": offering, "place": [place]}
            return item | {"service": service}
        return item | {
            "action": "add",
            "productOffering": {"id": offering},
            "product": {"@type": "Product", "place": [place]},
        }

    def read(self, answer: Any) -> dict[str, Said]:
        """Read the items that were decided, by their numbers; unknown attributes are left aside.

        Raises Unreadable.
        """
        if not isinstance(answer, dict) or answer.get("state", "done") != "done":
            raise Unreadable("the check is not done")
        items = answer.get(self.items)
        if not isinstance(items, list):
            raise Unreadable("there are no items")
        common = _moment(answer.get("expirationDate"))
        found = {}
        for item in items:
            said = self._said(item, common) if isinstance(item, dict) else None
            if said is not None:
                found[str(item.get("id"))] = said
        return found

    def _said(self, item: dict[str, Any], common: datetime | None) -> Said | None:
        told = str(item.get(self.result, "")).lower()
        result = _LIGHTS.get(told, told)
        if result not in ("qualified", "unqualified", "alternate"):
            return None
        subject = item.get(self.subject)
        if result == "alternate":
            proposals = item.get(self.proposals)
            first = proposals[0] if isinstance(proposals, list) and proposals else None
            subject = first.get(self.alternate) if isinstance(first, dict) else None
        values = self._values(subject)
        speed, port, free = values.get(SPEED), values.get(PORT), values.get(PORT_FREE)
        return Said(
            port_free=free if isinstance(free, bool) else result != "unqualified",
            max_speed_mbps=int(speed)
            if isinstance(speed, int | float) and not isinstance(speed, bool) and 0 <= speed < 1e6
            else None,
            olt_port=tidy(port)[:64] or None if isinstance(port, str) else None,
            reason=_reason(item.get("eligibilityUnavailabilityReason")),
            until=_moment(item.get("expirationDate")) or common,
        )

    def _values(self, subject: Any) -> dict[str, Any]:
        listed = subject.get(self.characteristics) if isinstance(subject, dict) else None
        return {
            str(one.get("name")): one.get("value")
            for one in (listed if isinstance(listed, list) else ())
            if isinstance(one, dict)
        }


CODECS = {
    Shape.TMF645: Codec(
        resource="checkServiceQualification",
        resource_type="CheckServiceQualification",
        items="serviceQualificationItem",
        item_type="CheckServiceQualificationItem",
        result="qualificationResult",
        subject="service",
        characteristics="serviceCharacteristic",
        proposals="alternateServiceProposal",
        alternate="alternateService",
    ),
    Shape.TMF679: Codec(
        resource="productOfferingQualification",
        resource_type="ProductOfferingQualification",
        items="productOfferingQualificationItem",
        item_type="ProductOfferingQualificationItem",
        result="qualificationItemResult",
        subject="product",
        characteristics="productCharacteristic",
        proposals="alternateProductOfferingProposal",
        alternate="alternateProduct",
    ),
}

# What a result is called is left to whoever implements TMF679; these stand among its examples.
_LIGHTS = {"green": "qualified", "yellow": "alternate", "red": "unqualified"}


def _reason(reasons: Any) -> str | None:
    if not isinstance(reasons, list) or not reasons or not isinstance(reasons[0], dict):
        return None
    words = (reasons[0].get("code"), reasons[0].get("label"))
    return tidy(" ".join(word for word in words if isinstance(word, str))) or None


def _moment(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo else None
