"""What a customer asks for, as it is sent and answered."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from app.core.http import Answer, Input


class PersonalOffersIn(Input):
    """Where the switch shall stand."""

    on: bool = Field(
        description="False: offer what everybody is offered, whatever is known of the customer."
    )


class PersonalOffersOut(Answer):
    """Where the switch stands."""

    customer_id: UUID
    on: bool
    since: datetime | None = Field(
        description="When it was last moved here; null when it stands as the CRM gave it."
    )
