"""Doorways of the auth room: signing in and out, accounts, org units, parameters, the trail."""

import base64
import binascii
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated
from urllib.parse import unquote_plus
from uuid import UUID

from fastapi import Depends, Form, Path, Query, Request, Response

from app.auth import grants, queries, service
from app.auth.callers import ANYBODY, Caller, caller
from app.auth.models import AuditEntry
from app.auth.rules import Role, SignInRefused
from app.auth.schemas import (
    AccountIn,
    AccountOut,
    AccountPage,
    AuditEntryOut,
    AuditPage,
    DatedValueOut,
    KeysOut,
    LogoutIn,
    MeOut,
    OrgUnitIn,
    OrgUnitOut,
    OrgUnitPage,
    ParameterIn,
    ParameterOut,
    ParametersOut,
    PasswordIn,
    SeenOut,
    SeenPage,
    TokenForm,
    TokenOut,
    WordsOut,
)
from app.core import clock
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.errors import Invalid, Unauthorized
from app.core.http import Moment, Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.core.parameter_values import ParameterValue
from app.core.parameters import Parameter, Parameters

router = Router()

Anybody = Annotated[Caller, Depends(caller(*ANYBODY, scope="me:read"))]
OrgReader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="org:read"))]
OrgBuilder = Annotated[Caller, Depends(caller(Role.ADMIN, scope="org:write"))]
AccountKeeper = Annotated[Caller, Depends(caller(Role.ADMIN, scope="accounts:write"))]
ParameterReader = Annotated[
    Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="parameters:read"))
]
ParameterSetter = Annotated[Caller, Depends(caller(Role.ADMIN, scope="parameters:write"))]
Auditor = Annotated[Caller, Depends(caller(Role.ADMIN, scope="audit:read"))]

# Without an account or a subject the trail is walked through by time alone.
LONGEST_WALK = timedelta(days=31)
# How long a time, and how many of those seen in it, one answer of looks takes in.
LONGEST_SUM = timedelta(days=366)
MOST_SEEN = 1000


# --- signing in and out ---------------------------------------------------------------------------


@router.post("/v1/auth/token", tags=["sign-in"], operation_id="auth_token")
async def token(
    request: Request, response: Response, form: Annotated[TokenForm, Form()]
) -> TokenOut:
    """Sign in with a password or client credentials, or exchange a refresh token.

    A refresh token is good for one use; a second use ends the sign-in for everybody who holds it.
    Only when the answer was lost may it be sent again within half a minute, and then the answer is
    the same. Send passwords and tokens in the body, never in the URL.
    """
    response.headers["cache-control"] = "no-store"
    now = clock.wall()
    if form.grant_type == "refresh_token":
        refresh_token = _given(form.refresh_token, "refresh_token")
        made = await grants.refresh(request, refresh_token=refresh_token, scope=form.scope, now=now)
    else:
        name, secret = _credentials(request, form)
        made = await grants.sign_in(
            request, grant=form.grant_type, name=name, secret=secret, scope=form.scope, now=now
        )
    return TokenOut(token_type="Bearer", **asdict(made))


def _credentials(request: Request, form: TokenForm) -> tuple[str, str]:
    if form.grant_type == "password":
        return _given(form.username, "username"), _given(form.password, "password")
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return _given(form.client_id, "client_id"), _given(form.client_secret, "client_secret")
    try:
        # RFC 6749, 2.3.1: name and secret are form encoded before they are joined.
        name, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise SignInRefused(error="invalid_client") from error
    return unquote_plus(name)[:200], unquote_plus(secret)[:200]


def _given(value: str | None, field: str) -> str:
    if not value:
        raise Invalid(errors=[{"field": field, "message": "needed for this grant_type"}])
    return value


@router.post("/v1/auth/logout", tags=["sign-in"], operation_id="auth_logout", status_code=204)
async def logout(body: LogoutIn, tx: Tx) -> None:
    """End a sign-in: its refresh tokens are worth nothing any more.

    The access token that is out stays good until it expires, at most a quarter of an hour. A token
    nobody knows is answered alike.
    """
    await service.revoke_family(tx, body.refresh_token, clock.wall())


@router.get("/.well-known/jwks.json", tags=["sign-in"], operation_id="auth_keys")
async def keys(request: Request, response: Response) -> KeysOut:
    """Give the public keys that access tokens are signed with."""
    response.headers["cache-control"] = "public, max-age=300"
    return KeysOut.model_validate(request.app.state.keys.jwks())


@router.get("/v1/me", tags=["sign-in"], operation_id="auth_me")
async def me(caller: Anybody, read: Read) -> MeOut:
    """Say who the bearer of the token is."""
    found = await queries.me(read, caller.account_id)
    if found is None:
        raise Unauthorized()
    account, unit = found
    return MeOut(
        account_id=account.id,
        username=account.username,
        role=account.role,
        scopes=sorted(caller.scopes),
        technician_id=account.technician_id,
        org_unit=OrgUnitOut.model_validate(unit),
    )


