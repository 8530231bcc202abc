"""Setting the operator's numbers from a date on."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit, queries
from app.auth.rules import Caller, Retroactive, is_top
from app.core.db import database_of, new_id
from app.core.errors import NotFound
from app.core.parameter_values import ParameterValue, parameters_in_force
from app.core.parameters import Parameter


async def set_parameter(
    tx: AsyncSession,
    caller: Caller,
    name: str,
    *,
    org_unit_id: UUID | None,
    value: float,
    valid_from: datetime | None,
    retroactive: bool,
    now: datetime,
) -> ParameterValue:
    """Set a number from a moment on (now, if None) for an org unit's subtree, or for everybody.

    A value already set for that very moment is replaced. Raises NotFound for an unknown name or a
    unit outside the caller's subtree (everybody belongs to the top unit alone), Invalid outside the
    number's bounds or below one that it may not be below, and Retroactive for a moment that has
    passed unless it is meant.
    """
    parameter = Parameter.known.get(name)
    if parameter is None or (org_unit_id is None and not is_top(caller.org_path)):
        raise NotFound()
    unit = await queries.org_unit_within(tx, org_unit_id, caller) if org_unit_id else None
    since = valid_from or now
    if since < now and not retroactive:
        raise Retroactive(valid_from=since)
    place = (name, unit.path if unit else "", since)
    known = await parameters_in_force(tx)
    known.changed(*place, parameter.checked(value)).check_floors(*place)
    where = (
        (ParameterValue.name == place[0])
        & (ParameterValue.org_path == place[1])
        & (ParameterValue.valid_from == place[2])
    )
    before = await tx.scalar(select(ParameterValue.value).where(where).with_for_update())
    setting = insert(ParameterValue).values(
        id=new_id(),
        name=place[0],
        org_path=place[1],
        valid_from=place[2],
        value=value,
        set_by=caller.account_id,
    )
    setting = setting.on_conflict_do_update(
        index_elements=["name", "org_path", "valid_from"],
        set_={"value": setting.excluded.value, "set_by": setting.excluded.set_by},
    )
    row = (await tx.scalars(setting.returning(ParameterValue))).one()
    audit.note(
        tx,
        table="parameter_value",
        operation="update" if before is not None else "insert",
        ids=[row.id],
        values={name: [before, value]},
    )
    # This process sees the change at once, the others within seconds.
    database_of(tx).cache.pop("parameters", None)
    return row
