"""What an operator sets: which gates hold, whom levers are for, and what campaigns weigh."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.rules import ValueLever
from app.core import dated
from app.core.db import database_of
from app.core.errors import Invalid, NotFound, SameIdOtherContent
from app.suggestions import queries
from app.suggestions.models import SuggestionCampaign, SuggestionGate, SuggestionLever
from app.suggestions.rules import HeldBack
from app.suggestions.rules.campaigns import CampaignCodeTaken, CampaignOver
from app.suggestions.rules.gating import KNOWN, may_be_switched

# Names the gates' versions among PostgreSQL's advisory locks.
_GATES_LOCK = 823_118


@dataclass(frozen=True)
class Switch:
    """That a gate holds or does not from a local day on, for an org unit's subtree."""

    id: UUID
    code: HeldBack
    org_path: str
    valid_from: date
    in_force: bool


async def switch_gate(
    tx: AsyncSession, switch: Switch, *, today: date | None, set_by: UUID | None
) -> SuggestionGate:
    """Set a gate from a local day on; the same id again is answered like the first time.

    A day before `today` is refused; without one it is loaded as it stands. Raises Invalid for a
    reason that is no gate, GateAbsolute for one that always holds, and SameIdOtherContent.
    """
    known = await tx.get(SuggestionGate, switch.id)
    if known is not None:
        if any(getattr(known, name) != value for name, value in vars(switch).items()):
            raise SameIdOtherContent(id=switch.id)
        return known
    errors = []
    if switch.code not in KNOWN:
        errors.append({"field": "code", "message": "is no gate"})
    if today is not None and switch.valid_from < today:
        errors.append({"field": "valid_from", "message": f"must not be before today, {today}"})
    if errors:
        raise Invalid(errors=errors)
    may_be_switched(switch.code, on=switch.in_force)
    await tx.execute(select(func.pg_advisory_xact_lock(_GATES_LOCK)))
    last = await tx.scalar(
        select(func.max(SuggestionGate.version)).where(
            SuggestionGate.code == switch.code, SuggestionGate.org_path == switch.org_path
        )
    )
    made = SuggestionGate(**vars(switch), version=(last or 0) + 1, set_by=set_by)
    tx.add(made)
    await tx.flush()
    queries.forget(database_of(tx))
    return made


@dataclass(frozen=True)
class LeverWanted:
    """Whom a lever is for; days are local, `valid_to` is the first without it (null: no end)."""

    id: UUID
    code: str
    lever: ValueLever
    org_path: str
    valid_from: date
    valid_to: date | None
    stages: list[str] | None
    manager_tiers: list[str]
    preferred_tiers: list[str]


async def set_lever(
    tx: AsyncSession, wanted: LeverWanted, *, today: date, set_by: UUID
) -> SuggestionLever:
    """Say whom a lever is for from a day on; the same id again is answered like the first time.

    It takes the place of what was said for its org unit before, until it ends. Raises Invalid,
    RuleCodeTaken, RuleDayTaken and SameIdOtherContent.
    """
    rule = await dated.set_rule(
        tx, SuggestionLever, vars(wanted), "lever", today=today, set_by=set_by
    )
    queries.forget(database_of(tx))
    return rule


async def end_lever(
    tx: AsyncSession,
    rule_id: UUID,
    *,
    org_path: str,
    valid_to: date,
    today: date,
    ended_by: UUID,
) -> SuggestionLever:
    """End a rule of a lever, or take it back before it begins. Raises what `dated.end` raises."""
    rule = await dated.end(
        tx,
        SuggestionLever,
        rule_id,
        org_path=org_path,
        valid_to=valid_to,
        today=today,
        ended_by=ended_by,
    )
    queries.forget(database_of(tx))
    return rule


@dataclass(frozen=True)
class Wanted:
    """A campaign as its owner wants it; days are local, `valid_to` is the first without it."""

    id: UUID
    code: str
    org_path: str
    lever: ValueLever | None
    offering_code: str | None
    factor: float
    valid_from: date
    valid_to: date
    owner: str


async def begin_campaign(
    tx: AsyncSession, wanted: Wanted, *, today: date, set_by: UUID
) -> SuggestionCampaign:
    """Set a campaign that begins today or later; the same id again is answered the same.

    Raises Invalid, CampaignCodeTaken and SameIdOtherContent.
    """
    known = await tx.get(SuggestionCampaign, wanted.id)
    if known is not None:
        # It may have been ended since.
        given = {**vars(wanted), "valid_to": known.valid_to}
        if any(getattr(known, name) != value for name, value in given.items()):
            raise SameIdOtherContent(id=wanted.id)
        return known
    errors = []
    if (wanted.lever is None) == (wanted.offering_code is None):
        errors.append({"field": "lever", "message": "name a lever or an offering, not both"})
    if wanted.valid_from < today:
        errors.append({"field": "valid_from", "message": f"must not be before today, {today}"})
    if wanted.valid_to <= wanted.valid_from:
        errors.append({"field": "valid_to", "message": "must follow valid_from"})
    if errors:
        raise Invalid(errors=errors)
    taken = select(SuggestionCampaign.id).where(SuggestionCampaign.code == wanted.code)
    if await tx.scalar(taken) is not None:
        raise CampaignCodeTaken(code=wanted.code)
    made = SuggestionCampaign(**vars(wanted), set_by=set_by)
    tx.add(made)
    await tx.flush()
    queries.forget(database_of(tx))
    return made


async def end_campaign(
    tx: AsyncSession,
    campaign_id: UUID,
    *,
    org_path: str,
    valid_to: date,
    today: date,
    ended_by: UUID,
) -> SuggestionCampaign:
    """End a campaign of an org unit's subtree on a day to come; the same day changes nothing.

    What it did stays in the log. Raises NotFound, Invalid for a day that is past or later than its
    own, and CampaignOver.
    """
    campaign = await tx.get(SuggestionCampaign, campaign_id, with_for_update=True)
    if campaign is None or not campaign.org_path.startswith(org_path):
        raise NotFound()
    if campaign.valid_to == valid_to:
        return campaign
    if campaign.valid_to <= today:
        raise CampaignOver(code=campaign.code, valid_to=campaign.valid_to)
    # One that has not begun is ended on its first day at the earliest, and so lasts a day at most.
    least = max(today, campaign.valid_from)
    if not least < valid_to <= campaign.valid_to:
        words = f"must lie after {least} and not after {campaign.valid_to}"
        raise Invalid(errors=[{"field": "valid_to", "message": words}])
    campaign.valid_to, campaign.ended_by = valid_to, ended_by
    await tx.flush()
    queries.forget(database_of(tx))
    return campaign
