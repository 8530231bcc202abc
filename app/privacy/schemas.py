"""Wire shapes of privacy: requests, the register, and for how long what is kept."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from app.core.http import Answer, Input
from app.privacy.rules import MOST_CUSTOMERS, MOST_ROWS, RequestKind, RequestState
from app.privacy.rules.periods import What
from app.privacy.rules.register import Kind, Then

Text = Annotated[str, Field(max_length=500)]
Ids = Annotated[list[UUID], Field(min_length=1, max_length=MOST_CUSTOMERS)]


class PrivacyRequestIn(Input):
    """What is asked for, for whom and why; the client makes the id (UUIDv7)."""

    id: UUID
    kind: RequestKind
    customer_ids: Ids
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class PrivacyRequestOut(Answer):
    """A request and what came of it."""

    id: UUID
    kind: RequestKind
    state: RequestState
    customer_ids: Ids
    reason: Text
    asked_by: UUID
    asked_at: datetime
    agreed_by: UUID | None
    agreed_at: datetime | None
    done_at: datetime | None
    told: Annotated[list[dict[str, Any]], Field(max_length=MOST_CUSTOMERS)] = Field(
        description="Of an erasure, for each customer: `rows` by table, or what stood `against` it."
    )


class PrivacyRequests(Answer):
    """Requests, the newest first."""

    items: Annotated[list[PrivacyRequestOut], Field(max_length=500)]
    next_page_token: Annotated[str, Field(max_length=500)] | None


class CustomerDataOut(Answer):
    """Everything that is kept of one customer."""

    customer_id: UUID
    code: Text
    tables: dict[str, Annotated[list[dict[str, Any]], Field(max_length=MOST_ROWS)]] = Field(
        description="Rows by table, as they are stored; points as GeoJSON in WGS-84."
    )


class PrivacyDocument(Answer):
    """Everything that is kept of the customers of a request."""

    request_id: UUID
    as_of: datetime
    customers: Annotated[list[CustomerDataOut], Field(max_length=MOST_CUSTOMERS)]


class PersonalColumnOut(Answer):
    """One column that is about a person."""

    table: Text
    column: Text
    kind: Kind
    on_erasure: Then


class PeriodOut(Answer):
    """How long something is kept, and what was ended in the last night."""

    name: Text
    table: Text
    what: What
    parameter: Text
    days: float
    done_at: datetime | None = Field(description="When it was last looked after; null is never.")
    ended: Annotated[int, Field(json_schema_extra={"format": "int64"})] | None


class PrivacyRegister(Answer):
    """Where personal data stands, what erasing does to it, and for how long it is kept."""

    columns: Annotated[list[PersonalColumnOut], Field(max_length=1000)]
    periods: Annotated[list[PeriodOut], Field(max_length=100)]
