"""Verbs of the auth room: signing in and out, accounts, org units, parameters."""

from app.auth.service.accounts import create_account, first_admin, set_active, set_password
from app.auth.service.org_units import create_org_unit
from app.auth.service.parameters import set_parameter
from app.auth.service.sign_in import (
    Granted,
    count_miss,
    count_try,
    forgive_try,
    open_family,
    revoke_family,
    turn_refresh,
)

__all__ = [
    "Granted",
    "count_miss",
    "count_try",
    "create_account",
    "create_org_unit",
    "first_admin",
    "forgive_try",
    "open_family",
    "revoke_family",
    "set_active",
    "set_parameter",
    "set_password",
    "turn_refresh",
]
