"""Org units, accounts, refresh tokens, the guard against guessing, and the audit trail."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.auth.rules import OrgLevel, Role
from app.core.db import Base, Row, text_enum

# Columns that say no more than who may what: the audit trail keeps their old and new values.
VALUES_AUDITED = {"values_audited": True}


class OrgUnit(Row, Base):
    """One unit of the operator: province > city > district > branch > crew.

    `path` is the codes from the top down, each followed by a dot, as in `gd.sz.ns.b01.`: a subtree
    is a prefix of it.
    """

    __tablename__ = "org_unit"
    __table_args__ = (
        Index("ix_org_unit_path", "path", postgresql_ops={"path": "text_pattern_ops"}),
    )

    code: Mapped[str] = mapped_column(unique=True)
    name_zh: Mapped[str]
    name_en: Mapped[str]
    level: Mapped[OrgLevel] = mapped_column(text_enum(OrgLevel))
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("org_unit.id"))
    path: Mapped[str] = mapped_column(unique=True)
    time_zone: Mapped[str] = mapped_column(server_default="Asia/Shanghai")


class Account(Row, Base):
    """Who may sign in: a person (password grant) or a system (client-credentials grant).

    `scopes` null means all that the role may do; a list means no more than these.
    """

    __tablename__ = "account"

    username: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]
    role: Mapped[Role] = mapped_column(text_enum(Role), info=VALUES_AUDITED)
    scopes: Mapped[list[str] | None] = mapped_column(ARRAY(Text), info=VALUES_AUDITED)
    org_unit_id: Mapped[UUID] = mapped_column(
        ForeignKey("org_unit.id"), index=True, info=VALUES_AUDITED
    )
    technician_id: Mapped[UUID | None] = mapped_column(ForeignKey("technician.id"), unique=True)
    active: Mapped[bool] = mapped_column(server_default=text("true"), info=VALUES_AUDITED)
    version: Mapped[int] = mapped_column(server_default=text("1"))

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class RefreshToken(Row, Base):
    """One refresh token of a family; only a hash is kept, and each is used once.

    `sealed_next` is the token's successor, sealed with the token itself: whoever lost the answer
    to a refresh gets the same answer again for a moment, and the table alone opens nothing.
    """

    __tablename__ = "refresh_token"

    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), index=True)
    family_id: Mapped[UUID] = mapped_column(index=True)
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]
    sealed_next: Mapped[bytes | None]
    revoked_at: Mapped[datetime | None]


class LoginGuard(Base):
    """Failed logins in a row under one name, or from one client address.

    Names that no account has are counted alike, so that a lock tells nobody which names exist.
    """

    __tablename__ = "login_guard"

    key: Mapped[str] = mapped_column(primary_key=True)
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    last_try_at: Mapped[datetime] = mapped_column(index=True)
    locked_until: Mapped[datetime | None]


class AuditEntry(Row, Base):
    """One transaction's changes or one unmasked read: who did what to which rows, by which request.

    Append-only: a trigger refuses update and delete. `changes` names tables, operations, ids and
    columns; `changed_ids` holds the same ids for searching. `org_path` is where the account
    belongs, empty for what the system did by itself. `device` is what the client's header
    `X-Device-Id` said.
    """

    __tablename__ = "audit_entry"
    __table_args__ = (
        Index("ix_audit_entry_time", "created_at", "id"),
        Index("ix_audit_entry_account", "account_id", "created_at", "id"),
        # "Whose data did this account see": without the account's changes in between.
        Index(
            "ix_audit_entry_seen",
            "account_id",
            "created_at",
            "id",
            postgresql_where=text("subject_id IS NOT NULL"),
        ),
        Index(
            "ix_audit_entry_subject",
            "subject_id",
            "created_at",
            "id",
            postgresql_where=text("subject_id IS NOT NULL"),
        ),
        Index("ix_audit_entry_changed", "changed_ids", postgresql_using="gin"),
    )

    account_id: Mapped[UUID | None]
    role: Mapped[str | None]
    org_path: Mapped[str] = mapped_column(server_default=text("''"))
    action: Mapped[str]
    changes: Mapped[list[dict[str, Any]]] = mapped_column(server_default=text("'[]'"))
    changed_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid), server_default=text("'{}'"))
    subject_kind: Mapped[str | None]
    subject_id: Mapped[UUID | None]
    purpose: Mapped[str | None]
    fields: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    request_id: Mapped[str | None]
    address: Mapped[str | None]
    device: Mapped[str | None]
