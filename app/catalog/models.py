"""Product offerings by dated versions: a price change is a new row, never an edit."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, Text, func, literal_column, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.catalog.rules import BusinessType
from app.core.db import Base, Row, text_enum


class ProductOffering(Row, Base):
    """One version of an offering, valid from one local day to another (the last excluded).

    `requires` names what a customer must hold, all of it, and `excludes` what none may hold: codes
    of offerings, categories, or kinds of terminals that are at their home. `least_usage_gb` is the
    monthly usage from which on somebody has a use for it, `most_usage_gb` the usage up to which it
    is enough; null is any. `prepaid` is paid for before it is used, so that it is not sold on
    credit. Margin and prices are in fen; `expert_rate` is the guessed share of those who accept.
    """

    __tablename__ = "product_offering"
    __table_args__ = (
        ExcludeConstraint(
            ("code", "="),
            (func.daterange(literal_column("valid_from"), literal_column("valid_to")), "&&"),
            name="ex_product_offering_one_version_at_a_time",
            using="gist",
        ),
        CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="dates_in_order"),
        CheckConstraint("monthly_price_fen >= 0 AND one_off_price_fen >= 0", name="prices"),
    )

    code: Mapped[str]
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
    name_zh: Mapped[str]
    name_en: Mapped[str]
    category: Mapped[str]
    business_type: Mapped[BusinessType] = mapped_column(text_enum(BusinessType))
    monthly_price_fen: Mapped[int]
    one_off_price_fen: Mapped[int] = mapped_column(server_default=text("0"))
    contract_months: Mapped[int] = mapped_column(server_default=text("0"))
    speed_mbps: Mapped[int | None]
    requires: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    excludes: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    least_usage_gb: Mapped[int | None]
    most_usage_gb: Mapped[int | None]
    prepaid: Mapped[bool] = mapped_column(server_default=text("false"))
    terminal_kind: Mapped[str | None]
    skill: Mapped[str | None]
    install_minutes: Mapped[int | None]
    commission_fen: Mapped[int] = mapped_column(server_default=text("0"))
    margin_12m_fen: Mapped[int] = mapped_column(server_default=text("0"))
    expert_rate: Mapped[float] = mapped_column(server_default=text("0.1"))
    levers: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    may_hurt: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    talk_track_zh: Mapped[str]
    talk_track_en: Mapped[str]


class CatalogueMark(Base):
    """One row whose mark is new after every change of the catalogue; caches and ETags go by it.

    A random mark and not a count: a count that was rolled back would come again with other content.
    """

    __tablename__ = "catalogue_mark"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    mark: Mapped[UUID]
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now())
