"""Wire shapes of messages, for supervisors and for the provider."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from app.core.http import Answer, Input, Line, Moment, Note
from app.core.i18n import Lang
from app.core.paging import NextPage
from app.messaging.models import Message
from app.messaging.queries import Standing
from app.messaging.rules import (
    FAIL_WORDS,
    Came,
    FailReason,
    MessageKind,
    MessageState,
    masked_number,
)


class MessageOut(Answer):
    """A message's delivery; whom it went to is masked, and what it said is not shown."""

    id: UUID
    kind: MessageKind
    about: UUID | None = Field(description="The id of what it is about, such as an order.")
    recipient: Line | None = Field(
        description="Masked; null once it is forgotten, or where there was no number."
    )
    state: MessageState
    asked_at: datetime
    attempts: int
    next_try_at: datetime | None = Field(description="When it is tried again; real time.")
    ended_at: datetime | None = Field(description="When it was sent or given up; real time.")
    fail_reason: FailReason | None
    words: Note | None = Field(description="Why it was given up, in the caller's language.")
    last_error: Note | None = Field(description="What the provider said last.")

    @classmethod
    def of(cls, message: Message, lang: Lang) -> Self:
        """Write a message's delivery."""
        reason = message.fail_reason
        return cls(
            id=message.id,
            kind=message.kind,
            about=message.about,
            recipient=masked_number(message.recipient) if message.recipient else None,
            state=message.state,
            asked_at=message.asked_at,
            attempts=message.attempts,
            next_try_at=message.next_try_at,
            ended_at=message.ended_at,
            fail_reason=reason,
            words=FAIL_WORDS[reason].say(lang) if reason else None,
            last_error=message.last_error,
        )


class MessagePage(Answer):
    """A page of messages, newest first."""

    messages: Annotated[list[MessageOut], Field(max_length=200)]
    next_page_token: NextPage


class MessagesStateOut(Answer):
    """How messages stand in the caller's part of the organisation."""

    provider_set: bool = Field(
        description="Whether the installation names a messaging provider; without one all wait."
    )
    waiting: int
    waiting_since: datetime | None = Field(
        description="When the one that has waited longest was asked for; real time."
    )
    failed_today: int = Field(description="Given up in the last 24 hours.")

    @classmethod
    def of(cls, standing: Standing, *, provider_set: bool) -> Self:
        """Write how messages stand."""
        return cls(provider_set=provider_set, **standing._asdict())


class ReplyIn(Input):
    """What one customer sent back; `id` is the provider's own and stays the same when repeated."""

    model_config = ConfigDict(populate_by_name=True)

    id: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    sender: Annotated[str, StringConstraints(min_length=1, max_length=40)] = Field(alias="from")
    text: Annotated[str, StringConstraints(max_length=2000)]
    said_at: Moment


class RepliesIn(Input):
    """What customers sent back, one or several at a time."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "replies": [
                        {
                            "id": "R00000017",
                            "from": "13812341234",
                            "text": "Y3821",
                            "said_at": "2026-03-02T10:44:00+08:00",
                        }
                    ]
                }
            ]
        }
    )

    replies: Annotated[list[ReplyIn], Field(min_length=1, max_length=100)]

    def came(self) -> list[Came]:
        """Give the replies as they came."""
        return [Came(one.id, one.sender, one.text, one.said_at) for one in self.replies]
