"""What is still being written anywhere in the cluster holds cursors back."""

import asyncio

import pytest
from sqlalchemy import text

from app.core.db import Database


async def others_are_done(database: Database) -> None:
    """Wait until all transactions that began before now are over, other tests' too."""
    async with database.begin() as tx:
        mine = int(await tx.scalar(text("SELECT pg_current_xact_id()::text")) or 0)
    for _ in range(1200):
        async with database.read() as read:
            oldest = await read.scalar(text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text"))
        if int(oldest or 0) > mine:
            return
        await asyncio.sleep(0.05)
    pytest.fail("a transaction of another test does not end")
