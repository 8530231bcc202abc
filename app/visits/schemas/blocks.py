"""What every block of the card for the door says of itself, and codes with their words."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, TypeVar

from pydantic import Field

from app.core.http import Answer
from app.core.i18n import Lang, Words

Text = Annotated[str, Field(max_length=300)]
E = TypeVar("E", bound=StrEnum)
B = TypeVar("B", bound="Block")


class Block(Answer):
    """What every block of the card says of itself."""

    as_of: datetime | None = Field(description="Since when it holds; null is not known.")
    source: Text


class CodedOut(Answer):
    """A code and what it means, in the caller's language."""

    code: Text
    words: Text


def coded(words: Mapping[E, Words], code: E | None, lang: Lang) -> CodedOut | None:
    """Write a code with its words; None stays not known."""
    return None if code is None else CodedOut(code=code.value, words=words[code].say(lang))


def block(kind: type[B], known: object) -> B:
    """Write a block of the card whose fields go out as they are."""
    since = vars(known)["known"]
    return kind(**{**vars(known), "as_of": since.as_of, "source": since.source})
