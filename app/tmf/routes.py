"""Doorways for systems that speak TM Forum's language: TMF680, what is recommended to a customer.

They only read what was decided at a door. Whoever speaks to the customer of it asks for the contact
slot first, like every channel.
"""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Response, status
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.db import Read
from app.core.doorways import Router
from app.core.parameter_values import parameters_in_force
from app.suggestions.rules.limits import PARAMETERS
from app.tmf import queries
from app.tmf.queries import Recommended
from app.tmf.schemas import BASE, RecommendationIn, RecommendationOut

Recommendations = Annotated[list[RecommendationOut], Field(max_length=100)]

router = Router(prefix=BASE, tags=["recommendations"])

System = Annotated[Caller, Depends(caller(Role.INTEGRATION, scope="contacts:read"))]


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    response_model_by_alias=True,
    operation_id="tmf680_create",
)
async def create(body: RecommendationIn, system: System, read: Read) -> RecommendationOut:
    """Ask what is recommended for a customer: the newest decision, by TMF680 v4."""
    found = await queries.newest_recommendation(read, body.related_party.id, system)
    return await _written(read, found, system)


@router.get("", response_model_by_alias=True, operation_id="tmf680_list")
async def several(
    system: System,
    read: Read,
    response: Response,
    customer_id: Annotated[
        UUID | None,
        Query(alias="relatedParty.id", description="Only those for one customer, by our id."),
    ] = None,
    offset: Annotated[int, Query(ge=0, le=10_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Recommendations:
    """List what was recommended in visits to customers of the caller's units, the newest first.

    TM Forum has a list at the top level, and how many are in it in a header.
    """
    found = await queries.recommendations(
        read, system, customer_id=customer_id, size=limit, offset=offset
    )
    response.headers["X-Result-Count"] = str(len(found))
    return [await _written(read, each, system) for each in found]


@router.get("/{recommendation_id}", response_model_by_alias=True, operation_id="tmf680_one")
async def one(recommendation_id: UUID, system: System, read: Read) -> RecommendationOut:
    """Read a recommendation again, as it was decided."""
    found = await queries.recommendation(read, recommendation_id, system)
    return await _written(read, found, system)


async def _written(read: AsyncSession, found: Recommended, system: Caller) -> RecommendationOut:
    until = found.valid_until
    if until is None:
        numbers = await parameters_in_force(read)
        hours = numbers.number(PARAMETERS["slot_hours"], found.at, system.org_path)
        until = found.at + timedelta(hours=hours)
    return RecommendationOut.of(found, until)
