"""What retention does: sets toolkits, approves terms, acts on warnings, writes leavers down."""

from app.retention.service.terms import Redeemed, redeem

__all__ = ["Redeemed", "redeem"]
