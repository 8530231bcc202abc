"""What changes the rules of whom to ask: one more from a local day on, or the end of one."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core import dated
from app.core.db import database_of
from app.followups import queries
from app.followups.models import FollowUpRule
from app.followups.rules import FollowUpChannel
from app.worktypes.rules import WorkType


@dataclass(frozen=True)
class RuleWanted:
    """A rule as `rules.Rule` has it; days are local."""

    id: UUID
    code: str
    org_path: str
    work_type: WorkType
    valid_from: date
    valid_to: date | None
    channel: FollowUpChannel
    share_percent: float
    delay_hours: float
    valid_days: int
    quiet_days: int
    spares_do_not_disturb: bool


async def set_rule(
    tx: AsyncSession, wanted: RuleWanted, *, today: date, set_by: UUID
) -> FollowUpRule:
    """Say about which orders of a type customers are asked from a day on; the same id again is
    answered like the first time.

    It takes the place of what was said for its org unit before, until it ends. Raises Invalid,
    RuleCodeTaken, RuleDayTaken and SameIdOtherContent.
    """
    rule = await dated.set_rule(
        tx, FollowUpRule, vars(wanted), "work_type", today=today, set_by=set_by
    )
    queries.forget_rules(database_of(tx))
    return rule


async def end_rule(
    tx: AsyncSession,
    rule_id: UUID,
    *,
    org_path: str,
    valid_to: date,
    today: date,
    ended_by: UUID,
) -> FollowUpRule:
    """End a rule, or take it back before it begins. Raises what `dated.end` raises.

    Follow-ups that it has made stay.
    """
    rule = await dated.end(
        tx,
        FollowUpRule,
        rule_id,
        org_path=org_path,
        valid_to=valid_to,
        today=today,
        ended_by=ended_by,
    )
    queries.forget_rules(database_of(tx))
    return rule
