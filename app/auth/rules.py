"""Roles, scopes, accounts and lock-out: who may do what, decided without a database."""

import ipaddress
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from app.core.errors import Conflict, Forbidden, Invalid, TooMany, Unauthorized
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


class ToEmpty(NamedTuple):
    """That a phone is to be emptied: by which wipe, and when that was asked for."""

    wipe_id: UUID
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling, as the token says: nothing here costs a look into the database.

    `session_id` is the sign-in that the token comes of; a system has none. `to_empty` says that the
    token was given to a phone that is to be emptied: it opens only what that takes.
    """

    account_id: UUID
    role: Role
    org_unit_id: UUID
    org_path: str
    technician_id: UUID | None
    scopes: frozenset[str]
    session_id: UUID | None = None
    to_empty: ToEmpty | None = None


# What each role may do; an account may be given less, never more.
SCOPES: dict[Role, frozenset[str]] = {
    Role.TECHNICIAN: frozenset(
        {
            "work:do",
            "terminals:count",
            "customers:read",
            "customers:write",
            "contacts:read",
            "suggestions:use",
            "sales:make",
            "sales:change",
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
            "leave:write",
            "devices:wipe",
            "terminals:move",
            "terminals:count",
            "customers:read",
            "customers:write",
            "contacts:read",
            "sales:change",
            "sales:read",
            "catalog:read",
            "sync:read",
            "sync:resolve",
            "alerts:read",
            "alerts:take",
            "org:read",
            "parameters:read",
            "me:read",
        }
    ),
    Role.INTEGRATION: frozenset(
        {
            "orders:intake",
            "orders:read",
            "customers:write",
            "contacts:read",
            "contacts:reserve",
            "callbacks:send",
            "sales:change",
            "me:read",
        }
    ),
    Role.ADMIN: frozenset(
        {
            "grids:read",
            "grids:assign",
            "orders:read",
            "orders:dispatch",
            "orders:intake",
            "technicians:read",
            "leave:write",
            "devices:wipe",
            "terminals:move",
            "terminals:count",
            "technicians:write",
            "customers:read",
            "customers:write",
            "contacts:read",
            "catalog:read",
            "catalog:write",
            "sales:change",
            "sales:read",
            "sync:read",
            "sync:resolve",
            "alerts:read",
            "alerts:take",
            "alerts:send",
            "org:read",
            "org:write",
            "accounts:write",
            "parameters:read",
            "parameters:write",
            "audit:read",
            "privacy:handle",
            "me:read",
        }
    ),
}


# --- refusals ---------------------------------------------------------------------------------


class SignInRefused(Unauthorized):
    slug = "sign-in-refused"
    title = Words(zh="用户名或密码不正确", en="The name or the password is not right")
    advice = Words(
        zh="请核对用户名和密码；账号也可能已停用，请联系管理员。",
        en="Check both; the account may also have been closed, your administrator can tell.",
    )


class SignInLocked(TooMany):
    slug = "sign-in-locked"
    title = Words(
        zh="登录失败次数过多，已暂时锁定", en="Too many failed logins, locked for a while"
    )
    advice = Words(
        zh="请在 {retry_after} 秒后重试；忘记密码请联系管理员重设。",
        en="Try again in {retry_after} seconds; an administrator can set a new password.",
    )


class RefreshRefused(Unauthorized):
    slug = "refresh-refused"
    title = Words(zh="登录已失效", en="This sign-in is over")
    advice = Words(
        zh="请重新登录。若并非本人操作，请立即修改密码：该令牌可能已被他人使用。",
        en="Sign in again. If you had not signed out, have your password changed: somebody else "
        "may hold a copy of the token.",
    )


class GrantRefused(Forbidden):
    slug = "grant-refused"
    title = Words(zh="该账号不能用这种方式登录", en="This account cannot sign in this way")
    advice = Words(zh="请使用授权类型 {use}。", en="Use the grant type {use}.")


class ScopeRefused(Forbidden):
    slug = "scope-refused"
    title = Words(zh="超出账号的权限范围", en="More scopes than this account holds")
    advice = Words(
        zh="不可授予：{refused}；可授予：{allowed}。", en="Not yours: {refused}; yours: {allowed}."
    )


class WipeAsked(Forbidden):
    slug = "wipe-asked"
    title = Words(zh="本机须清除数据", en="This phone has to be emptied")
    advice = Words(
        zh="该设备于 {asked_at} 被要求清除。请先上传未发送的操作，再清除本机数据，并确认（编号"
        " {wipe_id}）。此后的操作不再接受。",
        en="It was asked for at {asked_at}. Push what is unsent, remove everything, and confirm it"
        " ({wipe_id}). What is done from then on is not taken.",
    )


class UsernameTaken(Conflict):
    slug = "username-taken"
    title = Words(zh="用户名已被使用", en="This user name is taken")
    advice = Words(zh="请换一个用户名：{username}。", en="Choose another one than {username}.")


class TechnicianHasAccount(Conflict):
    slug = "technician-has-account"
    title = Words(zh="该装维人员已有账号", en="This technician has an account already")
    advice = Words(
        zh="请启用原账号并重设其密码。", en="Open the first one again and set its password."
    )


class OrgCodeTaken(Conflict):
    slug = "org-code-taken"
    title = Words(zh="组织编码已被使用", en="This unit code is taken")
    advice = Words(zh="请换一个编码：{code}。", en="Choose another one than {code}.")


class NotYourself(Conflict):
    slug = "not-yourself"
    title = Words(zh="不能停用自己的账号", en="You cannot close your own account")
    advice = Words(zh="请由另一位管理员操作。", en="Another administrator can.")


class Retroactive(Conflict):
    slug = "retroactive"
    title = Words(zh="生效时间早于现在", en="This would change the past")
    advice = Words(
        zh="生效时间 {valid_from} 已过；确需追溯请提交 retroactive: true。",
        en="{valid_from} has passed; send retroactive: true if you mean it.",
    )


# --- accounts ---------------------------------------------------------------------------------

# How each role signs in: people with a password, systems with their client credentials.
GRANTS = {
    Role.TECHNICIAN: "password",
    Role.SUPERVISOR: "password",
    Role.ADMIN: "password",
    Role.INTEGRATION: "client_credentials",
}

SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 128

_DEPTH = {level: depth for depth, level in enumerate(OrgLevel)}


def username_of(text: str) -> str:
    """Return the one form of a user name under which it is stored and looked up."""
    return unicodedata.normalize("NFKC", text).strip().casefold()


def check_password(password: str) -> None:
    """Check that a new password is long enough to be worth its hash. Raises Invalid."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        message = f"needs {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters"
        raise Invalid(errors=[{"field": "password", "message": message}])


def effective(role: Role, held: Iterable[str] | None) -> frozenset[str]:
    """Return what an account may do: all that its role may, or what it holds of that."""
    return SCOPES[role] if held is None else SCOPES[role] & frozenset(held)


def granted(held: frozenset[str], asked: str | None) -> frozenset[str]:
    """Return the scopes of a token: those asked for (space-separated), or all that are held.

    Raises ScopeRefused when more is asked for than is held.
    """
    if not asked or not asked.split():
        return held
    wanted = frozenset(asked.split())
    if not wanted <= held:
        raise ScopeRefused(
            error="invalid_scope",
            refused=" ".join(sorted(wanted - held)),
            allowed=" ".join(sorted(held)),
        )
    return wanted


def check_account(role: Role, technician_id: UUID | None, scopes: Iterable[str] | None) -> None:
    """Check that an account makes sense. Raises Invalid, naming the field."""
    errors = []
    if (role is Role.TECHNICIAN) != (technician_id is not None):
        errors.append(
            {"field": "technician_id", "message": "given for the role technician, and only for it"}
        )
    unknown = sorted(frozenset(scopes or ()) - SCOPES[role])
    if unknown:
        errors.append(
            {"field": "scopes", "message": f"not among the role's scopes: {' '.join(unknown)}"}
        )
    if errors:
        raise Invalid(errors=errors)


def check_handing_on(giver: Caller, scopes: frozenset[str]) -> None:
    """Check that nobody gives, through another account, what was kept from their own.

    An administrator may open accounts for work that administrators do not do; but a scope of the
    giver's own role that the giver does not hold cannot be given. Raises ScopeRefused.
    """
    kept = (scopes & SCOPES[giver.role]) - giver.scopes
    if kept:
        raise ScopeRefused(
            refused=" ".join(sorted(kept)), allowed=" ".join(sorted(scopes - kept)) or "-"
        )


def check_level(parent: OrgLevel, level: OrgLevel) -> None:
    """Check that a unit is of a lower level than its parent; a level may be left out.

    Raises Invalid.
    """
    if _DEPTH[level] <= _DEPTH[parent]:
        raise Invalid(errors=[{"field": "level", "message": f"must be below {parent.value}"}])


def is_top(org_path: str) -> bool:
    """Tell whether a unit has no unit above it, by its path."""
    return org_path.count(".") == 1


def district_of(org_path: str) -> str:
    """Give the path of the district that an org unit belongs to: `gd.sz.ns.b01.` to `gd.sz.ns.`.

    A unit above the districts stands for itself.
    """
    return "".join(f"{part}." for part in org_path.split(".")[:3] if part)


def branch_of(org_path: str) -> str:
    """Give the path of the branch that an org unit belongs to, as `district_of` does of districts.

    A unit above the branches stands for itself.
    """
    return "".join(f"{part}." for part in org_path.split(".")[:4] if part)


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
        zh="刷新令牌的应答丢失时，允许用同一令牌重取同一应答的时间",
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


def guard_keys(username: str, address: str | None) -> dict[str, Parameter]:
    """Return under which keys a try to sign in is counted, and what each has free.

    An IPv6 subscriber owns a whole /64, so these are counted together.
    """
    keys = {f"account:{username_of(username)}": ACCOUNT_FREE_TRIES}
    if address:
        keys[f"address:{network_of(address)}"] = ADDRESS_FREE_TRIES
    return keys


def network_of(address: str) -> str:
    """Return what of a client's address belongs to one subscriber."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address  # not an IP address: a test client, or a proxy's name for one
    if parsed.version == 6:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address
