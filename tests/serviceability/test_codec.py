"""Questions about lines and their answers, in the two shapes the other side may speak.

The schemas of TM Forum for them are not kept in this repository, so the bodies are compared with
what the specifications (TMF645 and TMF679, v4.0) name.
"""

import pytest

from app.core.outside import Unreadable
from app.serviceability.codec import CODECS, Shape
from app.serviceability.rules import Said

PLACE = {
    "id": "A-1",
    "role": "installationAddress",
    "@type": "RelatedPlaceRefOrValue",
    "@referredType": "GeographicAddress",
}
VALUES = [
    {"name": "downstreamSpeedMbps", "value": 1000},
    {"name": "portFree", "value": False},
    {"name": "oltPort", "value": "OLT-3/1/7"},
]


def offering_answer(**item):
    return {
        "state": "done",
        "productOfferingQualificationItem": [
            {"id": "1", "product": {"productCharacteristic": VALUES}, **item}
        ],
    }


def service_answer(**item):
    return {
        "state": "done",
        "serviceQualificationItem": [
            {"id": "1", "service": {"serviceCharacteristic": VALUES}, **item}
        ],
    }


@pytest.mark.parametrize(
    ("shape", "kind", "items", "item"),
    [
        (
            Shape.TMF645,
            "CheckServiceQualification",
            "serviceQualificationItem",
            {
                "@type": "CheckServiceQualificationItem",
                "service": {"@type": "Service", "serviceType": "ftth", "place": [PLACE]},
            },
        ),
        (
            Shape.TMF679,
            "ProductOfferingQualification",
            "productOfferingQualificationItem",
            {
                "@type": "ProductOfferingQualificationItem",
                "action": "add",
                "productOffering": {"id": "ftth"},
                "product": {"@type": "Product", "place": [PLACE]},
            },
        ),
    ],
)
def test_addresses_are_asked_about_by_their_codes(shape, kind, items, item):
    body = CODECS[shape].body_of(["A-1", "A-2"], "ftth")
    assert [one["id"] for one in body[items]] == ["1", "2"]
    first = body.pop(items)[0]
    assert first == {"id": "1", **item}
    assert body == {
        "@type": kind,
        "instantSyncQualification": True,
        "provideAlternative": True,
        "provideUnavailabilityReason": True,
    }


NO = {"eligibilityUnavailabilityReason": [{"code": "noFreePort", "label": "taken"}]}
TAKEN = Said(False, 1000, "OLT-3/1/7", "noFreePort taken")
SLOWER = [{"name": "downstreamSpeedMbps", "value": 300}]


@pytest.mark.parametrize(
    ("shape", "answer", "said"),
    [
        (Shape.TMF645, service_answer(qualificationResult="unqualified", **NO), TAKEN),
        (Shape.TMF679, offering_answer(qualificationItemResult="unqualified", **NO), TAKEN),
        (Shape.TMF679, offering_answer(qualificationItemResult="red", **NO), TAKEN),
        (
            Shape.TMF645,
            service_answer(
                qualificationResult="alternate",
                alternateServiceProposal=[{"alternateService": {"serviceCharacteristic": SLOWER}}],
            ),
            Said(True, 300),
        ),
        (
            Shape.TMF679,
            offering_answer(
                qualificationItemResult="alternate",
                alternateProductOfferingProposal=[
                    {
                        "alternateProductOffering": {"id": "ftth-300"},
                        "alternateProduct": {"productCharacteristic": SLOWER},
                    }
                ],
            ),
            Said(True, 300),
        ),
        # A proposal without a product says that there is something, and not how fast.
        (
            Shape.TMF679,
            offering_answer(
                qualificationItemResult="yellow",
                alternateProductOfferingProposal=[{"alternateProductOffering": {"id": "x"}}],
            ),
            Said(True, None),
        ),
        (Shape.TMF679, offering_answer(qualificationItemResult="perhaps"), None),
        # What is said in the other shape is no answer.
        (Shape.TMF679, offering_answer(qualificationResult="qualified"), None),
    ],
)
def test_answers_are_read_alike(shape, answer, said):
    assert CODECS[shape].read(answer) == ({} if said is None else {"1": said})


@pytest.mark.parametrize("shape", Shape)
@pytest.mark.parametrize("answer", [[], {}, {"state": "inProgress"}, {"state": "done"}])
def test_what_is_no_answer_is_said_so(shape, answer):
    with pytest.raises(Unreadable):
        CODECS[shape].read(answer)
