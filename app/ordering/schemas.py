"""Wire shapes of deliveries, for supervisors."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field

from app.core.http import Answer, Code, Input, Line, Moment, Note
from app.core.i18n import Lang
from app.core.paging import NextPage
from app.ordering.correcting import Correction
from app.ordering.delivery import (
    ChangeKind,
    ChangeState,
    CloseReason,
    Endpoint,
    GiveUpReason,
    JudgedEnd,
    SyncState,
    Trying,
)
from app.ordering.models import OrderAttempt, OrderSync
from app.ordering.rules import CAUSE_ADVICE, CAUSE_WORDS, Cause, Failure, RemoteState
from app.ordering.troubles import Standstill, Story, Trouble, masked_body


class OrderSyncOut(Answer):
    """The delivery of one sale to the ordering system."""

    id: UUID
    sale_id: UUID
    org_unit_id: UUID
    state: SyncState
    attempts: int
    next_try_at: datetime | None = Field(description="When something is done by itself; real time.")
    last_tried_at: datetime | None
    cause: Cause | None = Field(description="Why it failed last; null when nothing is wrong.")
    why: Note | None = Field(description="The cause in words.")
    advice: Note | None = Field(description="What a person can do about it.")
    last_error: Note | None = Field(description="The cause, and what the ordering system said.")
    remote_id: Note | None
    remote_state: Note | None
    stands_since: datetime | None = Field(
        description="Since when the order has been known to be held or pending there; real time,"
        " null where it is neither."
    )
    doubles: Annotated[list[Note], Field(max_length=1_000)] = Field(
        description="Further orders of the other side with our id; have them cancelled there."
    )
    given_up_reason: GiveUpReason | None

    @classmethod
    def of(cls, sync: OrderSync, lang: Lang) -> Self:
        """Write a delivery in one language."""
        return cls(**_told(sync, lang))


def _told(sync: OrderSync, lang: Lang) -> dict[str, Any]:
    cause = sync.last_cause
    own = {name: getattr(sync, name) for name in OrderSyncOut.model_fields if hasattr(sync, name)}
    return own | {
        "cause": cause,
        "why": CAUSE_WORDS[cause].say(lang) if cause else None,
        "advice": CAUSE_ADVICE[cause].say(lang) if cause else None,
    }


class OrderSyncPage(Answer):
    """A page of deliveries, newest first."""

    order_syncs: Annotated[list[OrderSyncOut], Field(max_length=200)]
    next_page_token: NextPage


class OrderAttemptOut(Answer):
    """An attempt that failed."""

    number: int
    trying: Trying
    at: datetime = Field(description="When it ended; real time.")
    failure: Failure
    cause: Cause
    why: Note = Field(description="The cause in words.")
    answered: int | None = Field(description="The HTTP status; null where no answer came.")
    said: Note | None = Field(description="The ordering system's own words.")
    sent_as: Line | None = Field(description="Our X-Request-Id, which it has in its log.")

    @classmethod
    def of(cls, attempt: OrderAttempt, lang: Lang) -> Self:
        """Write an attempt in one language."""
        own = {name: getattr(attempt, name) for name in cls.model_fields if name != "why"}
        return cls(**own, why=CAUSE_WORDS[attempt.cause].say(lang))


class OrderCorrectionOut(Answer):
    """What a person put in place of what the sale says."""

    id: UUID
    at: datetime
    account_id: UUID
    reason: Note
    changes: dict[str, Any] = Field(
        description="By the name of the field, each `from` what it was `to` what it is to be.",
        examples=[{"address_number": {"from": None, "to": "A-88002"}}],
    )


class OrderHeardOut(Answer):
    """A callback that came about it, and what became of it."""

    event_type: Note
    event_time: datetime | None
    received_at: datetime
    verdict: Note


class OrderSyncStory(OrderSyncOut):
    """A delivery with everything that is known of how it went; of each the latest hundred."""

    body: dict[str, Any] | None = Field(
        description="What was sent last; name, address and note are masked."
    )
    corrections: dict[str, Any] = Field(description="What stands in place of what the sale says.")
    given_up_note: Note | None
    given_up_at: datetime | None
    failed_attempts: Annotated[list[OrderAttemptOut], Field(max_length=100)]
    corrected: Annotated[list[OrderCorrectionOut], Field(max_length=100)]
    heard: Annotated[list[OrderHeardOut], Field(max_length=100)]

    @classmethod
    def whole(cls, story: Story, lang: Lang) -> Self:
        """Write the story of a delivery in one language."""
        sync = story.sync
        return cls(
            **_told(sync, lang),
            body=masked_body(sync.body) if sync.body else None,
            corrections=sync.corrections or {},
            given_up_note=sync.given_up_note,
            given_up_at=sync.given_up_at,
            failed_attempts=[OrderAttemptOut.of(each, lang) for each in story.attempts],
            corrected=[OrderCorrectionOut.model_validate(each) for each in story.corrections],
            heard=[OrderHeardOut.model_validate(each) for each in story.callbacks],
        )


class OrderBodyOut(Answer):
    """What was sent last, word for word."""

    body: dict[str, Any] | None


class TroubleOut(Answer):
    """So many deliveries stand like this because of that."""

    state: SyncState
    cause: Cause
    why: Note = Field(description="The cause in words.")
    advice: Note = Field(description="What a person can do about it.")
    count: int
    since: datetime = Field(description="When the first of them was made; real time.")

    @classmethod
    def of(cls, trouble: Trouble, lang: Lang) -> Self:
        """Write a figure in one language."""
        return cls(
            **asdict(trouble),
            why=CAUSE_WORDS[trouble.cause].say(lang),
            advice=CAUSE_ADVICE[trouble.cause].say(lang),
        )


class StandstillOut(Answer):
    """So many orders that do not move over there, or of which a part is missing."""

    remote_state: RemoteState
    count: int
    since: datetime = Field(description="When the first of them was made; real time.")


class OrderSyncSummary(Answer):
    """What is wrong with deliveries in the caller's part of the organisation."""

    troubles: Annotated[list[TroubleOut], Field(max_length=100)]
    standstills: Annotated[list[StandstillOut], Field(max_length=20)]

    @classmethod
    def of(cls, troubles: Sequence[Trouble], stuck: Sequence[Standstill], lang: Lang) -> Self:
        """Write the figures in one language."""
        return cls(
            troubles=[TroubleOut.of(each, lang) for each in troubles],
            standstills=[StandstillOut.model_validate(each) for each in stuck],
        )


