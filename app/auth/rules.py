"""Roles, scopes and lock-out: who may do what, decided without a database."""

from datetime import datetime, timedelta
from enum import StrEnum


class Role(StrEnum):
    """The four kinds of caller."""

    TECHNICIAN = "technician"
    SUPERVISOR = "supervisor"
    INTEGRATION = "integration"
    ADMIN = "admin"


class OrgLevel(StrEnum):
    """The levels of the operator's organisation, from the top down."""

    PROVINCE = "province"
    CITY = "city"
    DISTRICT = "district"
    BRANCH = "branch"
    CREW = "crew"


# What each role may do; an account may be given less, never more.
SCOPES: dict[Role, frozenset[str]] = {
    Role.TECHNICIAN: frozenset(
        {"work:do", "customers:read", "suggestions:use", "sales:make", "catalog:read", "me:read"}
    ),
    Role.SUPERVISOR: frozenset(
        {
            "grids:read",
            "grids:assign",
            "orders:read",
            "orders:dispatch",
            "orders:intake",
            "technicians:read",
            "customers:read",
            "sales:read",
            "catalog:read",
            "sync:read",
            "sync:resolve",
            "me:read",
        }
    ),
    Role.INTEGRATION: frozenset({"orders:intake", "orders:read", "callbacks:send", "me:read"}),
    Role.ADMIN: frozenset(
        {
            "grids:read",
            "grids:assign",
            "orders:read",
            "orders:dispatch",
            "orders:intake",
            "technicians:read",
            "technicians:write",
            "customers:read",
            "catalog:read",
            "catalog:write",
            "sales:read",
            "sync:read",
            "sync:resolve",
            "accounts:write",
            "parameters:write",
            "audit:read",
            "me:read",
        }
    ),
}


def lock_after(failures: int, now: datetime, *, free_tries: int, longest_seconds: float) -> datetime | None:
    """Say until when an account is locked after so many failed logins in a row.

    The first `free_tries` failures cost nothing; each further one doubles the wait, from one
    second up to `longest_seconds`. None means not locked.
    """
    over = failures - free_tries
    if over <= 0:
        return None
    return now + timedelta(seconds=min(2.0 ** min(over - 1, 30), longest_seconds))
