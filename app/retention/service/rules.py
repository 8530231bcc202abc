"""What changes the rules of care: one more from a local day on, or the end of one."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import dated
from app.core.db import database_of
from app.retention.models import CareRule
from app.retention.queries.warnings import forget_care_rules
from app.retention.rules import Handling
from app.retention.rules.warnings import CarePlaceTaken


@dataclass(frozen=True)
class CareWanted:
    """A rule as `rules.warnings.CareRule` has it; days are local."""

    id: UUID
    code: str
    org_path: str
    valid_from: date
    valid_to: date | None
    place: int
    causes: list[str]
    tiers: list[str]
    churn_classes: list[str]
    hidden: bool
    handling: Handling
    priority: int


async def set_care_rule(
    tx: AsyncSession, wanted: CareWanted, *, today: date, set_by: UUID
) -> CareRule:
    """Add a rule of care from a day on; the same id again is answered like the first time.

    Raises Invalid, RuleCodeTaken, CarePlaceTaken for days on which another rule of the org unit has
    its place, and SameIdOtherContent.
    """
    known = await dated.set_before(tx, CareRule, vars(wanted), today=today)
    if known is not None:
        return known
    other = await tx.scalar(
        select(CareRule)
        .where(
            CareRule.org_path == wanted.org_path,
            CareRule.place == wanted.place,
            or_(
                CareRule.valid_to.is_(None),
                (CareRule.valid_to > wanted.valid_from) & (CareRule.valid_to > CareRule.valid_from),
            ),
            true() if wanted.valid_to is None else CareRule.valid_from < wanted.valid_to,
        )
        .order_by(CareRule.valid_from)
        .limit(1)
    )
    if other is not None:
        raise CarePlaceTaken(
            code=other.code,
            org_path=other.org_path,
            place=other.place,
            valid_from=other.valid_from,
            valid_to=other.valid_to,
        )
    made = CareRule(**vars(wanted), set_by=set_by)
    tx.add(made)
    await tx.flush()
    forget_care_rules(database_of(tx))
    return made


async def end_care_rule(
    tx: AsyncSession,
    rule_id: UUID,
    *,
    org_path: str,
    valid_to: date,
    today: date,
    ended_by: UUID,
) -> CareRule:
    """End a rule of care, or take it back before it begins. Raises what `dated.end` raises.

    Cases that it has made stay.
    """
    rule = await dated.end(
        tx,
        CareRule,
        rule_id,
        org_path=org_path,
        valid_to=valid_to,
        today=today,
        ended_by=ended_by,
    )
    forget_care_rules(database_of(tx))
    return rule
