"""Wire shapes of customers: masked, since nothing here says why anybody should see more."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from app.core.http import Answer
from app.customers.rules import Segment

Text = Annotated[str, Field(max_length=300)]


class AddressOut(Answer):
    """Where a customer is served, down to the building."""

    id: UUID
    code: Text
    address: Text = Field(description="Compound and building; unit and room are left out.")
    max_speed_mbps: int | None = Field(description="What the line can do; null is not known.")
    port_free: bool | None
    checked_at: datetime | None


class SubscriptionOut(Answer):
    """A service a customer holds or held."""

    service_number: Text
    offering_code: Text
    category: Text
    monthly_price_fen: int
    speed_mbps: int | None
    started_on: date
    contract_ends_on: date | None
    ended_on: date | None = Field(description="Null while it runs.")
    as_of: datetime


class CustomerOut(Answer):
    """A customer, masked. Null always means "not known"."""

    id: UUID
    code: Text
    org_unit_id: UUID
    name: Text = Field(description="Reduced to the first character: 王**.")
    phone: Text = Field(description="Only both ends: 138****1234.")
    segment: Segment
    activated_on: date | None
    do_not_disturb: bool
    do_not_disturb_since: datetime | None = Field(
        description="When the switch was last moved here; null when it stands as the CRM gave it."
    )
    personal_offers: bool = Field(
        description="False: they are offered what everybody is offered, whatever is known of them."
    )
    personal_offers_since: datetime | None
    arrears_fen: int | None
    monthly_usage_gb: int | None
    addresses: Annotated[list[AddressOut], Field(max_length=100)]
    subscriptions: Annotated[list[SubscriptionOut], Field(max_length=500)]
    as_of: datetime = Field(description="When the CRM held this to be so.")
    version: Annotated[int, Field(ge=1)]


class CustomersFound(Answer):
    """The customers with one code or service number: none, or one."""

    customers: Annotated[list[CustomerOut], Field(max_length=50)]
