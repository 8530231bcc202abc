"""Wire shapes of grids' lists of addresses."""

import hashlib
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

import orjson
from pydantic import ConfigDict, Field, StringConstraints, model_validator

from app.core.http import Answer, Input, Line, Note
from app.core.paging import NextPage, Rows
from app.grids.models import GridChange
from app.grids.rules import ListKind, unspaced
from app.territory.rules.listing import ListWanted, lines

MOST_LINES = 5_000

Words = Annotated[str, StringConstraints(min_length=1, max_length=300)]


class LineIn(Input):
    """A line of a list: a compound, a building of one, or how standard addresses begin."""

    kind: ListKind
    name: Words = Field(
        description="The compound as addresses have it (`locality`), or the beginning of standard "
        "addresses, which must not end inside a number. Blanks do not count."
    )
    building: Annotated[Words | None, Field(description="Of a building; else null.")] = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.kind is ListKind.BUILDING) != bool(unspaced(self.building)):
            raise ValueError("a building says which it is, the other kinds say none")
        if self.kind is ListKind.PREFIX and len(unspaced(self.name)) < 2:
            raise ValueError("so short a beginning would take whole provinces")
        if not unspaced(self.name):
            raise ValueError("name: say more than blanks")
        return self


class ListIn(Input):
    """A grid's list as it shall be, in place of the one it has."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01956f3a-7c00-7000-8000-00000000000c",
                    "version": 3,
                    "reason": "碧波园三期交付",
                    "lines": [
                        {"kind": "compound", "name": "碧波园"},
                        {"kind": "building", "name": "海棠里", "building": "7栋"},
                        {"kind": "prefix", "name": "澄湖市南浦区碧波路18号"},
                    ],
                }
            ]
        }
    )

    id: UUID = Field(description="Of this change; you make it (UUIDv7), sent again it is the same.")
    version: Annotated[
        int, Field(ge=1, le=2**31 - 1, description="The grid's, as you saw it with its list.")
    ]
    reason: Annotated[Note, StringConstraints(min_length=1)]
    lines: Annotated[list[LineIn], Field(max_length=MOST_LINES)]

    def wanted(self, grid_id: UUID) -> ListWanted:
        """Say it as the service takes it."""
        kept = lines((line.kind, line.name, line.building) for line in self.lines)
        content = [str(grid_id), self.version, self.reason, [list(line) for line in sorted(kept)]]
        return ListWanted(
            change_id=self.id,
            grid_id=grid_id,
            version=self.version,
            lines=kept,
            reason=self.reason,
            content_hash=hashlib.sha256(orjson.dumps(content)).hexdigest(),
        )


class ListChangeOut(Answer):
    """What became of a list."""

    id: UUID
    grid_id: UUID
    at: datetime
    added: int
    removed: int
    kept: int
    addresses: int = Field(
        description="Customers' addresses that the lines which came or went name; their grids are "
        "found anew at once after this answer, and those of open orders."
    )

    @classmethod
    def of(cls, change: GridChange) -> Self:
        """Shape a change of kind `list`."""
        return cls(
            id=change.id,
            grid_id=change.grid_ids[0],
            at=change.at,
            addresses=change.addresses,
            **change.told,
        )


class LineOut(Answer):
    """A line of a list, as it is kept: without blanks."""

    kind: ListKind
    name: Line
    building: Line | None
    valid_from: datetime
    valid_to: datetime | None


class ListPage(Answer):
    """A page of a grid's list, by kind and name, and the grid's version to change it by."""

    version: int
    lines: Rows[LineOut]
    next_page_token: NextPage


class DisagreeingGridOut(Answer):
    """A grid whose list has addresses that lie elsewhere by their points."""

    grid_id: UUID
    grid_code: Line
    grid_name: Line
    addresses: int
    undrawn: int = Field(description="Of these, how many lie in no grid's boundary.")


class DisagreeingGrids(Answer):
    """A page of grids by code."""

    grids: Rows[DisagreeingGridOut]
    next_page_token: NextPage


class DisagreeingBuildingOut(Answer):
    """Addresses of a building that a grid lists while their points lie elsewhere."""

    place: Note = Field(description="Compound and building; nobody's unit or room.")
    drawn_grid_id: UUID | None = Field(description="Null where no grid of yours is drawn there.")
    drawn_grid_code: Line | None
    addresses: int


class DisagreeingBuildings(Answer):
    """A page of buildings by name."""

    buildings: Rows[DisagreeingBuildingOut]
    next_page_token: NextPage
