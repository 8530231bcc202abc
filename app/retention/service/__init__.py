"""What retention does: sets toolkits, approves terms, acts on warnings, writes leavers down."""

from app.retention.service.terms import (
    GoodFor,
    check_code,
    check_still_good,
    give_back,
    redeem,
)

__all__ = ["GoodFor", "check_code", "check_still_good", "give_back", "redeem"]
