"""Grids, their dated boundaries, their neighbours and who looks after them."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from geoalchemy2 import Geometry
from geoalchemy2.elements import WKBElement
from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    Uuid,
    func,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, text_enum
from app.core.geo import CoordSys
from app.grids.rules import (
    ChangeKind,
    ExpansionFigure,
    GridKind,
    GridStage,
    ListKind,
    MembershipKind,
)


class Grid(Row, Base):
    """A piece of territory that somebody looks after; its shape is in `GridBoundary`."""

    __tablename__ = "grid"

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"), index=True)
    code: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    kind: Mapped[GridKind] = mapped_column(text_enum(GridKind))
    retired_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(server_default=text("1"))

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class GridChange(Row, Base):
    """One command that changed which ground or which addresses belong to which grids.

    `asked` is the command as it was given and `told` the figures it was answered with, so that a
    repeated command is answered like the first; `content_hash` tells one with other content.
    """

    __tablename__ = "grid_change"
    __table_args__ = (
        Index("ix_grid_change_grids", "grid_ids", postgresql_using="gin"),
        Index("ix_grid_change_list", "org_unit_id", "at", "id"),
    )

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    kind: Mapped[ChangeKind] = mapped_column(text_enum(ChangeKind))
    at: Mapped[datetime]
    account_id: Mapped[UUID | None]
    reason: Mapped[str]
    grid_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid))
    content_hash: Mapped[str]
    asked: Mapped[dict[str, Any]]
    told: Mapped[dict[str, Any]]
    addresses: Mapped[int] = mapped_column(server_default=text("0"))


class GridEdition(Base):
    """Which edition of the map is in force: one row, with a new id whenever a boundary, a list or
    a code changed. Processes hold an index of the map and ask here whether it is still the one."""

    __tablename__ = "grid_edition"
    __table_args__ = (CheckConstraint("one", name="one_row"),)

    one: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    edition: Mapped[UUID]


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
    change_id: Mapped[UUID | None] = mapped_column(ForeignKey("grid_change.id"))


class GridTileShape(Base):
    """The shape in force of a grid as map tiles draw it, in web Mercator (EPSG:3857) metres.

    There is a row for each coordinate system a map may have under it. A vertex's M is the zoom from
    which on it is drawn: the shape at a zoom is what `ST_FilterByM` leaves of it, and neighbours
    leave out the same vertices of a border they share.
    """

    __tablename__ = "grid_tile_shape"
    __table_args__ = (
        Index("ix_grid_tile_shape_shape", "coordsys", "shape", postgresql_using="gist"),
    )

    grid_id: Mapped[UUID] = mapped_column(ForeignKey("grid.id"), primary_key=True)
    coordsys: Mapped[CoordSys] = mapped_column(text_enum(CoordSys), primary_key=True)
    boundary_id: Mapped[UUID] = mapped_column(ForeignKey("grid_boundary.id"))
    shape: Mapped[WKBElement] = mapped_column(
        Geometry("MULTIPOLYGONM", srid=3857, dimension=3, spatial_index=False)
    )


class GridListEntry(Row, Base):
    """A line of a grid's own list of addresses, from one moment to another (`valid_to` null: now).

    It wins over the polygons. `name` is a compound, a building's compound, or the beginning of
    standard addresses, without blanks; it speaks for addresses of `district_path` only, since
    names come again elsewhere. No two grids list the same at one time.
    """

    __tablename__ = "grid_list_entry"
    __table_args__ = (
        ExcludeConstraint(
            ("kind", "="),
            ("district_path", "="),
            ("name", "="),
            ("building", "="),
            (func.tstzrange(literal_column("valid_from"), literal_column("valid_to")), "&&"),
            name="ex_grid_list_entry_one_grid",
            using="gist",
        ),
        Index("ix_grid_list_entry_grid", "grid_id", "valid_from"),
        CheckConstraint("(kind = 'building') = (building <> '')", name="building_named"),
        CheckConstraint("valid_to IS NULL OR valid_to >= valid_from", name="times_in_order"),
    )

    grid_id: Mapped[UUID] = mapped_column(ForeignKey("grid.id"))
    kind: Mapped[ListKind] = mapped_column(text_enum(ListKind))
    district_path: Mapped[str]
    name: Mapped[str]
    building: Mapped[str] = mapped_column(server_default=text("''"))
    valid_from: Mapped[datetime]
    valid_to: Mapped[datetime | None]
    change_id: Mapped[UUID | None] = mapped_column(ForeignKey("grid_change.id"))


class GridNeighbour(Base):
    """Two grids that touch or nearly touch; kept both ways so that one look-up finds all."""

    __tablename__ = "grid_neighbour"

    grid_id: Mapped[UUID] = mapped_column(ForeignKey("grid.id"), primary_key=True)
    neighbour_id: Mapped[UUID] = mapped_column(ForeignKey("grid.id"), primary_key=True)
    distance_m: Mapped[float]


class GridMembership(Row, Base):
    """A technician looks after a grid from one day to another (local days, the last excluded).

    `weekdays` is a bit mask, Monday = 1 to Sunday = 64; `ratio` is the share of the technician's
    day, in percent, that this grid's orders may take. A primary is alone at any time, whatever the
    weekdays; that is a constraint here and not an `if` anywhere. One that ends on the day it begins
    was taken back.
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
        CheckConstraint("ratio BETWEEN 1 AND 100", name="ratio_in_percent"),
    )

    grid_id: Mapped[UUID] = mapped_column(ForeignKey("grid.id"))
    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    kind: Mapped[MembershipKind] = mapped_column(text_enum(MembershipKind))
    rank: Mapped[int] = mapped_column(server_default=text("1"))
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
    weekdays: Mapped[int] = mapped_column(server_default=text("127"))
    ratio: Mapped[int] = mapped_column(server_default=text("100"))


