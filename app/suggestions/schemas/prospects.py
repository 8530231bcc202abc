"""Wire shapes of prospects: people met in a visit who are no customers. Money in fen."""

from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from app.core.http import Answer, Code, Day, DeviceTime, Input, Name
from app.customers.rules import ConsentProof, masked_name, masked_phone
from app.suggestions.models import Prospect
from app.suggestions.rules.leads import LeadTo
from app.suggestions.rules.prospects import Noted

Text = Annotated[str, Field(max_length=300)]
Price = Annotated[int, Field(ge=0, le=100_000_000)]
Phone = Annotated[str, StringConstraints(pattern=r"^\+?[0-9\-]{5,20}$", max_length=21)]


class ProspectIn(Input):
    """Somebody who is no customer; the phone makes the id (UUIDv7), which the lead gets."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01956f3a-7c00-7000-8000-000000000051",
                    "address": "碧波园 3栋 2单元 1201",
                    "name": "李女士",
                    "phone": "15912345678",
                    "consent": "signature",
                    "competitor": "另一家运营商",
                    "offer": "500M 宽带",
                    "monthly_price_fen": 5900,
                    "until": "2026-12-31",
                    "interest": "LINE-500",
                    "handed_to": "account_manager",
                    "device_at": "2026-03-02T10:40:00+08:00",
                }
            ]
        }
    )

    id: UUID
    address: Name = Field(description="Where they live.")
    name: Name | None = Field(default=None, description="Only with `consent`.")
    phone: Phone | None = Field(default=None, description="Only with `consent`.")
    consent: ConsentProof | None = Field(
        default=None, description="What shows that they agreed to be named and called."
    )
    competitor: Name | None = Field(default=None, description="Who serves them now.")
    offer: Name | None = Field(default=None, description="What they hold there.")
    monthly_price_fen: Price | None = None
    until: Day | None = Field(default=None, description="The day on which that contract ends.")
    interest: Code | None = Field(default=None, description="What of ours they asked about.")
    handed_to: LeadTo
    device_at: DeviceTime

    def noted(self) -> Noted:
        """Read it as the service takes it."""
        return Noted(**self.model_dump())


class ProspectOut(Answer):
    """Somebody who is no customer, masked but for whoever opens the prospect itself."""

    id: UUID
    grid_id: UUID | None
    visit_id: UUID
    masked: bool
    address: Text | None = Field(description="Left out when masked, and once forgotten.")
    name: Text | None
    phone: Text | None
    consent: ConsentProof | None
    competitor: Text | None
    offer: Text | None
    monthly_price_fen: int | None
    until: date | None
    at: datetime
    forgotten_at: datetime | None

    @classmethod
    def of(cls, one: Prospect, *, masked: bool = True) -> Self:
        """Write a prospect, masked unless each look is written down."""
        plain = cls.model_fields.keys() - {"masked", "address", "name", "phone"}
        return cls(
            **{name: getattr(one, name) for name in plain},
            masked=masked,
            address=None if masked else one.address or None,
            name=masked_name(one.name) if masked and one.name else one.name,
            phone=masked_phone(one.phone) if masked and one.phone else one.phone,
        )
