"""What can be done with alerts: find them, take them up, and have them told to others."""

from app.alerts.service.finding import acknowledge, end, stand, stands, too_many
from app.alerts.service.sending import send_due
from app.alerts.service.webhooks import (
    add_webhook,
    change_webhook,
    new_secret,
    remove_webhook,
    retry,
    seal_secrets,
    test_webhook,
)

__all__ = [
    "acknowledge",
    "add_webhook",
    "change_webhook",
    "end",
    "new_secret",
    "remove_webhook",
    "retry",
    "seal_secrets",
    "send_due",
    "stand",
    "stands",
    "test_webhook",
    "too_many",
]
