"""Rules that an operator sets from a local day on: known by a code, not rewritten, only ended."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import ForeignKey, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Row
from app.core.errors import Conflict, Invalid, NotFound, SameIdOtherContent
from app.core.i18n import Words


class RuleCodeTaken(Conflict):
    slug = "rule-code-taken"
    title = Words(zh="该规则编码已被使用", en="Another rule has this code")
    advice = Words(
        zh="编码 {code} 已有规则；生效的规则不改写，请换一个编码。",
        en="A rule is not rewritten: give this one another code than {code}.",
    )


class RuleDayTaken(Conflict):
    slug = "rule-day-taken"
    title = Words(zh="当天已有另一条规则开始", en="Another rule of the same begins on that day")
    advice = Words(
        zh="自 {valid_from} 起已由 {code} 规定；请先撤回它，或另选一天。",
        en="{code} says it from {valid_from} on: take it back before, or choose another day.",
    )


class RuleOver(Conflict):
    slug = "rule-over"
    title = Words(zh="该规则已结束", en="This rule is over")
    advice = Words(
        zh="{code} 已于 {valid_to} 结束，不能再改。",
        en="{code} ended on {valid_to} and is not changed any more.",
    )


class DatedRule(Row):
    """A rule for an org unit's subtree, from a local day to another (the first without it; null is
    without end).

    One that ends on the day on which it was to begin was taken back before, and never counts.
    `set_by` and `ended_by` are the accounts that did, null where a file did.
    """

    code: Mapped[str] = mapped_column(unique=True)
    org_path: Mapped[str] = mapped_column(server_default=text("''"))
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
    set_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    ended_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))


Rule = TypeVar("Rule", bound=DatedRule)

_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended('rules:' || :table, 0))")


async def set_before(
    tx: AsyncSession, table: type[Rule], given: Mapping[str, Any], *, today: date
) -> Rule | None:
    """Find the rule that was set under this id before, or check that it can be set; None then.

    Whoever asks has the table's rules to themselves until the transaction ends. `today` is the
    local day of the org unit: what was is not rewritten. Raises SameIdOtherContent, Invalid for
    days that are past or in no order, and RuleCodeTaken.
    """
    await tx.execute(_ONE_AT_A_TIME, {"table": table.__name__})
    known = await tx.get(table, given["id"])
    if known is not None:
        # It may have been ended since.
        said = {**given, "valid_to": known.valid_to} if known.ended_by else given
        if any(getattr(known, name) != value for name, value in said.items()):
            raise SameIdOtherContent(id=given["id"])
        return known
    errors = []
    if given["valid_from"] < today:
        errors.append({"field": "valid_from", "message": f"must not be before today, {today}"})
    if given["valid_to"] is not None and given["valid_to"] <= given["valid_from"]:
        errors.append({"field": "valid_to", "message": "must follow valid_from"})
    if errors:
        raise Invalid(errors=errors)
    if await tx.scalar(select(table.id).where(table.code == given["code"])) is not None:
        raise RuleCodeTaken(code=given["code"])
    return None


async def first_of_day(
    tx: AsyncSession, table: type[Rule], given: Mapping[str, Any], *about: str
) -> None:
    """Check that no other rule of an org unit begins on the same day and is about the same, told by
    these columns: the later of two counts, and of these neither is. Raises RuleDayTaken."""
    same = ("org_path", "valid_from", *about)
    other = await tx.scalar(
        select(table.code).where(
            *(getattr(table, name) == given[name] for name in same),
            or_(table.valid_to.is_(None), table.valid_to > table.valid_from),
        )
    )
    if other is not None:
        raise RuleDayTaken(code=other, **{name: given[name] for name in same})


async def set_rule(
    tx: AsyncSession,
    table: type[Rule],
    given: Mapping[str, Any],
    *about: str,
    today: date,
    set_by: UUID,
) -> Rule:
    """Set a rule, of which an org unit has one that begins on a day about the same, told by these
    columns; the same id again is answered like the first time.

    Raises what `set_before` and `first_of_day` raise.
    """
    known = await set_before(tx, table, given, today=today)
    if known is not None:
        return known
    await first_of_day(tx, table, given, *about)
    made = table(**{**given, "set_by": set_by})
    tx.add(made)
    await tx.flush()
    return made


async def end(
    tx: AsyncSession,
    table: type[Rule],
    rule_id: UUID,
    *,
    org_path: str,
    valid_to: date,
    today: date,
    ended_by: UUID,
) -> Rule:
    """End a rule of an org unit's subtree on a day to come; the same day again changes nothing.

    What has not begun may end on the day it was to begin: then it never counts. Raises NotFound,
    RuleOver, and Invalid for a day that has begun or is later than its own.
    """
    rule = await tx.get(table, rule_id, with_for_update=True)
    if rule is None or not rule.org_path.startswith(org_path):
        raise NotFound()
    if rule.valid_to == valid_to:
        return rule
    if rule.valid_to is not None and rule.valid_to <= max(today, rule.valid_from):
        raise RuleOver(code=rule.code, valid_to=rule.valid_to)
    earliest = max(today + timedelta(days=1), rule.valid_from)
    if valid_to < earliest or (rule.valid_to is not None and valid_to > rule.valid_to):
        until = "" if rule.valid_to is None else f" nor after {rule.valid_to}"
        words = f"must not lie before {earliest}{until}"
        raise Invalid(errors=[{"field": "valid_to", "message": words}])
    rule.valid_to, rule.ended_by = valid_to, ended_by
    await tx.flush()
    return rule
