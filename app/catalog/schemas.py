"""Wire shapes of the catalogue, in both languages at once, so that phones keep one copy."""

from datetime import date
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from app.catalog.queries import Offering, talk_track_of
from app.catalog.rules import ON_SITE, BusinessType, OnSite, ValueLever
from app.core.http import Answer

Text = Annotated[str, Field(max_length=1000)]
Codes = Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=100)]


class BilingualOut(Answer):
    """The same words in Chinese and English."""

    zh: Text
    en: Text


class OfferingOut(Answer):
    """An offering as it can be sold; money in fen. What it earns the operator stays inside."""

    id: UUID
    code: Text
    valid_from: date
    valid_to: date | None = Field(description="The first day it is not in force; null is open.")
    name: BilingualOut
    category: Text
    business_type: BusinessType
    on_site: OnSite = Field(description="What a technician may do with it at the door.")
    monthly_price_fen: int
    one_off_price_fen: int
    contract_months: int
    speed_mbps: int | None
    requires: Codes = Field(description="Offerings or categories a customer must hold, all.")
    excludes: Codes = Field(
        description="Offerings or categories a customer must not hold, or kinds of terminals."
    )
    least_usage_gb: int | None = Field(
        description="Not offered to whom is known to use less in a month; null is for everybody."
    )
    most_usage_gb: int | None = Field(
        description="Offered only to whom is known to use no more; null is for everybody."
    )
    prepaid: bool = Field(
        description="Paid for before it is used: it can be sold to who owes or is blacklisted."
    )
    terminal_kind: Text | None
    skill: Text | None
    install_minutes: int | None
    commission_fen: int
    levers: Annotated[list[ValueLever], Field(max_length=len(ValueLever))]
    may_hurt: Annotated[list[ValueLever], Field(max_length=len(ValueLever))]
    talk_track: BilingualOut

    @classmethod
    def of(cls, offering: Offering) -> Self:
        """Show one version of the catalogue."""
        shown = cls.model_fields.keys() - {"name", "talk_track", "on_site"}
        return cls(
            **{name: getattr(offering, name) for name in shown},
            name=BilingualOut(zh=offering.name_zh, en=offering.name_en),
            talk_track=BilingualOut(
                zh=talk_track_of(offering, "zh"), en=talk_track_of(offering, "en")
            ),
            on_site=ON_SITE[offering.business_type],
        )


class CatalogueOut(Answer):
    """What can be sold on a day."""

    day: date
    offerings: Annotated[list[OfferingOut], Field(max_length=2000)]
