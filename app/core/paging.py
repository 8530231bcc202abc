"""Keyset paging: a page token says where the last page ended, and carries no authorization.

Keyset paging costs the same for the first and the thousandth page, unlike an offset.
"""

import base64
import binascii
from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

import orjson
from fastapi import Query
from pydantic import Field

from app.core.errors import Invalid

MOST_ROWS = 200
LONGEST_TOKEN = 400

PageSize = Annotated[int, Query(ge=1, le=MOST_ROWS, description="How many rows a page has.")]
PageToken = Annotated[
    str | None,
    Query(
        alias="page_token",
        max_length=LONGEST_TOKEN,
        pattern=r"^[A-Za-z0-9_\-]+$",
        description="`next_page_token` of the page before; leave out for the first page.",
    ),
]

T = TypeVar("T")
# What a page's answer holds: its rows, and what is sent to have the next.
Rows = Annotated[list[T], Field(max_length=MOST_ROWS)]
NextPage = Annotated[str | None, Field(max_length=LONGEST_TOKEN)]


def token_of(*key: date | datetime | UUID | str | int) -> str:
    """Write the sort key of a page's last row as an opaque token."""
    plain = [part.isoformat() if isinstance(part, date) else part for part in key]
    return base64.urlsafe_b64encode(orjson.dumps(plain)).decode().rstrip("=")


def key_of(token: str, *kinds: type) -> tuple[Any, ...]:
    """Read a token back into the sort key's values, one of `kinds` each.

    Raises Invalid when the token was not made by `token_of` for such a key.
    """
    try:
        parts = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        if not isinstance(parts, list) or len(parts) != len(kinds):
            raise ValueError("wrong number of parts")
        return tuple(_read(part, kind) for part, kind in zip(parts, kinds, strict=True))
    except (ValueError, TypeError, AttributeError, binascii.Error) as error:
        raise Invalid(
            errors=[{"field": "page_token", "message": "not a page token of this list"}]
        ) from error


def _read(part: Any, kind: type) -> Any:
    if kind is datetime:
        return datetime.fromisoformat(part)
    if kind is date:
        return date.fromisoformat(part)
    if kind is UUID:
        return UUID(part)
    if not isinstance(part, kind):
        raise TypeError("another kind of value")
    return part


def cut(rows: Sequence[Any], size: int) -> tuple[Sequence[Any], Any | None]:
    """Cut a page from `size + 1` rows: the page, and its last row when more follow it."""
    if len(rows) <= size:
        return rows, None
    return rows[:size], rows[size - 1]
