"""A sale's states, and what must be true before one is confirmed."""

from enum import StrEnum


class SaleState(StrEnum):
    """Where a sale stands on its way into the ordering system."""

    DRAFT = "draft"
    CONFIRMED = "confirmed"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    REJECTED = "rejected"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class ConsentKind(StrEnum):
    """How the customer agreed."""

    SIGNATURE = "signature"
    SMS_REPLY = "sms_reply"
    OTP = "otp"
