"""Wire shapes of stages and contracts."""

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from pydantic import ConfigDict, Field

from app.core.http import Answer, Day, Input, Line, Name, Note
from app.core.paging import NextPage, Rows
from app.grids.rules import GridStage

Customers = Annotated[int, Field(ge=0, le=10_000_000)]
Retroactive = Annotated[bool, Field(description="Whether a day gone by is meant.")]

_EXAMPLE: dict[str, Any] = {
    "id": "01956f3a-7c00-7000-8000-00000000000c",
    "stage": "contracted",
    "valid_from": "2026-04-01",
    "valid_to": "2027-04-01",
    "contractor": "澄湖通达通信服务有限公司",
    "target_customers": 450,
    "target_monthly_sales": 12,
    "target_on": "2026-12-31",
}


class StageIn(Input):
    """A stage that a grid shall enter; the caller makes the id (UUIDv7)."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: UUID
    stage: GridStage
    valid_from: Annotated[Day, Field(description="The first local day on which it holds.")]
    valid_to: Annotated[
        Day | None,
        Field(description="The first day on which it no longer holds: the grid has no stage then."),
    ] = None
    technician_id: Annotated[
        UUID | None, Field(description="Who holds the contract; only if contracted.")
    ] = None
    contractor: Annotated[
        Name | None, Field(description="Or the contractor that holds it, as technicians have it.")
    ] = None
    target_customers: Annotated[
        Customers | None, Field(description="Customers to be served in the grid by target_on.")
    ] = None
    target_monthly_sales: Annotated[
        Customers | None, Field(description="Sales a month to be reached by target_on.")
    ] = None
    target_on: Day | None = None
    note: Annotated[Note, Field(description="Needed as the reason of a lower stage.")] = ""


class BeginIn(StageIn):
    """The same, and whether the past is meant to be changed."""

    retroactive: Retroactive = False


class GridStageIn(StageIn):
    """A stage and the grid that shall enter it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"grid_id": "01956f3a-7c00-7000-8000-00000000000d", **_EXAMPLE}]
        }
    )

    grid_id: UUID


class BeginManyIn(Input):
    """Many grids that enter stages, all of them or none."""

    contracts: Annotated[list[GridStageIn], Field(min_length=1, max_length=1000)]
    retroactive: Retroactive = False


class EndContractIn(Input):
    """When and why a stage ends with nothing after it."""

    valid_to: Annotated[Day, Field(description="The first day on which it no longer holds.")]
    reason: Annotated[Note, Field(min_length=1)]
    retroactive: Retroactive = False


class ContractOut(Answer):
    """A stage of a grid, and when it holds; ended on the day it begins, it was taken back."""

    id: UUID
    grid_id: UUID
    stage: GridStage
    valid_from: date
    valid_to: date | None
    technician_id: UUID | None
    contractor: Line | None
    target_customers: int | None
    target_monthly_sales: int | None
    target_on: date | None
    note: Note
    end_reason: Note | None


class ContractsOut(Answer):
    """What many grids have begun, in the order they were sent."""

    contracts: Annotated[list[ContractOut], Field(max_length=10_000)]


class NamedContractOut(ContractOut):
    """The same with what grid and holder are called."""

    grid_code: Line
    grid_name: Line
    technician_code: Line | None
    technician_name: Line | None


class ContractPage(Answer):
    """A page of stages, the latest begun first."""

    contracts: Rows[NamedContractOut]
    next_page_token: NextPage
