"""The way out to the system that knows the lines: a TMF645 check of what can be had at addresses.

One exchange asks about many addresses. Only their codes leave the house: the other side has the
same register, and needs no more of anybody's address.
"""

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from app.core.outside import Failed, Failure, NoAnswer, Outside, Reply, Unreadable, failed, tidy
from app.serviceability.rules import Said

# How many addresses one exchange asks about.
AT_ONCE = 200

# Somebody waits at a door for every question, so after a silence nobody asks for some seconds.
QUIET_SECONDS = 10.0

# The names of the characteristics, as the guide for whoever connects a system tells them.
SPEED, PORT_FREE, PORT = "downstreamSpeedMbps", "portFree", "oltPort"


class ServiceabilityClient(Outside):
    """One serviceability system's API; `base_url` ends where `/checkServiceQualification` begins.

    `check` raises `core.outside.Failed`, and nothing else of its own.
    """

    _quiet_until = 0.0

    @property
    def quiet(self) -> bool:
        """Tell whether it was silent just now, so that nobody should wait for it."""
        return time.monotonic() < self._quiet_until

    async def check(self, codes: Mapping[UUID, str]) -> dict[UUID, Said]:
        """Ask about addresses by their codes; what is not answered is left out."""
        items = [_item(str(number), code) for number, code in enumerate(codes.values(), 1)]
        body = {
            "@type": "CheckServiceQualification",
            "instantSyncQualification": True,
            "provideAlternative": True,
            "provideUnavailabilityReason": True,
            "serviceQualificationItem": items,
        }
        try:
            reply = await self.exchange("POST", "checkServiceQualification", body=body)
        except NoAnswer as nothing:
            self._quiet_until = time.monotonic() + QUIET_SECONDS
            raise failed(nothing) from nothing
        if reply.status not in (200, 201):
            if reply.status >= 500 or reply.status == 429:
                self._quiet_until = time.monotonic() + QUIET_SECONDS
            raise failed(reply)
        said = _read(reply)
        ids = {str(number): address_id for number, address_id in enumerate(codes, 1)}
        return {ids[number]: one for number, one in said.items() if number in ids}


def _item(number: str, code: str) -> dict[str, Any]:
    place = {
        "id": code,
        "role": "installationAddress",
        "@type": "RelatedPlaceRefOrValue",
        "@referredType": "GeographicAddress",
    }
    return {
        "id": number,
        "@type": "CheckServiceQualificationItem",
        "service": {"@type": "Service", "serviceType": "broadband", "place": [place]},
    }


def _read(reply: Reply) -> dict[str, Said]:
    """Read the items that were decided, by their numbers; unknown attributes are left aside."""
    try:
        answer = reply.json()
        if not isinstance(answer, dict) or answer.get("state", "done") != "done":
            raise Unreadable("the check is not done")
        items = answer.get("serviceQualificationItem")
        if not isinstance(items, list):
            raise Unreadable("there are no items")
    except Unreadable as error:
        raise Failed(Failure.UNKNOWN, tidy(f"unreadable: {error}")) from error
    common = _moment(answer.get("expirationDate"))
    found = {}
    for item in items:
        said = _said(item, common) if isinstance(item, dict) else None
        if said is not None:
            found[str(item.get("id"))] = said
    return found


def _said(item: dict[str, Any], common: datetime | None) -> Said | None:
    result = str(item.get("qualificationResult", "")).lower()
    if result not in ("qualified", "unqualified", "alternate"):
        return None
    service = item.get("service")
    if result == "alternate":
        proposals = item.get("alternateServiceProposal")
        first = proposals[0] if isinstance(proposals, list) and proposals else None
        service = first.get("alternateService") if isinstance(first, dict) else None
    told = _characteristics(service)
    speed, port = told.get(SPEED), told.get(PORT)
    free = told.get(PORT_FREE)
    return Said(
        port_free=free if isinstance(free, bool) else result != "unqualified",
        max_speed_mbps=int(speed)
        if isinstance(speed, int | float) and not isinstance(speed, bool) and 0 <= speed < 1e6
        else None,
        olt_port=tidy(port)[:64] or None if isinstance(port, str) else None,
        reason=_reason(item.get("eligibilityUnavailabilityReason")),
        until=_moment(item.get("expirationDate")) or common,
    )


def _characteristics(service: Any) -> dict[str, Any]:
    listed = service.get("serviceCharacteristic") if isinstance(service, dict) else None
    return {
        str(one.get("name")): one.get("value")
        for one in (listed if isinstance(listed, list) else ())
        if isinstance(one, dict)
    }


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
