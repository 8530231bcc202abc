"""What a phone sends to have a document checked, and what it is told; never the number."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import ConfigDict, Field, SecretStr

from app.core.http import Answer
from app.core.i18n import Lang
from app.real_name.rules import CODES, AgeGroup, DocumentKind, RealName, RealNameCode, RealNameState
from app.visits.schemas.steps import StepIn

# Longer than any document's, for those who type blanks.
_Number = Annotated[SecretStr, Field(min_length=1, max_length=40)]


class RealNameCheckIn(StepIn):
    """The document that a customer shows; the phone makes the id (UUIDv7)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01956f4b-7a00-7000-8000-000000000005",
                    "document": "resident_id",
                    "number": "11010519491231002X",
                    "device_at": "2026-03-02T10:20:00+08:00",
                }
            ]
        }
    )

    id: UUID = Field(description="The same check again is answered as it stands by then.")
    document: DocumentKind
    number: _Number | None = Field(
        default=None,
        description="As the document has it. It is passed on and not kept; asking again after a "
        "lost answer goes without it.",
    )


class RealNameOut(Answer):
    """What is known of a customer's real name."""

    customer_id: UUID
    check_id: UUID | None = Field(description="Null where nobody's document was ever checked.")
    visit_id: UUID | None = Field(description="The visit in which it was checked.")
    state: RealNameState | None
    good: bool = Field(description="Whether it counts as checked right now.")
    document: DocumentKind | None
    last4: Annotated[str, Field(max_length=4)] | None = Field(
        description="The number's last four characters; nothing else of it is kept."
    )
    asked_at: datetime | None
    checked_at: datetime | None = Field(description="When the outcome became known.")
    valid_until: datetime | None = Field(description="When a passed check is no longer good.")
    age_group: AgeGroup | None = Field(
        description="For protection alone: minors and the elderly confirm a second time."
    )
    code: RealNameCode | None
    words: Annotated[str, Field(max_length=200)] | None = Field(description="What the code means.")
    then: Annotated[str, Field(max_length=200)] | None = Field(description="What to do about it.")

    @classmethod
    def of(cls, customer_id: UUID, known: RealName | None, lang: Lang, now: datetime) -> Self:
        """Write what is known."""
        told = CODES[known.code] if known is not None and known.code is not None else None
        return cls(
            customer_id=customer_id,
            check_id=known.check_id if known else None,
            visit_id=known.visit_id if known else None,
            state=known.state if known else None,
            good=known is not None and known.good(now),
            document=known.document if known else None,
            last4=known.last4 if known else None,
            asked_at=known.asked_at if known else None,
            checked_at=known.checked_at if known else None,
            valid_until=known.valid_until if known else None,
            age_group=known.age_group if known else None,
            code=known.code if known else None,
            words=told.what.say(lang) if told else None,
            then=told.then.say(lang) if told else None,
        )
