"""Wire shapes of TMF680, version 4: a query for product recommendations and its answer.

Only what says something here is written; whatever else a client sends is read and left aside, as
TM Forum's rules for interfaces want it.
"""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.core.http import Answer
from app.tmf.queries import Recommended

BASE = "/tmf-api/recommendationManagement/v4/queryProductRecommendation"

Text = Annotated[str, Field(max_length=300)]


class PartyIn(BaseModel):
    """For whom something is recommended: a customer, by our id."""

    model_config = ConfigDict(extra="ignore")

    id: UUID


class RecommendationIn(BaseModel):
    """A query: what is recommended for a customer."""

    model_config = ConfigDict(
        extra="ignore",
        populate_by_name=True,
        json_schema_extra={
            "examples": [
                {
                    "relatedParty": {
                        "id": "019cabea-8780-7054-9e31-1ed040be4733",
                        "@referredType": "Customer",
                    }
                }
            ]
        },
    )

    related_party: PartyIn = Field(alias="relatedParty")


class RecommendationOut(Answer):
    """A recommendation: what the newest decision about the customer shows, in its order."""

    id: UUID
    href: Text
    name: Text
    recommendation_type: Text = Field(serialization_alias="recommendationType")
    instant_sync: bool = Field(serialization_alias="instantSyncRecommendation")
    state: Literal["done"]
    valid_for: dict[str, Any] = Field(serialization_alias="validFor")
    related_party: dict[str, Any] = Field(serialization_alias="relatedParty")
    items: Annotated[list[dict[str, Any]], Field(max_length=10)] = Field(
        serialization_alias="recommendationItem"
    )
    type: Literal["QueryProductRecommendation"] = Field(serialization_alias="@type")

    @classmethod
    def of(cls, found: Recommended, until: datetime) -> Self:
        """Write a decision; it is worth something until a moment."""
        return cls(
            id=found.id,
            href=f"{BASE}/{found.id}",
            name="Recommendation",
            recommendation_type=found.policy,
            instant_sync=True,
            state="done",
            valid_for={
                "startDateTime": found.at.isoformat(),
                "endDateTime": until.isoformat(),
            },
            related_party={
                "id": str(found.customer_id),
                "role": "customer",
                "@referredType": "Customer",
            },
            items=[
                {
                    "id": str(one.suggestion_id),
                    "priority": one.rank,
                    "product": {"name": one.name, "@type": "Product"},
                    "productOffering": {"id": one.offering_code, "name": one.name},
                    "@type": "RecommendationItem",
                }
                for one in found.offers
            ],
            type="QueryProductRecommendation",
        )
