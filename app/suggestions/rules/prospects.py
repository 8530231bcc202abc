"""Prospects: people who are no customers, noted in a visit with their consent, and their leads."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from app.core.errors import Invalid
from app.customers.rules import ConsentProof
from app.suggestions.rules.leads import LeadTo

# What of a prospect is about a person, by the names of its columns.
PERSONAL = ("address", "name", "phone")


@dataclass(frozen=True)
class Noted:
    """What a phone reports of somebody who is no customer; the phone makes the id.

    `interest` is the code of what they asked about, `offer` what they hold elsewhere, at
    `monthly_price_fen` a month, until the day `until`. `consent` is what shows that they agreed to
    be named and called.
    """

    id: UUID
    address: str
    handed_to: LeadTo
    device_at: datetime
    name: str | None = None
    phone: str | None = None
    consent: ConsentProof | None = None
    competitor: str | None = None
    offer: str | None = None
    monthly_price_fen: int | None = None
    until: date | None = None
    interest: str | None = None


def check_consent(noted: Noted) -> None:
    """Check that nobody is named or given a number who has not agreed to it. Raises Invalid."""
    named = noted.name is not None or noted.phone is not None
    if named and noted.consent is None:
        message = "is needed with a name or a number: nobody is noted without having agreed"
        raise Invalid(errors=[{"field": "consent", "message": message}])