# --- org units ------------------------------------------------------------------------------------


@router.get("/v1/org-units", tags=["org-units"], operation_id="org_units_list")
async def list_org_units(
    caller: OrgReader, read: Read, size: PageSize = 50, token: PageToken = None
) -> OrgUnitPage:
    """List the caller's own unit and all under it, each before those under it."""
    after = key_of(token, str)[0] if token else None
    rows = await queries.org_units(read, caller, after=after, limit=size + 1)
    page, last = cut(rows, size)
    return OrgUnitPage(
        items=[OrgUnitOut.model_validate(row) for row in page],
        next_page_token=token_of(last.path) if last else None,
    )


@router.post("/v1/org-units", tags=["org-units"], operation_id="org_units_create", status_code=201)
async def create_org_unit(body: OrgUnitIn, caller: OrgBuilder, tx: Tx) -> OrgUnitOut:
    """Add a unit under one of the caller's subtree."""
    fields = body.model_dump(exclude={"id"})
    unit = await service.create_org_unit(tx, caller, org_unit_id=body.id, **fields)
    return OrgUnitOut.model_validate(unit)


# --- accounts -------------------------------------------------------------------------------------


@router.get("/v1/accounts", tags=["accounts"], operation_id="accounts_list")
async def list_accounts(
    caller: AccountKeeper,
    read: Read,
    role: Role | None = None,
    org_unit_id: UUID | None = None,
    active: bool | None = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> AccountPage:
    """List the accounts of the caller's subtree by user name."""
    rows = await queries.accounts(
        read,
        caller,
        role=role,
        org_unit_id=org_unit_id,
        active=active,
        after=key_of(token, str)[0] if token else None,
        limit=size + 1,
    )
    page, last = cut(rows, size)
    return AccountPage(
        items=[AccountOut.model_validate(row) for row in page],
        next_page_token=token_of(last.username) if last else None,
    )


@router.post("/v1/accounts", tags=["accounts"], operation_id="accounts_create", status_code=201)
async def create_account(body: AccountIn, caller: AccountKeeper, tx: Tx) -> AccountOut:
    """Open an account in the caller's subtree."""
    fields = body.model_dump(exclude={"id"})
    account = await service.create_account(tx, caller, account_id=body.id, **fields)
    return AccountOut.model_validate(account)


@router.get("/v1/accounts/{account_id}", tags=["accounts"], operation_id="accounts_get")
async def get_account(account_id: UUID, caller: AccountKeeper, read: Read) -> AccountOut:
    """Show an account."""
    return AccountOut.model_validate(await queries.account_within(read, account_id, caller))


@router.post(
    "/v1/accounts/{account_id}/deactivate",
    tags=["accounts"],
    operation_id="accounts_deactivate",
)
async def deactivate_account(account_id: UUID, caller: AccountKeeper, tx: Tx) -> AccountOut:
    """Close an account and sign it out everywhere."""
    account = await service.set_active(tx, caller, account_id, active=False, now=clock.wall())
    return AccountOut.model_validate(account)


@router.post(
    "/v1/accounts/{account_id}/activate", tags=["accounts"], operation_id="accounts_activate"
)
async def activate_account(account_id: UUID, caller: AccountKeeper, tx: Tx) -> AccountOut:
    """Open a closed account again."""
    account = await service.set_active(tx, caller, account_id, active=True, now=clock.wall())
    return AccountOut.model_validate(account)


@router.post(
    "/v1/accounts/{account_id}/password",
    tags=["accounts"],
    operation_id="accounts_set_password",
    status_code=204,
)
async def set_password(account_id: UUID, body: PasswordIn, caller: AccountKeeper, tx: Tx) -> None:
    """Give an account a new password, sign it out everywhere, and lift its lock."""
    await service.set_password(tx, caller, account_id, password=body.password, now=clock.wall())


# --- parameters -----------------------------------------------------------------------------------


@router.get("/v1/parameters", tags=["parameters"], operation_id="parameters_list")
async def list_parameters(
    caller: ParameterReader,
    read: Read,
    now: Now,
    org_unit_id: Annotated[
        UUID | None, Query(description="For which unit; left out, the caller's own.")
    ] = None,
) -> ParametersOut:
    """List every number an operator may change, with the value in force for an org unit."""
    path = caller.org_path
    if org_unit_id is not None:
        path = (await queries.org_unit_within(read, org_unit_id, caller)).path
    rows = await queries.parameter_rows(read, path)
    dated: dict[tuple[str, str], list[tuple[datetime, float]]] = {}
    for row in rows:
        dated.setdefault((row.name, row.org_path), []).append((row.valid_from, float(row.value)))
    values = Parameters(read_at=now, rows=dated)
    known = sorted(Parameter.known.values(), key=lambda parameter: parameter.name)
    return ParametersOut(
        org_path=path,
        items=[
            _parameter_out(
                parameter,
                values.number(parameter, now, path),
                [row for row in rows if row.name == parameter.name],
            )
            for parameter in known
        ],
    )


def _parameter_out(parameter: Parameter, value: float, rows: list[ParameterValue]) -> ParameterOut:
    return ParameterOut(
        name=parameter.name,
        words=WordsOut(**parameter.words._asdict()),
        unit=parameter.unit,
        value=value,
        default=parameter.default,
        least=parameter.least,
        most=None if parameter.most == float("inf") else parameter.most,
        set=[DatedValueOut.model_validate(row) for row in rows],
    )


@router.put("/v1/parameters/{name}", tags=["parameters"], operation_id="parameters_set")
async def set_parameter(
    name: Annotated[str, Path(max_length=100, pattern=r"^[a-z0-9_.]+$")],
    body: ParameterIn,
    caller: ParameterSetter,
    tx: Tx,
    now: Now,
) -> DatedValueOut:
    """Set a number from a moment on; it is in force everywhere within seconds of that."""
    row = await service.set_parameter(tx, caller, name, now=now, **body.model_dump())
    return DatedValueOut.model_validate(row)


# --- the audit trail ------------------------------------------------------------------------------


@router.get("/v1/audit", tags=["audit"], operation_id="audit_list")
async def list_audit(
    caller: Auditor,
    read: Read,
    account_id: Annotated[UUID | None, Query(description="What this account did.")] = None,
    subject_id: Annotated[
        UUID | None, Query(description="Who saw or changed the row with this id.")
    ] = None,
    reads_only: Annotated[
        bool, Query(description="Only unmasked reads: whose data did the account see?")
    ] = False,
    since: Annotated[Moment | None, Query(description="From this moment on.")] = None,
    until: Annotated[Moment | None, Query(description="Before this moment.")] = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> AuditPage:
    """Show what was changed, and whose personal data was seen, by whom; the newest first.

    Without account or subject the last day is shown, and at most 31 days may be asked for.
    """
    if account_id is not None:
        await queries.account_within(read, account_id, caller)
    elif subject_id is None:
        since, until = _walk(since, until, clock.wall())
    rows = await queries.audit_entries(
        read,
        caller,
        queries.AuditSearch(
            since=since,
            until=until,
            account_id=account_id,
            subject_id=subject_id,
            reads_only=reads_only,
            after=key_of(token, datetime, UUID) if token else None,
        ),
        limit=size + 1,
    )
    page, last = cut(rows, size)
    return AuditPage(
        items=[_audit_out(entry, username) for entry, username in page],
        next_page_token=token_of(last[0].created_at, last[0].id) if last else None,
    )


@router.get("/v1/audit/reads", tags=["audit"], operation_id="audit_reads")
async def audit_reads(
    caller: Auditor,
    read: Read,
    since: Annotated[Moment, Query(alias="from", description="From this moment on.")],
    until: Annotated[Moment, Query(description="Before this moment.")],
    account: Annotated[UUID | None, Query(description="Whose data did this account see?")] = None,
    customer: Annotated[UUID | None, Query(description="Who saw this customer's data?")] = None,
) -> SeenPage:
    """Answer whose data an account saw unmasked between two moments, or who saw a customer's.

    The looks of one account at one subject are put together: how many, when first and last, which
    fields, for which orders and on which devices. What customers are sent by message, and what
    orders hold of them, counts by the order; `GET /v1/audit` shows each look by itself.
    """
    if account is None and customer is None:
        raise Invalid(
            errors=[{"field": "account", "message": "give `account`, `customer`, or both"}]
        )
    if until - since > LONGEST_SUM:
        raise Invalid(errors=[{"field": "from", "message": "at most a year before `until`"}])
    if account is not None:
        await queries.account_within(read, account, caller)
    rows = await queries.seen_by(
        read,
        caller,
        account_id=account,
        subject_id=customer,
        since=since,
        until=until,
        most=MOST_SEEN + 1,
    )
    return SeenPage(
        items=[
            SeenOut(
                **{
                    **row._mapping,
                    **{
                        name: row._mapping[name] or [] for name in ("fields", "purposes", "devices")
                    },
                }
            )
            for row in rows[:MOST_SEEN]
        ],
        more=len(rows) > MOST_SEEN,
    )


def _walk(
    since: datetime | None, until: datetime | None, now: datetime
) -> tuple[datetime, datetime]:
    until = until or now + timedelta(minutes=1)
    since = since or until - timedelta(days=1)
    if until - since > LONGEST_WALK:
        message = "at most 31 days before `until` without account_id or subject_id"
        raise Invalid(errors=[{"field": "since", "message": message}])
    return since, until


def _audit_out(entry: AuditEntry, username: str | None) -> AuditEntryOut:
    names = [name for name in AuditEntryOut.model_fields if name != "username"]
    return AuditEntryOut(username=username, **{name: getattr(entry, name) for name in names})
