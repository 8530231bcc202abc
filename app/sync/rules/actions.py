"""A push as values: actions in their order, and what became of each."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from app.sync.rules.payloads import Unread
from app.sync.rules.tables import Kind
from app.sync.rules.verdicts import ActionVerdict, Judgement


@dataclass(frozen=True)
class Action:
    """Something that was done on a phone; `payload` is what its doorway would have been sent.

    A phone that was told what became of an action, and has not heard that its push had come, sends
    the row again as it was told, which is without the payload: then it is `told`. Where what came
    is no payload it is empty, and what did come is `unread`.
    """

    id: UUID
    type: str
    payload: Mapping[str, Any]
    device_at: datetime
    base_version: int | None = None
    told: bool = False
    unread: Unread | None = None

    @property
    def content_hash(self) -> str:
        """What tells the same action from another one under its id (SHA-256, hexadecimal)."""
        says: Any = self.payload
        if self.unread is not None:
            says = hashlib.sha256(self.unread.text.encode("utf-8", "surrogatepass")).hexdigest()
        said = [self.type, says, self.device_at.timestamp()]
        return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()


@dataclass(frozen=True)
class Judged:
    """What became of an action, as the phone is answered."""

    id: UUID
    verdict: ActionVerdict
    code: str | None = None
    words_zh: str | None = None
    words_en: str | None = None
    judgement: Judgement | None = None


@dataclass(frozen=True)
class Pushed:
    """A push: its actions in their order, and ids of rows of other tables that were changed."""

    actions: Sequence[Action]
    touched: Mapping[Kind, Collection[UUID]] = field(default_factory=dict)
    device: str | None = None
