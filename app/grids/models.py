"""Grids, their dated boundaries, their neighbours and who looks after them."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from geoalchemy2 import Geometry
from geoalchemy2.elements import WKBElement
from sqlalchemy import CheckConstraint, ForeignKey, Index, func, literal_column, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, text_enum
from app.grids.rules import GridKind, GridStage, MembershipKind


class Grid(Row, Base):
    """A piece of territory that somebody looks after; its shape is in `GridBoundary`."""

    __tablename__ = "grid"

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"), index=True)
    code: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    kind: Mapped[GridKind] = mapped_column(text_enum(GridKind))
    stage: Mapped[GridStage] = mapped_column(text_enum(GridStage), server_default="none")
    retired_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(server_default=text("1"))

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class GridBoundary(Row, Base):
    """The shape of a grid from one moment to another; `valid_to` null means now (WGS-84)."""

    __tablename__ = "grid_boundary"
    __table_args__ = (
        ExcludeConstraint(
            ("grid_id", "="),
            (func.tstzrange(literal_column("valid_from"), literal_column("valid_to")), "&&"),
            name="ex_grid_boundary_one_at_a_time",
            using="gist",
        ),
        Index(
            "ix_grid_boundary_current",
            "boundary",
            postgresql_using="gist",
            postgresql_where=text("valid_to IS NULL"),
        ),
    )

    grid_id: Mapped[UUID] = mapped_column(ForeignKey("grid.id"))
    boundary: Mapped[WKBElement] = mapped_column(
        Geometry("MULTIPOLYGON", srid=4326, spatial_index=False)
    )
    area_m2: Mapped[float]
    valid_from: Mapped[datetime]
    valid_to: Mapped[datetime | None]
    source: Mapped[str]
    notes: Mapped[list[dict[str, Any]]] = mapped_column(server_default=text("'[]'"))


class GridNeighbour(Base):
    """Two grids that touch or nearly touch; kept both ways so that one look-up finds all."""

    __tablename__ = "grid_neighbour"

    grid_id: Mapped[UUID] = mapped_column(ForeignKey("grid.id"), primary_key=True)
    neighbour_id: Mapped[UUID] = mapped_column(ForeignKey("grid.id"), primary_key=True)
    distance_m: Mapped[float]


class GridMembership(Row, Base):
    """A technician looks after a grid from one day to another (local days, the last excluded).

    `weekdays` is a bit mask, Monday = 1 to Sunday = 64. A primary is alone at any time; that is a
    constraint here and not an `if` anywhere. One that ends on the day it begins was taken back.
    """

    __tablename__ = "grid_membership"
    __table_args__ = (
        ExcludeConstraint(
            ("grid_id", "="),
            (func.daterange(literal_column("valid_from"), literal_column("valid_to")), "&&"),
            name="ex_grid_membership_one_primary",
            using="gist",
            where=text("kind = 'primary'"),
        ),
        Index("ix_grid_membership_grid", "grid_id", "kind", "rank"),
        Index("ix_grid_membership_technician", "technician_id"),
        CheckConstraint("valid_to IS NULL OR valid_to >= valid_from", name="dates_in_order"),
        CheckConstraint("weekdays BETWEEN 1 AND 127", name="some_weekday"),
    )

    grid_id: Mapped[UUID] = mapped_column(ForeignKey("grid.id"))
    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    kind: Mapped[MembershipKind] = mapped_column(text_enum(MembershipKind))
    rank: Mapped[int] = mapped_column(server_default=text("1"))
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
    weekdays: Mapped[int] = mapped_column(server_default=text("127"))
