"""Customers' words: segments, channels, kinds of contact; and how personal data is masked."""

from enum import StrEnum


class Segment(StrEnum):
    """Who the customer is."""

    HOUSEHOLD = "household"
    BUSINESS = "business"


class Channel(StrEnum):
    """Where a contact took place."""

    VISIT = "visit"
    PHONE = "phone"
    SMS = "sms"
    SHOP = "shop"
    APP = "app"


class InteractionKind(StrEnum):
    """What a contact was about. Only `sales` counts against the contact cap.

    The outcome of a `follow_up` is the mark that the customer gave.
    """

    SALES = "sales"
    SERVICE = "service"
    FAULT = "fault"
    COMPLAINT = "complaint"
    FOLLOW_UP = "follow_up"


# Where a fact about a customer comes from, as it stands beside each block of the door card.
FROM_CRM = "crm"
FROM_HERE = "yingwei"


def masked_name(name: str) -> str:
    """Reduce a name to what may be shown without a reason: 王小明 becomes 王**, Ann Lee A**."""
    return f"{name[:1]}**" if name else ""


def masked_phone(phone: str) -> str:
    """Mask a telephone number to its ends: 13812341234 becomes 138****1234; short ones wholly."""
    return f"{phone[:3]}****{phone[-4:]}" if len(phone) >= 11 else "****"


def masked_address(locality: str, building: str | None) -> str:
    """Say where somebody lives down to the building, without unit and room."""
    return f"{locality}{building or ''}"
