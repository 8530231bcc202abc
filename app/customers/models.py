"""Customers, their service addresses, subscriptions and contacts."""

from datetime import date, datetime
from uuid import UUID

from geoalchemy2 import Geometry
from geoalchemy2.elements import WKBElement
from sqlalchemy import ForeignKey, Index, Text, literal_column, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.auth.models import VALUES_AUDITED
from app.core.db import Base, Row, text_enum
from app.customers.rules import Channel, ConsentProof, ConsentState, InteractionKind, Segment


class Customer(Row, Base):
    """A household or business; name and telephone are personal data and leave masked by default.

    What null means is always "not known". `as_of` says when the CRM held it to be so. `value_tier`
    is the operator's own word for how much the customer is worth to it.
    `do_not_disturb_since` is when the switch was last moved here, on or off; null is "never, it
    stands as the CRM gave it". `personal_offers` false means that this customer is offered what
    everybody is offered: nothing that is known of them may rank it. Its `_since` is alike. Either
    has a `_said_at`: when the customer was last heard on it, also when that moved nothing.
    `disconnected_on` is the first day without service after they last left altogether, and stays
    when they come back. `blacklisted` is the CRM's word on bad debts, `competitor` whose line is
    known to be there.
    `channels_allowed` and `channels_refused` are what the ledger of consents comes to, kept here
    so that whoever is about to speak to a customer sees it in the row they read anyway.
    `elderly` and `protected`, the CRM's word on who may be talked into things, ask for a second
    confirmation of what is sold and may decide nothing else.
    `erased_at` is when everything personal was taken out of the row; its code is then a hash of
    what it was, by which a file that names the customer again is known.
    """

    __tablename__ = "customer"

    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"), index=True)
    code: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    phone: Mapped[str]
    segment: Mapped[Segment] = mapped_column(text_enum(Segment))
    value_tier: Mapped[str | None]
    activated_on: Mapped[date | None]
    do_not_disturb: Mapped[bool] = mapped_column(server_default=text("false"), info=VALUES_AUDITED)
    do_not_disturb_since: Mapped[datetime | None]
    do_not_disturb_said_at: Mapped[datetime | None]
    personal_offers: Mapped[bool] = mapped_column(server_default=text("true"), info=VALUES_AUDITED)
    personal_offers_since: Mapped[datetime | None]
    personal_offers_said_at: Mapped[datetime | None]
    channels_allowed: Mapped[list[str]] = mapped_column(
        ARRAY(Text), server_default=text("'{}'"), info=VALUES_AUDITED
    )
    channels_refused: Mapped[list[str]] = mapped_column(
        ARRAY(Text), server_default=text("'{}'"), info=VALUES_AUDITED
    )
    elderly: Mapped[bool] = mapped_column(server_default=text("false"))
    protected: Mapped[bool] = mapped_column(server_default=text("false"))
    preferred_channel: Mapped[Channel | None] = mapped_column(text_enum(Channel))
    arrears_fen: Mapped[int | None]
    monthly_usage_gb: Mapped[int | None]
    disconnected_on: Mapped[date | None]
    blacklisted: Mapped[bool | None]
    competitor: Mapped[str | None]
    erased_at: Mapped[datetime | None]
    as_of: Mapped[datetime]
    version: Mapped[int] = mapped_column(server_default=text("1"))

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class ServiceAddress(Row, Base):
    """Where a customer is served, and what the line there can do (point in WGS-84).

    `checked_at` says when the network held `olt_port`, `port_free` and `max_speed_mbps` to be so.
    """

    __tablename__ = "service_address"
    __table_args__ = (
        Index("ix_service_address_point", "point", postgresql_using="gist"),
        # A grid's list names compounds and beginnings of standard addresses, without blanks.
        Index(
            "ix_service_address_standard",
            literal_column("replace(standard_address, ' ', '')").label("standard"),
            postgresql_ops={"standard": "text_pattern_ops"},
        ),
        Index("ix_service_address_compound", text("replace(locality, ' ', '')")),
        # Who is behind a port, or behind an OLT, whose code its ports' begin with.
        Index(
            "ix_service_address_port",
            "olt_port",
            postgresql_ops={"olt_port": "text_pattern_ops"},
            postgresql_where=text("olt_port IS NOT NULL"),
        ),
    )

    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customer.id"), index=True)
    code: Mapped[str] = mapped_column(unique=True)
    standard_address: Mapped[str]
    locality: Mapped[str]
    building: Mapped[str | None]
    room: Mapped[str | None]
    point: Mapped[WKBElement | None] = mapped_column(
        Geometry("POINT", srid=4326, spatial_index=False)
    )
    olt_port: Mapped[str | None]
    port_free: Mapped[bool | None]
    max_speed_mbps: Mapped[int | None]
    checked_at: Mapped[datetime | None]


