"""What a phone pushes, and what becomes of it."""

import contextlib
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import ConfigDict, Field, WithJsonSchema, model_validator

from app.core.bounds import check_fit
from app.core.errors import TooLarge
from app.core.http import Answer, DeviceTime, Input
from app.sync.rules import ActionVerdict, Judgement
from app.sync.rules.actions import Action, Pushed
from app.sync.rules.clocks import Skew
from app.sync.rules.payloads import LONGEST, Unread, payload_of
from app.sync.rules.tables import KIND_OF
from app.sync.schemas.pulled import Ids
from app.sync.schemas.rows import Text

MOST_ROWS = 200


class ActionIn(Input):
    """Something that was done on the phone; the phone makes the id (UUIDv7).

    What else a phone's database keeps in the row is left aside.
    """

    model_config = ConfigDict(extra="ignore")

    id: UUID
    type: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        description="The operation that would have been called online, by its operationId."
    )
    # Described as anything: of a text beside an object, generators make types that do not compile.
    payload: Annotated[Any, WithJsonSchema({})] = Field(
        default_factory=dict,
        description="What would have been sent: names of the path beside those of the body. An"
        f" object, or the same as JSON in text of at most {LONGEST:,} characters. Null, as the pull"
        " has it, where the action was pushed before. What cannot be read is refused by a verdict.",
    )
    base_version: Annotated[int, Field(ge=0, lt=2**53)] | None = Field(
        default=None, description="The order's `version` that the phone saw; kept as evidence."
    )
    device_at: DeviceTime = Field(description="When it was done, by the phone's clock.")

    @model_validator(mode="before")
    @classmethod
    def _fits(cls, data: Any) -> Any:
        # What people type stands in the payload, and in what is left aside: a push is not held up
        # by it.
        if isinstance(data, dict):
            minded = cls.model_fields.keys() - {"payload"}
            check_fit(cls, {name: data[name] for name in minded & data.keys()})
        return data

    def action(self) -> Action:
        """Give it as the service takes it."""
        told = self.payload is None
        read = {} if told else payload_of(self.payload)
        return Action(
            id=self.id,
            type=self.type,
            payload={} if isinstance(read, Unread) else read,
            device_at=self.device_at,
            base_version=self.base_version,
            told=told,
            unread=read if isinstance(read, Unread) else None,
        )


class ActionRowsIn(Input):
    """Actions, in the order they were done; those made and those changed since are taken alike."""

    created: Annotated[list[ActionIn], Field(max_length=MOST_ROWS)] = Field(default_factory=list)
    updated: Annotated[list[ActionIn], Field(max_length=MOST_ROWS)] = Field(default_factory=list)
    deleted: Ids = Field(
        default_factory=list,
        description="What was taken back before it was sent. Where it had come nevertheless it was"
        " done, and the next pull tells it.",
    )


class OtherRowsIn(Input):
    """Changes of another table. They are not taken from here; the next pull tells how it stands."""

    created: Annotated[list[dict[str, Any]], Field(max_length=MOST_ROWS)] = Field(
        default_factory=list
    )
    updated: Annotated[list[dict[str, Any]], Field(max_length=MOST_ROWS)] = Field(
        default_factory=list
    )
    deleted: Annotated[list[Annotated[str, Field(max_length=40)]], Field(max_length=MOST_ROWS)] = (
        Field(default_factory=list)
    )

    def ids(self) -> set[UUID]:
        """Give the ids of all rows that were changed."""
        return _ids(
            [*(row.get("id") for row in (*self.created, *self.updated)), *self.deleted],
        )


def _ids(said: Iterable[Any]) -> set[UUID]:
    found = set()
    for one in said:
        with contextlib.suppress(ValueError, AttributeError, TypeError):
            found.add(UUID(str(one)))
    return found


class ChangesIn(Input):
    """Changes by table: actions, and whatever else the phone has changed for itself."""

    # Generated clients push actions and nothing else: for a class that holds others by name, too,
    # they make types that do not compile.
    model_config = ConfigDict(
        extra="allow", json_schema_extra=lambda schema: schema.pop("additionalProperties")
    )
    __pydantic_extra__: dict[str, OtherRowsIn] = Field(init=False)

    actions: ActionRowsIn = Field(default_factory=ActionRowsIn)


class PushIn(Input):
    """What was changed on the phone since it last pulled, by table."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "changes": {
                        "actions": {
                            "created": [
                                {
                                    "id": "019cac1b-0a00-7f7a-8c11-6d2c0d1f5b10",
                                    "type": "visits_acknowledge",
                                    "payload": {
                                        "work_order_id": "019cac1a-8d00-7e97-819f-e4244d47ba1f"
                                    },
                                    "device_at": "2026-03-02T09:02:00+08:00",
                                }
                            ]
                        }
                    },
                    "last_pulled_at": 1759218604441837,
                }
            ]
        }
    )

    changes: ChangesIn
    last_pulled_at: Annotated[int, Field(ge=0, lt=2**53)] | None = None
    sent_at: DeviceTime | None = Field(
        default=None,
        description="The phone's time as it sends this, so that it can be told of a wrong clock.",
    )

    def pushed(self, device: str | None) -> Pushed:
        """Give it as the service takes it. Raises TooLarge."""
        told = self.changes
        rows = [*told.actions.created, *told.actions.updated]
        others = {name: one.ids() for name, one in (told.model_extra or {}).items()}
        if len(rows) + sum(map(len, others.values())) > MOST_ROWS:
            raise TooLarge(limit=f"{MOST_ROWS} rows")
        others["actions"] = _ids(told.actions.deleted)
        return Pushed(
            actions=[row.action() for row in rows],
            touched={KIND_OF[name]: ids for name, ids in others.items() if name in KIND_OF},
            device=device,
        )


class ActionVerdictOut(Answer):
    """What became of an action."""

    id: UUID
    verdict: ActionVerdict = Field(
        description="`duplicate` was pushed before; the other members are those of its verdict."
    )
    code: Text | None = Field(description="Slug of the refusal; null when it was applied.")
    words_zh: Text | None
    words_en: Text | None
    judgement: Judgement | None


class PhoneClockOut(Answer):
    """By how much the phone's clock is wrong, and what to tell its owner."""

    ahead_seconds: float = Field(description="Below zero when it is behind.")
    words_zh: Text
    words_en: Text

    @classmethod
    def of(cls, skew: Skew) -> Self:
        """Shape it."""
        words = skew.words
        return cls(ahead_seconds=skew.ahead.total_seconds(), words_zh=words.zh, words_en=words.en)


class WipeToObeyOut(Answer):
    """That a phone has to be emptied."""

    id: UUID
    asked_at: datetime


class PushOut(Answer):
    """A verdict for each action, in their order; the pull tells them again."""

    verdicts: Annotated[list[ActionVerdictOut], Field(max_length=MOST_ROWS)]
    clock: PhoneClockOut | None = Field(
        description="Null while the phone's clock is about right, or where `sent_at` is left out."
    )
    wipe: WipeToObeyOut | None = Field(
        description="It has to be emptied: push what is left, remove everything, and confirm."
    )
