"""What a phone asks for when it pulls, and what it is told."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from app.core.http import Answer, Input, Line
from app.sync.rules import Migration
from app.sync.rules.live import MOST_NAMED
from app.sync.rules.tables import NO_MIGRATION
from app.sync.schemas.rows import (
    PhoneAction,
    PhoneCustomer,
    PhoneDay,
    PhoneGrid,
    PhoneHandover,
    PhoneOffering,
    PhoneOrder,
    PhonePhoto,
    PhoneSale,
    PhoneShift,
    PhoneSuggestion,
    PhoneTerminal,
    PhoneVisit,
)

TableName = Annotated[str, Field(min_length=1, max_length=64)]


class ColumnsIn(Input):
    """Columns that were added to a table."""

    table: TableName
    columns: Annotated[list[TableName], Field(max_length=200)]


class MigrationIn(Input):
    """What an app's new version has added to its tables, as WatermelonDB says it."""

    model_config = ConfigDict(extra="ignore")

    from_: Annotated[int, Field(ge=0, le=100_000, alias="from")] = 0
    tables: Annotated[list[TableName], Field(max_length=100)] = Field(default_factory=list)
    columns: Annotated[list[ColumnsIn], Field(max_length=100)] = Field(default_factory=list)

    @staticmethod
    def read(told: "MigrationIn | None") -> Migration:
        """Give it as the service takes it."""
        if told is None:
            return NO_MIGRATION
        return Migration(frozenset(told.tables), frozenset(one.table for one in told.columns))


Ids = Annotated[list[Annotated[str, Field(max_length=40)]], Field(max_length=20_000)]
Nothing = Annotated[list[Any], Field(max_length=0)]


class PhoneOrderChanges(Answer):
    """Changes of `work_orders`."""

    created: Nothing
    updated: Annotated[list[PhoneOrder], Field(max_length=20_000)]
    deleted: Ids


class PhoneVisitChanges(Answer):
    """Changes of `visits`."""

    created: Nothing
    updated: Annotated[list[PhoneVisit], Field(max_length=20_000)]
    deleted: Ids


class PhoneCustomerChanges(Answer):
    """Changes of `customers`."""

    created: Nothing
    updated: Annotated[list[PhoneCustomer], Field(max_length=20_000)]
    deleted: Ids


class PhoneSuggestionChanges(Answer):
    """Changes of `suggestions`."""

    created: Nothing
    updated: Annotated[list[PhoneSuggestion], Field(max_length=20_000)]
    deleted: Ids


class PhoneOfferingChanges(Answer):
    """Changes of `offerings`."""

    created: Nothing
    updated: Annotated[list[PhoneOffering], Field(max_length=20_000)]
    deleted: Ids


class PhoneGridChanges(Answer):
    """Changes of `grids`."""

    created: Nothing
    updated: Annotated[list[PhoneGrid], Field(max_length=20_000)]
    deleted: Ids


class PhoneTerminalChanges(Answer):
    """Changes of `terminals`."""

    created: Nothing
    updated: Annotated[list[PhoneTerminal], Field(max_length=20_000)]
    deleted: Ids


class PhoneActionChanges(Answer):
    """Changes of `actions`."""

    created: Nothing
    updated: Annotated[list[PhoneAction], Field(max_length=20_000)]
    deleted: Ids


class PhonePhotoChanges(Answer):
    """Changes of `photos`."""

    created: Nothing
    updated: Annotated[list[PhonePhoto], Field(max_length=20_000)]
    deleted: Ids


class PhoneSaleChanges(Answer):
    """Changes of `sales`."""

    created: Nothing
    updated: Annotated[list[PhoneSale], Field(max_length=20_000)]
    deleted: Ids


class PhoneDayChanges(Answer):
    """Changes of `days`."""

    created: Nothing
    updated: Annotated[list[PhoneDay], Field(max_length=20_000)]
    deleted: Ids


class PhoneHandoverChanges(Answer):
    """Changes of `handovers`."""

    created: Nothing
    updated: Annotated[list[PhoneHandover], Field(max_length=20_000)]
    deleted: Ids


class PhoneShiftChanges(Answer):
    """Changes of `shifts`."""

    created: Nothing
    updated: Annotated[list[PhoneShift], Field(max_length=20_000)]
    deleted: Ids


class PhoneChangesOut(Answer):
    """Changes by table; a table in which nothing has changed is left out."""

    work_orders: PhoneOrderChanges | None = None
    visits: PhoneVisitChanges | None = None
    customers: PhoneCustomerChanges | None = None
    suggestions: PhoneSuggestionChanges | None = None
    offerings: PhoneOfferingChanges | None = None
    grids: PhoneGridChanges | None = None
    terminals: PhoneTerminalChanges | None = None
    actions: PhoneActionChanges | None = None
    photos: PhonePhotoChanges | None = None
    sales: PhoneSaleChanges | None = None
    days: PhoneDayChanges | None = None
    handovers: PhoneHandoverChanges | None = None
    shifts: PhoneShiftChanges | None = None


class PullOut(Answer):
    """What has changed, and the cursor to come back with."""

    changes: PhoneChangesOut
    timestamp: Annotated[int, Field(ge=0, lt=2**53)] = Field(
        description="The next `last_pulled_at`: a number to keep, and no time."
    )
    has_more: bool = Field(description="Whether to ask again at once.")
    schema_version: int = Field(description="The newest version of the tables.")
    offline_hours: float = Field(
        description="For so long the phone may show what it keeps without reaching the server."
    )


class StreamedOut(Answer):
    """The data of an event `changed` of the stream."""

    tables: Annotated[list[TableName], Field(max_length=20)] = Field(
        description="In which tables something may have changed."
    )
    ids: dict[str, Annotated[list[Line], Field(max_length=MOST_NAMED)]] = Field(
        description="Which rows, by table; empty where they are many."
    )