class AddressToLocate(Base):
    """An address whose grid has to be found anew: it is new, it has moved, or the map changed.

    Whoever finds the grid takes the row away in the same transaction. `grid_change_id` is the
    latest change of the map that asks for it. A queue has no foreign keys, since checking each of
    a million costs two fifths of queueing them; a row whose address is gone is simply taken.
    """

    __tablename__ = "address_to_locate"
    __table_args__ = (
        Index(
            "ix_address_to_locate_change",
            "grid_change_id",
            postgresql_where=text("grid_change_id IS NOT NULL"),
        ),
    )

    service_address_id: Mapped[UUID] = mapped_column(primary_key=True)
    grid_change_id: Mapped[UUID | None]


class Subscription(Row, Base):
    """A service a customer holds; `ended_on` null means it runs, else the last day is excluded.

    `offering_code` may be of an offering that the catalogue no longer has, or never had.
    """

    __tablename__ = "subscription"

    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customer.id"), index=True)
    service_address_id: Mapped[UUID | None] = mapped_column(ForeignKey("service_address.id"))
    service_number: Mapped[str] = mapped_column(unique=True)
    offering_code: Mapped[str]
    category: Mapped[str]
    monthly_price_fen: Mapped[int]
    speed_mbps: Mapped[int | None]
    started_on: Mapped[date]
    contract_ends_on: Mapped[date | None]
    ended_on: Mapped[date | None]
    as_of: Mapped[datetime]


class CustomerMonth(Base):
    """What a customer paid, used and owed in one calendar month; `month` is its first day.

    Null and a month without a row are "not known", which is not nothing. `income_fen` is all income
    of the month, `new_service_income_fen` the part of it that new services brought, and
    `arrears_fen` what was owed at its end.
    """

    __tablename__ = "customer_month"

    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customer.id"), primary_key=True)
    month: Mapped[date] = mapped_column(primary_key=True)
    income_fen: Mapped[int | None]
    new_service_income_fen: Mapped[int | None]
    usage_gb: Mapped[int | None]
    arrears_fen: Mapped[int | None]
    as_of: Mapped[datetime]


class ContactConsent(Row, Base):
    """What a customer once said of being offered things on some channels; append-only.

    `said_at` is when they said it, at most when it arrived (`created_at`). `reference` says where
    the proof lies: the number of a recording, of a message, of a signed sheet.
    """

    __tablename__ = "contact_consent"
    __table_args__ = (
        Index("ix_contact_consent_customer", "customer_id", "said_at"),
        # How old a row is says this, and not the id, which a phone has made.
        Index("ix_contact_consent_swept", "created_at", "id"),
    )

    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customer.id"))
    channels: Mapped[list[str]] = mapped_column(ARRAY(Text))
    state: Mapped[ConsentState] = mapped_column(text_enum(ConsentState))
    proof: Mapped[ConsentProof | None] = mapped_column(text_enum(ConsentProof))
    reference: Mapped[str | None]
    said_at: Mapped[datetime]
    device_at: Mapped[datetime | None]
    account_id: Mapped[UUID | None]


class Interaction(Row, Base):
    """One contact with a customer on any channel; append-only but for outcome and closing.

    `external_id` is what the CRM calls it; null was written here. `offering_code` is the offering
    that was spoken of on another channel than a visit's suggestions, and `later_on` the local day
    on which the customer wants to hear of it again; null was not said.
    """

    __tablename__ = "interaction"
    __table_args__ = (
        Index("ix_interaction_customer", "customer_id", "at"),
        # Of these phones have made some ids, which therefore do not say how old they are.
        Index(
            "ix_interaction_swept",
            "created_at",
            "id",
            postgresql_where=text("external_id IS NULL"),
        ),
        # What speaks of trouble, which is little beside all contacts, is read off the index alone.
        Index(
            "ix_interaction_trouble",
            "customer_id",
            "at",
            "kind",
            postgresql_where=text("kind IN ('complaint', 'fault', 'cancellation')"),
        ),
    )

    external_id: Mapped[str | None] = mapped_column(unique=True)
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customer.id"))
    at: Mapped[datetime]
    channel: Mapped[Channel] = mapped_column(text_enum(Channel))
    kind: Mapped[InteractionKind] = mapped_column(text_enum(InteractionKind))
    subject: Mapped[str]
    outcome: Mapped[str | None]
    offering_code: Mapped[str | None]
    later_on: Mapped[date | None]
    closed_at: Mapped[datetime | None]
    technician_id: Mapped[UUID | None] = mapped_column(ForeignKey("technician.id"))
    work_order_id: Mapped[UUID | None]