class CorrectionIn(Input):
    """What is to be sent in place of what the sale says; at least one value.

    What was sold and for how much cannot be corrected: the customer agreed to it.
    """

    id: UUID = Field(description="Made by whoever corrects, a UUIDv7.")
    customer_number: Code | None = Field(
        default=None, description="The same customer, as the ordering system numbers them."
    )
    address_number: Code | None = Field(
        default=None, description="The same address, as the ordering system numbers it."
    )
    technician_number: Code | None = Field(
        default=None, description="The same technician, as the ordering system numbers them."
    )
    requested_start: Moment | None = None
    note: str | None = Field(default=None, min_length=1, max_length=500)
    reason: str = Field(min_length=1, max_length=300)

    def values(self) -> Correction:
        """Give the values that are put in place."""
        return Correction(**self.model_dump(exclude={"id", "reason"}))


class GiveUpIn(Input):
    """The decision that a sale is not delivered by us."""

    reason: GiveUpReason
    remote_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="Of one that was entered by hand, and of no other: the ordering system's id of"
        " that order.",
    )
    note: str | None = Field(default=None, min_length=1, max_length=500)


class JudgeIn(Input):
    """As what an order counts that ended in part, in two ways, or though it was given up."""

    ended_as: JudgedEnd
    missing: list[Annotated[int, Field(ge=1, le=1000)]] = Field(
        default_factory=list,
        max_length=100,
        description="Of one that counts in part: the places in it of what was not delivered; none "
        "where the ordering system has named them.",
    )


class RetryManyIn(Input):
    """Which parked deliveries are taken up again together."""

    cause: Cause
    org_unit_id: UUID | None = Field(default=None, description="One unit of the caller's, or all.")
    most: int = Field(default=500, ge=1, le=5000)


class RetryManyOut(Answer):
    """How many were taken up again, and how many of the same cause are left."""

    taken_up: int
    left: int


class OrderChangeIn(Input):
    """A wish to cancel or to amend the order of a sale; sent again, answered like at first."""

    id: UUID = Field(description="Made by whoever asks, a UUIDv7.")
    kind: ChangeKind
    reason: str = Field(min_length=1, max_length=300)
    note: str | None = Field(
        default=None, min_length=1, max_length=500, description="To amend: a note to be added."
    )
    requested_start: Moment | None = Field(
        default=None, description="To amend: when the customer wants to have it."
    )


class OrderChangeOut(Answer):
    """A change of an order: what was asked, and how far it has come."""

    id: UUID
    sale_id: UUID
    kind: ChangeKind
    sale_item_id: UUID | None = Field(
        description="Of an amendment that takes one item out of the order: which."
    )
    appointment_hold_id: UUID | None = Field(
        description="Of an amendment because the appointment was moved: the slot that is told."
    )
    state: ChangeState
    reason: Note
    note: Note | None
    requested_start: datetime | None
    asked_at: datetime
    attempts: int
    next_try_at: datetime | None = Field(description="When something is done by itself; real time.")
    last_error: Note | None = Field(description="What went wrong, or why it was refused.")
    remote_state: Note | None = Field(description="The ordering system's own word for it.")
    ended_at: datetime | None
    closed_at: datetime | None = Field(
        description="When somebody has dealt with one that was refused or given up."
    )
    closed_reason: CloseReason | None
    closed_note: Note | None
    replaced_by: UUID | None = Field(description="The change by which it was asked for again.")


class OrderChangePage(Answer):
    """A page of changes of orders, the latest first."""

    order_changes: Annotated[list[OrderChangeOut], Field(max_length=200)]
    next_page_token: NextPage


class AskAgainIn(Input):
    """A change that was refused or given up is asked for again, as a new one."""

    id: UUID = Field(description="Of the new change, made by whoever asks, a UUIDv7.")


class CloseChangeIn(Input):
    """Why nothing more is done about a change that was refused or given up."""

    reason: CloseReason
    note: str | None = Field(default=None, min_length=1, max_length=500)


class OrderChanges(Answer):
    """What was asked of the order of a sale, the latest first."""

    changes: Annotated[list[OrderChangeOut], Field(max_length=100)]


class EndpointOut(Answer):
    """One endpoint of the ordering system: whether it is left alone for now, and why."""

    endpoint: Endpoint
    open_since: datetime | None = Field(
        description="Since when nothing is sent; null while all is well."
    )
    open_until: datetime | None = Field(description="When one attempt tries it out again.")
    times_opened: int
    last_error: Note | None


class ListenerOut(Answer):
    """Our listener on the ordering system's hub."""

    callback: Note
    registered_at: datetime | None = Field(description="Null while it is not registered.")
    checked_at: datetime | None
    last_error: Note | None


class OrderingSystemOut(Answer):
    """How we stand with the ordering system."""

    endpoints: Annotated[list[EndpointOut], Field(max_length=len(Endpoint))]
    listeners: Annotated[list[ListenerOut], Field(max_length=20)]
