"""Counting the statements that code under test sends to the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from psycopg import AsyncCursor

from app.core.db import Database


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """Collect the statements sent meanwhile, each as one line; savepoints and the like left out.

    They are counted where they leave: some go through a session, and some to the driver itself.
    """
    seen: list[str] = []
    send = AsyncCursor.execute

    async def noting(self: Any, statement: Any, *args: Any, **more: Any) -> Any:
        words = " ".join(str(statement).split())
        aside = words.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK"))
        if not aside and self.connection.info.dbname == database.engine.url.database:
            seen.append(words)
        return await send(self, statement, *args, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AsyncCursor, "execute", noting)
        yield seen
