"""Which grid each customer's address belongs to."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base


class AddressGrid(Base):
    """The grid of a service address by the map in force, or null where no grid takes it.

    It stands beside the address and not in it, so that a million of them are found anew by
    writing narrow rows. `drawn_grid_id` is the grid whose polygon holds the point, where a list
    (`listed`) says otherwise. Grids are never deleted, so no foreign key watches over them here:
    to check each of a million costs a third of writing them.
    """

    __tablename__ = "address_grid"
    __table_args__ = (
        Index("ix_address_grid_grid", "grid_id"),
        Index(
            "ix_address_grid_disagreeing",
            "grid_id",
            postgresql_where=text("listed AND drawn_grid_id IS DISTINCT FROM grid_id"),
        ),
    )

    service_address_id: Mapped[UUID] = mapped_column(
        ForeignKey("service_address.id", ondelete="CASCADE"), primary_key=True
    )
    grid_id: Mapped[UUID | None]
    drawn_grid_id: Mapped[UUID | None]
    listed: Mapped[bool]
    near_border: Mapped[bool]


class GridRelocation(Base):
    """How far the addresses have followed a change of the map; no row: they have not begun.

    `addresses` are those that were queued or located anew, times are real ones (UTC). A change
    with few addresses is done when it is made.
    """

    __tablename__ = "grid_relocation"

    change_id: Mapped[UUID] = mapped_column(ForeignKey("grid_change.id"), primary_key=True)
    addresses: Mapped[int]
    queued_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
