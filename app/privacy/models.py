"""What was asked for customers' data, by whom, who agreed, and what came of it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, text_enum
from app.privacy.rules import RequestKind, RequestState


class PrivacyRequest(Row, Base):
    """A request to export or to erase what is kept of customers.

    `told` says of each customer what was done, in rows by table, or what stood against it. What an
    export holds is kept nowhere: it is put together whenever it is fetched.
    """

    __tablename__ = "privacy_request"
    __table_args__ = (Index("ix_privacy_request_list", "org_unit_id", "id"),)

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    kind: Mapped[RequestKind] = mapped_column(text_enum(RequestKind))
    state: Mapped[RequestState] = mapped_column(text_enum(RequestState))
    customer_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid))
    reason: Mapped[str]
    asked_by: Mapped[UUID]
    asked_at: Mapped[datetime]
    agreed_by: Mapped[UUID | None]
    agreed_at: Mapped[datetime | None]
    done_at: Mapped[datetime | None]
    told: Mapped[list[dict[str, Any]]] = mapped_column(server_default=text("'[]'"))
