"""Outages, the reports they are found among, and how many reports are usual where."""

from datetime import datetime
from uuid import UUID

from geoalchemy2 import Geometry
from geoalchemy2.elements import WKBElement
from sqlalchemy import ARRAY, Float, ForeignKey, Index, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, text_enum
from app.outages.rules import OutageCause, OutageState, PlaceKind, WhenOver


class Outage(Row, Base):
    """One outage of one place: proposed, decided on by a supervisor, and closed.

    Its orders are those whose `outage_id` it is; `parent_order_id` is the one that is worked on in
    their place. `place_key` is as in `rules.Place`. `ended_at` is when it was closed, dismissed,
    merged or lapsed; `quiet_until` is until when a dismissed place is not proposed again.
    `content_hash` stands for what was declared by hand, and `asked` for the last thing that was
    asked of it, so that the same again is answered alike.
    """

    __tablename__ = "outage"
    __table_args__ = (
        # Two who propose or declare the same place at once: the second one is refused here.
        Index(
            "uq_outage_open_place",
            "place_kind",
            "place_key",
            unique=True,
            postgresql_where=text("state IN ('proposed', 'confirmed')"),
        ),
        # Open ones come first, and each part the newest first: in one order of one index.
        Index("ix_outage_list", text("(ended_at IS NULL)"), "found_at", "id"),
        Index("ix_outage_open", "org_unit_id", postgresql_where=text("ended_at IS NULL")),
        Index(
            "ix_outage_quiet",
            "quiet_until",
            postgresql_where=text("quiet_until IS NOT NULL"),
        ),
        Index(
            "ix_outage_parent",
            "parent_order_id",
            postgresql_where=text("parent_order_id IS NOT NULL"),
        ),
    )

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    place_kind: Mapped[PlaceKind] = mapped_column(text_enum(PlaceKind))
    place_key: Mapped[str]
    name: Mapped[str]
    state: Mapped[OutageState] = mapped_column(text_enum(OutageState))
    since: Mapped[datetime]
    found_at: Mapped[datetime]
    last_report_at: Mapped[datetime]
    surprise: Mapped[float | None] = mapped_column(Float())
    point: Mapped[WKBElement | None] = mapped_column(
        Geometry("POINT", srid=4326, spatial_index=False)
    )
    cause: Mapped[OutageCause | None] = mapped_column(text_enum(OutageCause))
    note: Mapped[str | None]
    when_over: Mapped[WhenOver] = mapped_column(text_enum(WhenOver), server_default=text("'test'"))
    expected_end: Mapped[datetime | None]
    confirmed_at: Mapped[datetime | None]
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    restored_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    quiet_until: Mapped[datetime | None]
    parent_order_id: Mapped[UUID | None] = mapped_column(ForeignKey("work_order.id"))
    merged_into_id: Mapped[UUID | None] = mapped_column(ForeignKey("outage.id"))
    content_hash: Mapped[str | None]
    asked: Mapped[str | None]
    version: Mapped[int] = mapped_column(server_default=text("1"))

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class FaultReport(Base):
    """A repair as outages see it: when it was reported, by whom, and in which places it lies.

    It is written soon after the order's intake, once, and kept for the weeks that are learned from.
    `usual` is false for those an outage explains, from which nothing is to be learned of an
    ordinary week. `judged` says that it has been looked at; `apart_from` are outages from which a
    supervisor has set it apart.
    """

    __tablename__ = "fault_report"
    __table_args__ = (
        Index("ix_fault_report_district", "district_path", "at"),
        Index("ix_fault_report_received", "received_at"),
        Index("ix_fault_report_new", "district_path", postgresql_where=text("NOT judged")),
    )

    work_order_id: Mapped[UUID] = mapped_column(ForeignKey("work_order.id"), primary_key=True)
    at: Mapped[datetime]
    received_at: Mapped[datetime]
    who: Mapped[UUID]
    district_path: Mapped[str]
    grid_id: Mapped[UUID | None]
    locality: Mapped[str | None]
    port: Mapped[str | None]
    usual: Mapped[bool] = mapped_column(server_default=text("true"))
    judged: Mapped[bool] = mapped_column(server_default=text("false"))
    apart_from: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid), server_default=text("'{}'"))


class OutageRate(Base):
    """How many reports a place has in a week, learned at night: a gamma distribution (see
    `rules.Rate`)."""

    __tablename__ = "outage_rate"

    place_kind: Mapped[PlaceKind] = mapped_column(text_enum(PlaceKind), primary_key=True)
    place_key: Mapped[str] = mapped_column(primary_key=True)
    reports: Mapped[float] = mapped_column(Float())
    weeks: Mapped[float] = mapped_column(Float())


class OutageRhythm(Base):
    """How a district's reports spread over the hours of a week (mean 1), how many it has in a week
    and how many places are watched in it; learned at night."""

    __tablename__ = "outage_rhythm"

    district_path: Mapped[str] = mapped_column(primary_key=True)
    hours: Mapped[list[float]] = mapped_column(ARRAY(Float))
    a_week: Mapped[float] = mapped_column(Float())
    places: Mapped[int]
