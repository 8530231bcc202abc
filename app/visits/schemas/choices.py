"""What a customer asks for, as it is sent and answered."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from app.core.http import Answer, DeviceTime, Input
from app.customers.models import ContactConsent, Customer
from app.customers.rules import (
    WHEN_SAID,
    Channel,
    ConsentProof,
    ConsentState,
    may_offer_on,
)


class DoNotDisturbIn(Input):
    """Where the switch shall stand."""

    on: bool
    device_at: DeviceTime | None = Field(default=None, description=WHEN_SAID)


class DoNotDisturbSetOut(Answer):
    """Where the switch stands."""

    customer_id: UUID
    on: bool
    since: datetime | None


class PersonalOffersIn(Input):
    """Where the switch shall stand."""

    on: bool = Field(
        description="False: offer what everybody is offered, whatever is known of the customer."
    )
    device_at: DeviceTime | None = Field(default=None, description=WHEN_SAID)


class PersonalOffersOut(Answer):
    """Where the switch stands."""

    customer_id: UUID
    on: bool
    since: datetime | None = Field(
        description="When it was last moved here; null when it stands as the CRM gave it."
    )


class ConsentIn(Input):
    """What a customer allows or withdraws; the client makes the id (UUIDv7)."""

    id: UUID
    channels: Annotated[list[Channel], Field(min_length=1, max_length=len(Channel))]
    state: ConsentState
    proof: ConsentProof | None = Field(
        default=None, description="What shows that consent was given; needed for `given`."
    )
    reference: Annotated[str, Field(max_length=200)] | None = Field(
        default=None,
        description="Where the proof lies, such as the number of a recording; needed for `given`.",
    )
    device_at: DeviceTime | None = Field(
        default=None, description="When they said it, by the device's clock."
    )


class ChannelConsentOut(Answer):
    """How things stand on one channel."""

    channel: Channel
    state: ConsentState | None = Field(description="What was said last; null when nothing was.")
    may_offer: bool = Field(
        description="Whether offers may be made on it: where nothing was said, not by telephone "
        "and not by message; nowhere while the customer is not to be disturbed."
    )


class ConsentOut(Answer):
    """One thing the customer said."""

    id: UUID
    channels: Annotated[list[Channel], Field(max_length=len(Channel))]
    state: ConsentState
    proof: ConsentProof | None
    reference: Annotated[str, Field(max_length=200)] | None
    said_at: datetime
    account_id: UUID | None = Field(description="Who wrote it down.")


class ConsentsOut(Answer):
    """What a customer allows now, and what they have said, the newest first."""

    customer_id: UUID
    do_not_disturb: bool
    channels: Annotated[list[ChannelConsentOut], Field(max_length=len(Channel))]
    said: Annotated[list[ConsentOut], Field(max_length=100)]

    @classmethod
    def of(cls, customer: Customer, said: Sequence[ContactConsent]) -> Self:
        """Write how things stand, channel by channel, and the newest hundred things said."""
        allowed = [Channel(name) for name in customer.channels_allowed]
        refused = [Channel(name) for name in customer.channels_refused]
        states = dict.fromkeys(allowed, ConsentState.GIVEN) | dict.fromkeys(
            refused, ConsentState.WITHDRAWN
        )
        return cls(
            customer_id=customer.id,
            do_not_disturb=customer.do_not_disturb,
            channels=[
                ChannelConsentOut(
                    channel=channel,
                    state=states.get(channel),
                    may_offer=may_offer_on(
                        channel,
                        allowed=allowed,
                        refused=refused,
                        do_not_disturb=customer.do_not_disturb,
                    ),
                )
                for channel in Channel
            ],
            said=[ConsentOut.model_validate(one) for one in said[:100]],
        )
