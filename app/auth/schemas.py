"""Wire shapes of the auth room."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from app.auth.rules import LONGEST_PASSWORD, SHORTEST_PASSWORD, OrgLevel, Role
from app.core.http import Answer, Input, Line, Moment, Name, Note
from app.core.paging import NextPage, Rows

# Blanks may begin or end a password, so they are not cut off.
Password = Annotated[
    str,
    StringConstraints(
        min_length=SHORTEST_PASSWORD, max_length=LONGEST_PASSWORD, strip_whitespace=False
    ),
    Field(json_schema_extra={"format": "password"}, examples=["long words are easy 42"]),
]
Username = Annotated[
    str,
    StringConstraints(min_length=3, max_length=64, pattern=r"^[\w.\-@]+$"),
    Field(examples=["li.wei"]),
]
OrgCode = Annotated[
    str,
    StringConstraints(min_length=1, max_length=32, pattern=r"^[a-z0-9\-]+$"),
    Field(examples=["nanshan"]),
]
Scope = Annotated[str, StringConstraints(max_length=64, pattern=r"^[a-z]+:[a-z]+$")]
Secret = Annotated[str, StringConstraints(max_length=LONGEST_PASSWORD, strip_whitespace=False)]


def _known_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("not a time zone of the IANA database, such as Asia/Shanghai")
    return name


TimeZone = Annotated[
    str,
    StringConstraints(max_length=64),
    AfterValidator(_known_zone),
    Field(examples=["Asia/Shanghai"]),
]


# Whoever sends a thing makes its id, a UUIDv7; a known id is of a thing that is there already.
NewId = Annotated[UUID, Field(examples=["0195a3f2-4c1e-7b3a-9d20-5f6a7b8c9d0e"])]
KnownId = Annotated[UUID, Field(examples=["0195a3f2-0000-7000-8000-000000000001"])]


# --- signing in -----------------------------------------------------------------------------------


class TokenForm(Input):
    """A token request (RFC 6749), form encoded; fields it does not know are ignored, as told there.

    `password` needs `username` and `password`; `client_credentials` needs `client_id` and
    `client_secret`, here or as HTTP Basic; `refresh_token` needs `refresh_token`.
    """

    model_config = ConfigDict(extra="ignore")

    grant_type: Literal["password", "client_credentials", "refresh_token"] = Field(
        examples=["password"]
    )
    username: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        default=None, examples=["li.wei"]
    )
    password: Secret | None = Field(
        default=None, json_schema_extra={"format": "password"}, examples=["long words are easy 42"]
    )
    client_id: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        default=None, examples=["fault-system"]
    )
    client_secret: Secret | None = Field(default=None, json_schema_extra={"format": "password"})
    refresh_token: Annotated[str, StringConstraints(max_length=200)] | None = None
    scope: Annotated[str, StringConstraints(max_length=1000)] | None = Field(
        default=None,
        description="Scopes separated by spaces; left out, all that the account holds.",
        examples=["work:do customers:read"],
    )


class TokenOut(Answer):
    """The answer to a token request (RFC 6749, 5.1)."""

    access_token: Annotated[str, Field(max_length=8_000)] = Field(
        description="Signed with EdDSA; send it as a bearer token."
    )
    token_type: Literal["Bearer"]
    expires_in: int = Field(description="Seconds until the access token expires.")
    refresh_token: Line | None = Field(
        description="Good for one use; the answer to it has the next. Null for systems."
    )
    scope: Annotated[str, Field(max_length=8_000)] = Field(
        description="The scopes granted, separated by spaces."
    )


class LogoutIn(Input):
    """The refresh token whose sign-in is to end."""

    refresh_token: Annotated[str, StringConstraints(min_length=1, max_length=200)] = Field(
        examples=["yr_Zm9yIHRoZSBleGFtcGxlIG9ubHksIG5vIHRva2VuIQ"]
    )


class KeyOut(Answer):
    """One public key (RFC 8037)."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    alg: Literal["EdDSA"]
    use: Literal["sig"]
    kid: Line
    x: Line


class KeysOut(Answer):
    """The keys that access tokens are signed with (RFC 7517)."""

    keys: Annotated[list[KeyOut], Field(max_length=100)]


# --- org units and accounts -----------------------------------------------------------------------


class OrgUnitIn(Input):
    """A new unit; the caller makes the id, so that a repeated request makes one unit."""

    id: NewId
    parent_id: KnownId
    code: OrgCode = Field(description="Unique over the whole operator; part of the path.")
    name_zh: Name = Field(examples=["南山区"])
    name_en: Name = Field(examples=["Nanshan"])
    level: OrgLevel = Field(examples=["branch"])
    time_zone: TimeZone = "Asia/Shanghai"


class OrgUnitOut(Answer):
    """One unit; `path` is the codes from the top down, each followed by a dot."""

    id: UUID
    parent_id: UUID | None
    code: Line
    name_zh: Line
    name_en: Line
    level: OrgLevel
    path: Note
    time_zone: Line


