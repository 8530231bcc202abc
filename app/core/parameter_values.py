"""The table behind `core/parameters.py`, and the values as a process holds them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from app.core.clock import wall
from app.core.db import Base, Row, database_of
from app.core.parameters import Parameters

# How long a process may go on with values it has read; a change is in force everywhere after that.
STALE_AFTER_SECONDS = 5.0


class ParameterValue(Row, Base):
    """A value from a date on, for everybody (`org_path` empty) or for one org unit's subtree."""

    __tablename__ = "parameter_value"
    __table_args__ = (
        Index("uq_parameter_value_dated", "name", "org_path", "valid_from", unique=True),
    )

    name: Mapped[str]
    org_path: Mapped[str] = mapped_column(server_default=text("''"))
    valid_from: Mapped[datetime]
    value: Mapped[Any] = mapped_column(JSONB())
    set_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))


async def parameters_in_force(session: AsyncSession) -> Parameters:
    """Return the parameters, read at most a few seconds ago by this process."""
    cache = database_of(session).cache
    held: Parameters | None = cache.get("parameters")
    if held is not None and (wall() - held.read_at).total_seconds() < STALE_AFTER_SECONDS:
        return held
    rows: dict[tuple[str, str], list[tuple[datetime, float]]] = {}
    for row in await session.execute(_ALL):
        rows.setdefault((row.name, row.org_path), []).append((row.valid_from, float(row.value)))
    held = Parameters(read_at=wall(), rows=rows)
    cache["parameters"] = held
    return held


_ALL = select(
    ParameterValue.name,
    ParameterValue.org_path,
    ParameterValue.valid_from,
    ParameterValue.value,
).order_by(ParameterValue.valid_from)
