"""A command is meant for the grid that its sender has looked at."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.grids.models import Grid
from app.territory.queries import redraw as queries
from app.territory.queries.redraw import KnownGrid
from app.territory.rules import refusals


async def must_be_as_seen(session: AsyncSession, grid: Grid | KnownGrid, version: int) -> None:
    """Raise GridRetired or GridChangedMeanwhile, with who did it and why, unless a grid is at the
    version that somebody has looked at."""
    if grid.retired_at is None and grid.version == version:
        return
    latest = await queries.latest_change(session, grid.id)
    what_zh, what_en = "改动未记录", "it is not written down how"
    facts: dict[str, Any] = {}
    if latest is not None:
        who = latest.username or "—"
        what_zh = f"{who} 于 {latest.at:%Y-%m-%d %H:%M} UTC 执行 {latest.kind}：{latest.reason}"
        what_en = f"{latest.kind} by {who} at {latest.at:%Y-%m-%d %H:%M} UTC: {latest.reason}"
        facts = {"kind": latest.kind, "by": who, "at": latest.at, "reason": latest.reason}
    if grid.retired_at is not None:
        raise refusals.GridRetired(
            grid_id=grid.id,
            code=grid.code,
            retired_at=grid.retired_at,
            what_zh=what_zh,
            what_en=what_en,
            **facts,
        )
    raise refusals.GridChangedMeanwhile(
        grid_id=grid.id,
        code=grid.code,
        version=grid.version,
        what_zh=what_zh,
        what_en=what_en,
        **facts,
    )
