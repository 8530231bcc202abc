"""Counts the statements a piece of code sends to the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from psycopg import AsyncCursor


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collect what this process sends while the block runs, without the marks of savepoints."""
    sent: list[str] = []
    execute = AsyncCursor.execute

    async def hear(cursor: Any, query: Any, *more: Any, **named: Any) -> Any:
        words = " ".join(str(query).split())
        if not words.upper().startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
            sent.append(words)
        return await execute(cursor, query, *more, **named)

    with patch.object(AsyncCursor, "execute", hear):
        yield sent