class GridContract(Row, Base):
    """How far a grid has grown, from one local day to another (`valid_to` excluded, null: open).

    Between its rows a grid has the stage none. A contract (片区承包) is held by a technician or a
    contractor; one whose holder is not known was there before holders were kept. `target_*` say
    what is to be reached by `target_on`. A row that ends on the day it begins was taken back.
    """

    __tablename__ = "grid_contract"
    __table_args__ = (
        ExcludeConstraint(
            ("grid_id", "="),
            (func.daterange(literal_column("valid_from"), literal_column("valid_to")), "&&"),
            name="ex_grid_contract_one_at_a_time",
            using="gist",
        ),
        CheckConstraint("valid_to IS NULL OR valid_to >= valid_from", name="dates_in_order"),
        CheckConstraint(
            "num_nonnulls(technician_id, contractor) <= (stage = 'contracted')::int",
            name="one_holder_of_a_contract",
        ),
    )

    grid_id: Mapped[UUID] = mapped_column(ForeignKey("grid.id"))
    stage: Mapped[GridStage] = mapped_column(text_enum(GridStage))
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
    technician_id: Mapped[UUID | None] = mapped_column(ForeignKey("technician.id"))
    contractor: Mapped[str | None]
    target_customers: Mapped[int | None]
    target_monthly_sales: Mapped[int | None]
    target_on: Mapped[date | None]
    note: Mapped[str] = mapped_column(server_default=text("''"))
    end_reason: Mapped[str | None]


class GridExpansion(Row, Base):
    """A figure of an org unit's road map: what is to be reached by the end of a local day."""

    __tablename__ = "grid_expansion"
    __table_args__ = (
        Index("uq_grid_expansion_figure", "org_unit_id", "figure", "due_on", unique=True),
    )

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    figure: Mapped[ExpansionFigure] = mapped_column(text_enum(ExpansionFigure))
    due_on: Mapped[date]
    target: Mapped[float]
