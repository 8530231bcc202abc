"""Doorways for systems that speak TM Forum's language: TMF680, what is recommended to a customer.

They only read what was decided at a door. Whoever speaks to the customer of it asks for the contact
slot first, like every channel.
"""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, status
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.db import Read
from app.core.parameter_values import parameters_in_force
from app.suggestions.rules.limits import PARAMETERS
from app.tmf import queries
from app.tmf.queries import Recommended
from app.tmf.schemas import BASE, RecommendationIn, RecommendationOut

router = APIRouter(prefix=BASE, tags=["recommendations"])

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


@router.get("/{recommendation_id}", response_model_by_alias=True, operation_id="tmf680_one")
async def one(recommendation_id: UUID, system: System, read: Read) -> RecommendationOut:
    """Read a recommendation again, as it was decided."""
    found = await queries.recommendation(read, recommendation_id, system)
    return await _written(read, found, system)


async def _written(read: AsyncSession, found: Recommended, system: Caller) -> RecommendationOut:
    numbers = await parameters_in_force(read)
    hours = numbers.number(PARAMETERS["slot_hours"], found.at, system.org_path)
    return RecommendationOut.of(found, found.at + timedelta(hours=hours))
