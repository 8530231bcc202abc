"""Org units, accounts, refresh tokens and the audit trail."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.auth.rules import OrgLevel, Role
from app.core.db import Base, Row, text_enum


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
    """Who may sign in: a person (password grant) or a system (client-credentials grant)."""

    __tablename__ = "account"

    username: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]
    role: Mapped[Role] = mapped_column(text_enum(Role))
    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"), index=True)
    technician_id: Mapped[UUID | None] = mapped_column(ForeignKey("technician.id"), unique=True)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    failed_logins: Mapped[int] = mapped_column(server_default=text("0"))
    locked_until: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(server_default=text("1"))

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class RefreshToken(Row, Base):
    """One refresh token of a family; only a hash is kept, and each is used once."""

    __tablename__ = "refresh_token"

    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), index=True)
    family_id: Mapped[UUID] = mapped_column(index=True)
    token_hash: Mapped[str] = mapped_column(unique=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class AuditEntry(Row, Base):
    """One change or one unmasked read: who did what to which rows, by which request.

    Append-only: a trigger refuses update and delete.
    """

    __tablename__ = "audit_entry"
    __table_args__ = (
        Index("ix_audit_entry_account", "account_id", "created_at"),
        Index("ix_audit_entry_subject", "subject_id", "created_at"),
    )

    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    role: Mapped[str | None]
    action: Mapped[str]
    subject_kind: Mapped[str | None]
    subject_id: Mapped[UUID | None]
    purpose: Mapped[str | None]
    changes: Mapped[list[dict[str, Any]]] = mapped_column(server_default=text("'[]'"))
    request_id: Mapped[str | None]
    address: Mapped[str | None]
