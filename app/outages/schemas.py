"""Wire shapes of outages. Moments carry their zone; addresses leave reduced to the building."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field, StringConstraints

from app.core.geo import CoordSys, PointOut
from app.core.http import Answer, Input, Moment, Note
from app.core.i18n import Words
from app.outages.rules import CAUSE_WORDS, OutageCause, OutageState, PlaceKind, WhenOver, said
from app.workorders.rules import State, UnplacedReason, masked_address

MOST_ORDERS = 500
Key = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Version = Annotated[
    int, Field(ge=1, le=2**31 - 1, description="As you have seen it; another is refused.")
]
Text = Annotated[str, StringConstraints(max_length=2000)]


class OutageWordsOut(Answer):
    """The same in Chinese and in English."""

    zh: Text
    en: Text

    @classmethod
    def of(cls, words: Words) -> Self:
        """Shape words."""
        return cls(zh=words.zh, en=words.en)


class PlaceOut(Answer):
    """The place that has failed."""

    kind: PlaceKind
    key: str = Field(
        max_length=300, description="A port's or OLT's code, a compound's name, or a grid's id."
    )
    name: str = Field(max_length=300)
    words: OutageWordsOut


class OutageOut(Answer):
    """An outage: many homes of one place that report at once, worked on as one order."""

    id: UUID
    org_unit_id: UUID
    place: PlaceOut
    state: OutageState
    since: datetime = Field(description="Of the first report, or as somebody has declared it.")
    found_at: datetime
    last_report_at: datetime
    surprise: float | None = Field(
        description="How surprising so many reports are by the place's own usual rate: 6 is one in "
        "a million. Null where somebody has declared it."
    )
    point: PointOut | None = Field(description="A door in the middle of it.")
    orders: int = Field(ge=0, description="All orders that belong to it.")
    held: int = Field(ge=0, description="Those of them that wait for its end.")
    under_way: int = Field(ge=0, description="Those of them at whose door somebody is, or will be.")
    completed: int = Field(ge=0)
    cause: OutageCause | None = Field(description="Null until it is confirmed.")
    cause_words: OutageWordsOut | None
    expected_end: datetime | None
    when_over: WhenOver
    note: Text | None
    confirmed_at: datetime | None
    decided_by: UUID | None = Field(description="The account that has confirmed or dismissed it.")
    restored_at: datetime | None
    ended_at: datetime | None = Field(description="Null while it is open.")
    quiet_until: datetime | None = Field(description="Until then the place is not proposed again.")
    parent_order_id: UUID | None = Field(description="The order that is worked on in their place.")
    merged_into_id: UUID | None
    version: int = Field(ge=1, le=2**31 - 1)

    @classmethod
    def of(cls, row: Any, coordsys: CoordSys) -> Self:
        """Shape a row of `listing.one` or `listing.page`; the point in the system asked for."""
        fields = dict(row._mapping)
        kind, key = fields.pop("place_kind"), fields.pop("place_key")
        lon, lat, name = fields.pop("lon"), fields.pop("lat"), fields.pop("name")
        fields["place"] = PlaceOut(
            kind=kind,
            key=key.rpartition("|")[2],
            name=name,
            words=OutageWordsOut.of(said(kind, name)),
        )
        fields["point"] = None if lon is None else PointOut.of(lon, lat, coordsys)
        cause = fields["cause"]
        fields["cause_words"] = OutageWordsOut.of(CAUSE_WORDS[cause]) if cause else None
        return cls(**fields)


class OutageOrderOut(Answer):
    """An order of an outage; the address is reduced to the building."""

    id: UUID
    source: str = Field(max_length=64)
    external_id: str = Field(max_length=128)
    state: State
    unplaced_reason: UnplacedReason | None
    priority: int = Field(ge=1, le=4)
    address: str = Field(max_length=501)
    locality: str | None = Field(max_length=200)
    grid_id: UUID | None
    point: PointOut | None
    holder_id: UUID | None = Field(description="Who goes on with it, if it was begun.")
    reported_at: datetime
    due_at: datetime | None
    outcome_code: str | None = Field(max_length=64)
    version: int = Field(ge=1, le=2**31 - 1)


class OutageDetailOut(OutageOut):
    """An outage with its orders, as they were reported."""

    homes: int = Field(ge=0, description="Whose lines come from there, as far as known.")
    children: list[OutageOrderOut] = Field(
        max_length=MOST_ORDERS, description="The first 500; `orders` counts all."
    )

    @classmethod
    def with_children(
        cls, row: Any, children: Sequence[Any], homes: int, coordsys: CoordSys
    ) -> Self:
        """Shape an outage and rows of `listing.children`."""
        listed = []
        for child in children:
            fields = dict(child._mapping)
            lon, lat = fields.pop("lon"), fields.pop("lat")
            fields["point"] = None if lon is None else PointOut.of(lon, lat, coordsys)
            fields["address"] = masked_address(fields["address"])
            listed.append(OutageOrderOut(**fields))
        whole = OutageOut.of(row, coordsys)
        return cls(**dict(whole), homes=homes, children=listed)


class OutagePage(Answer):
    """Some outages: open ones first, the newest first."""

    outages: list[OutageOut] = Field(max_length=200)
    next_page_token: str | None = Field(max_length=400)


class ConfirmedIn(Input):
    """What a supervisor says of an outage."""

    cause: OutageCause
    expected_end: Moment | None = None
    when_over: Annotated[
        WhenOver,
        Field(
            description="What becomes of its orders: `test` tests each line that is known, closes "
            "those that work and places the others; `close` closes all; `place` places all."
        ),
    ] = WhenOver.TEST
    note: Note | None = None


class ConfirmIn(ConfirmedIn):
    """A proposal is an outage."""

    version: Version


class DeclareIn(ConfirmedIn):
    """An outage that somebody knows of without reports."""

    id: Annotated[UUID, Field(description="A UUIDv7 of your own making.")]
    kind: PlaceKind
    key: Annotated[
        Key,
        Field(description="A port's or OLT's code, a compound's name, or a grid's id."),
    ]
    since: Annotated[
        Moment | None, Field(description="Reports since then belong to it; left out means now.")
    ] = None


class AmendIn(Input):
    """What is corrected of a confirmed outage; what is left out stays."""

    version: Version
    cause: OutageCause | None = None
    expected_end: Moment | None = None
    when_over: WhenOver | None = None
    note: Note | None = None


class DismissIn(Input):
    """A proposal is no outage."""

    version: Version
    note: Note | None = None


class OrdersIn(Input):
    """Orders that come to an outage, or leave it."""

    version: Version
    order_ids: Annotated[list[UUID], Field(min_length=1, max_length=MOST_ORDERS)]


class CloseIn(Input):
    """An outage is over."""

    version: Version
    when_over: Annotated[
        WhenOver | None, Field(description="Left out means as it was confirmed.")
    ] = None
    restored_at: Annotated[
        Moment | None, Field(description="Since when it works again; left out means now.")
    ] = None
    note: Note | None = None