class OrgUnitPage(Answer):
    """A page of units."""

    items: Rows[OrgUnitOut]
    next_page_token: NextPage


class MeOut(Answer):
    """Who the token's bearer is."""

    account_id: UUID
    username: Line
    role: Role
    scopes: Annotated[list[Line], Field(max_length=200)] = Field(
        description="The scopes of this token."
    )
    technician_id: UUID | None
    org_unit: OrgUnitOut


class AccountIn(Input):
    """A new account; the caller makes the id, so that a repeated request makes one account."""

    id: NewId
    username: Username
    password: Password = Field(description="For an integration: the client secret.")
    role: Role = Field(examples=["integration"])
    org_unit_id: KnownId
    technician_id: UUID | None = Field(
        default=None, description="Whose account it is; for the role technician, and only for it."
    )
    scopes: Annotated[list[Scope], Field(max_length=50)] | None = Field(
        default=None,
        description="Fewer scopes than the role has; left out, all of them.",
        examples=[["orders:intake"]],
    )


class AccountOut(Answer):
    """One account."""

    id: UUID
    username: Line
    role: Role
    org_unit_id: UUID
    technician_id: UUID | None
    scopes: Annotated[list[Line], Field(max_length=200)] | None = Field(
        description="Null means all scopes of the role."
    )
    active: bool
    created_at: datetime


class AccountPage(Answer):
    """A page of accounts."""

    items: Rows[AccountOut]
    next_page_token: NextPage


class PasswordIn(Input):
    """A new password for an account."""

    password: Password


# --- parameters -----------------------------------------------------------------------------------


class WordsOut(Answer):
    """A text in both languages."""

    zh: Note
    en: Note


class DatedValueOut(Answer):
    """A value from a moment on."""

    org_path: Note = Field(description="For which unit's subtree; empty for everybody.")
    valid_from: datetime
    value: float


class ParameterOut(Answer):
    """One number of the business, as it is in force for an org unit."""

    name: Line
    words: WordsOut
    unit: Line
    value: float = Field(description="In force now.")
    default: float = Field(description="In force where nothing was set.")
    least: float
    most: float | None = Field(description="Null where there is no upper bound.")
    set: Annotated[list[DatedValueOut], Field(max_length=100_000)] = Field(
        description="What was set for this unit, those above it and everybody, by date; the "
        "closest unit that has a value in force wins."
    )


class ParametersOut(Answer):
    """Every number that an operator may change."""

    org_path: Note
    items: Annotated[list[ParameterOut], Field(max_length=10_000)]


class ParameterIn(Input):
    """A value for a number, from a moment on."""

    value: float = Field(allow_inf_nan=False, examples=[20])
    org_unit_id: UUID | None = Field(
        default=None, description="For this unit's subtree; left out, for everybody."
    )
    valid_from: Moment | None = Field(
        default=None, description="Left out: from now on.", examples=["2026-04-01T00:00:00+08:00"]
    )
    retroactive: bool = Field(
        default=False, description="Must be true for a moment that has passed."
    )


# --- the audit trail ------------------------------------------------------------------------------


class AuditEntryOut(Answer):
    """One transaction's changes, or one unmasked read of personal data."""

    id: UUID
    created_at: datetime
    account_id: UUID | None = Field(description="Null for what the system did by itself.")
    username: Line | None
    role: Line | None
    action: Note = Field(description="The operation asked for, or what a job or command did.")
    changes: Annotated[list[dict[str, Any]], Field(max_length=1_000_000)] = Field(
        description="For changes: table, operation, count, ids, columns and, where they say who "
        "may what, values as [old, new]."
    )
    subject_kind: Line | None = Field(description="For an unmasked read: what was read.")
    subject_id: UUID | None
    purpose: Note | None
    fields: Annotated[list[Line], Field(max_length=1_000)] | None
    request_id: Line | None
    address: Note | None
    device: Note | None = Field(description="What the client's header `X-Device-Id` said.")


class SeenOut(Answer):
    """One account's unmasked looks at one customer, order or other subject, put together."""

    account_id: UUID | None
    username: Line | None
    subject_kind: Line
    subject_id: UUID
    looks: Annotated[int, Field(ge=1, json_schema_extra={"format": "int64"})]
    first_at: datetime
    last_at: datetime
    fields: Annotated[list[Line], Field(max_length=200)]
    purposes: Annotated[list[Note], Field(max_length=50)] = Field(
        description="What for, as in `work_order:…`; of many, fifty."
    )
    devices: Annotated[list[Note], Field(max_length=50)]


class SeenPage(Answer):
    """Whose data was seen, and by whom; the latest first."""

    items: Annotated[list[SeenOut], Field(max_length=1000)]
    more: bool = Field(description="There were more than a thousand: ask for a shorter time.")


class AuditPage(Answer):
    """A page of audit entries, the newest first."""

    items: Rows[AuditEntryOut]
    next_page_token: NextPage
