"""Roles, scopes, the caller and lock-out: who may do what, decided without a database."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from app.core.i18n import Words
from app.core.parameters import Parameter


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


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling, as the token says: nothing here costs a look into the database."""

    account_id: UUID
    role: Role
    org_unit_id: UUID
    org_path: str
    technician_id: UUID | None
    scopes: frozenset[str]


# What each role may do; an account may be given less, never more.
SCOPES: dict[Role, frozenset[str]] = {
    Role.TECHNICIAN: frozenset(
        {
            "work:do",
            "customers:read",
            "suggestions:use",
            "sales:make",
            "sales:read",
            "catalog:read",
            "me:read",
        }
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
            "org:read",
            "parameters:read",
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
            "org:read",
            "org:write",
            "accounts:write",
            "parameters:read",
            "parameters:write",
            "audit:read",
            "me:read",
        }
    ),
}


# --- lock-out ---------------------------------------------------------------------------------

ACCOUNT_FREE_TRIES = Parameter(
    "auth.account_free_tries",
    default=5,
    unit="tries",
    words=Words(zh="同一账号登录失败多少次后开始限时锁定", en="Failed logins an account has free"),
    least=1,
    most=9,
)
ADDRESS_FREE_TRIES = Parameter(
    "auth.address_free_tries",
    default=9,
    unit="tries",
    words=Words(
        zh="同一网络地址登录失败多少次后开始限时锁定", en="Failed logins a client address has free"
    ),
    least=1,
    most=1000,
)
LONGEST_LOCK = Parameter(
    "auth.longest_lock_seconds",
    default=300,
    unit="s",
    words=Words(zh="登录锁定的最长时间", en="The longest wait after failed logins"),
    least=1,
    most=86_400,
)
FAILURES_FORGOTTEN = Parameter(
    "auth.failures_forgotten_hours",
    default=12,
    unit="h",
    words=Words(
        zh="多久没有登录失败后清零失败次数",
        en="Quiet hours after which failed logins are forgotten",
    ),
    least=0.25,
    most=720,
)
REFRESH_GRACE = Parameter(
    "auth.refresh_grace_seconds",
    default=30,
    unit="s",
    words=Words(
        zh="刷新令牌的应答丢失时,允许用同一令牌重取同一应答的时间",
        en="How long a refresh whose answer was lost may be asked again with the same token",
    ),
    least=0,
    most=120,
)


def lock_after(
    failures: int, now: datetime, *, free_tries: int, longest_seconds: float
) -> datetime | None:
    """Say until when a name or an address is locked after so many failed logins in a row.

    The first `free_tries` failures cost nothing; each further one doubles the wait, from one
    second up to `longest_seconds`. None means not locked.
    """
    over = failures - free_tries
    if over <= 0:
        return None
    return now + timedelta(seconds=min(2.0 ** min(over - 1, 30), longest_seconds))
