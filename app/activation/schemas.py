"""Wire shapes of activations, and of orders that go without one."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from app.activation.models import Activation
from app.activation.queries import Overridden
from app.activation.rules import (
    CODES,
    OVERRIDE_WORDS,
    ActivationCode,
    ActivationState,
    OverrideCause,
)
from app.core.http import Answer
from app.core.i18n import Lang

Text = Annotated[str, Field(max_length=500)]


class ActivationOut(Answer):
    """An ask for a line to be opened, as it stands."""

    id: UUID
    work_order_id: UUID
    visit_id: UUID
    loid: Annotated[str, Field(max_length=64)] | None
    serial_number: Annotated[str, Field(max_length=64)]
    state: ActivationState = Field(
        description=(
            "asked, under_way and unknown go on by themselves: ask again in a second or so."
            " provisioned and failed are the end; after a failure, ask anew under a new id."
        )
    )
    code: ActivationCode | None = Field(description="What stands in the way.")
    what: Text | None = Field(description="What the code means, in the caller's language.")
    then: Text | None = Field(description="What to do about it.")
    said: Text | None = Field(description="The platform's own words.")
    attempts: Annotated[int, Field(ge=0)]
    asked_at: datetime
    next_try_at: datetime | None = Field(description="When something is done next; real time.")
    ended_at: datetime | None = Field(description="Real time.")

    @classmethod
    def of(cls, one: Activation, lang: Lang) -> Self:
        """Write an activation in one language."""
        told = CODES[one.code] if one.code else None
        return cls(
            id=one.id,
            work_order_id=one.work_order_id,
            visit_id=one.visit_id,
            loid=one.loid,
            serial_number=one.serial_number,
            state=one.state,
            code=one.code,
            what=told.what.say(lang) if told else None,
            then=told.then.say(lang) if told else None,
            said=one.said,
            attempts=one.attempts,
            asked_at=one.asked_at,
            next_try_at=one.next_try_at,
            ended_at=one.ended_at,
        )


class ActivationList(Answer):
    """The activations of one order, the newest first; the first of them counts."""

    activations: Annotated[list[ActivationOut], Field(max_length=20)]


class OverrideListed(Answer):
    """An order that a technician completed without activation, and why."""

    id: UUID
    work_order_id: UUID
    external_id: Annotated[str, Field(max_length=200)]
    visit_id: UUID
    technician_id: UUID
    technician_name: Annotated[str, Field(max_length=200)]
    cause: OverrideCause
    words: Text = Field(description="The cause in the caller's language.")
    note: Annotated[str, Field(max_length=2000)] | None
    at: datetime
    active_by_now: bool = Field(description="Whether the line was opened all the same.")

    @classmethod
    def of(cls, row: Overridden, lang: Lang) -> Self:
        """Write an override with what a supervisor asks next."""
        made = row.made
        return cls(
            id=made.id,
            work_order_id=made.work_order_id,
            external_id=row.external_id,
            visit_id=made.visit_id,
            technician_id=made.technician_id,
            technician_name=row.technician_name,
            cause=made.cause,
            words=OVERRIDE_WORDS[made.cause].say(lang),
            note=made.note,
            at=made.at,
            active_by_now=row.active_by_now,
        )


class OverridePage(Answer):
    """A page of overrides, newest first."""

    overrides: Annotated[list[OverrideListed], Field(max_length=200)]
    next_page_token: Annotated[str, Field(max_length=400)] | None
