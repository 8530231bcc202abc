"""How a grid grows: which stage may follow which, who holds a contract, and what is refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from app.auth.rules import Retroactive
from app.core.errors import Conflict, Invalid
from app.core.i18n import Words
from app.grids.rules import GridStage

# The stages in which a grid counts as covered.
COVERED = frozenset({GridStage.COVERED, GridStage.CONTRACTED})


class Move(StrEnum):
    """What beginning a stage means to a grid."""

    ADVANCE = "advance"
    RENEW = "renew"
    FALL_BACK = "fall_back"


# From the stage of the day before to the one that begins. Steps may be skipped: a grid that is
# taken over from elsewhere can be covered on its first day.
MOVES: dict[tuple[GridStage, GridStage], Move] = {
    (GridStage.NONE, GridStage.PILOT): Move.ADVANCE,
    (GridStage.NONE, GridStage.COVERED): Move.ADVANCE,
    (GridStage.NONE, GridStage.CONTRACTED): Move.ADVANCE,
    (GridStage.PILOT, GridStage.COVERED): Move.ADVANCE,
    (GridStage.PILOT, GridStage.CONTRACTED): Move.ADVANCE,
    (GridStage.COVERED, GridStage.CONTRACTED): Move.ADVANCE,
    # The same stage anew: another holder, other targets, the next year's contract.
    (GridStage.PILOT, GridStage.PILOT): Move.RENEW,
    (GridStage.COVERED, GridStage.COVERED): Move.RENEW,
    (GridStage.CONTRACTED, GridStage.CONTRACTED): Move.RENEW,
    # Falling back happens, and whoever lets it happen says why.
    (GridStage.CONTRACTED, GridStage.COVERED): Move.FALL_BACK,
    (GridStage.CONTRACTED, GridStage.PILOT): Move.FALL_BACK,
    (GridStage.CONTRACTED, GridStage.NONE): Move.FALL_BACK,
    (GridStage.COVERED, GridStage.PILOT): Move.FALL_BACK,
    (GridStage.COVERED, GridStage.NONE): Move.FALL_BACK,
    (GridStage.PILOT, GridStage.NONE): Move.FALL_BACK,
    # None after none is missing: nothing would begin.
}


# --- refusals -------------------------------------------------------------------------------------


class NothingBegins(Conflict):
    """A grid without a stage cannot lose it."""

    slug = "no-stage-to-leave"
    title: ClassVar[Words] = Words(zh="该网格尚无阶段", en="This grid has no stage yet")
    advice: ClassVar[Words] = Words(
        zh="{valid_from} 前一天网格没有任何阶段，无需再改为无。",
        en="On the day before {valid_from} it had none; there is nothing to end.",
    )


class FallingBackNeedsReason(Invalid):
    """A lower stage begins only with a word on why."""

    slug = "falling-back-needs-reason"
    title: ClassVar[Words] = Words(zh="阶段回退须说明原因", en="Say why the grid falls back")
    advice: ClassVar[Words] = Words(
        zh="该网格将由 {stage_before} 回退到 {stage}，请在 note 中写明原因。",
        en="It would fall back from {stage_before} to {stage}; write the reason into note.",
    )


class ContractNeedsHolder(Invalid):
    """A contract is held by one technician or one contractor; no other stage is held."""

    slug = "contract-needs-holder"
    title: ClassVar[Words] = Words(zh="承包须有一个承包方", en="A contract has one holder")
    advice: ClassVar[Words] = Words(
        zh="阶段为 contracted 时，technician_id 与 contractor 须且只须填写一个；其他阶段不填。",
        en="For the stage contracted give technician_id or contractor, one of them; for any other "
        "stage neither.",
    )


class HolderInactive(Conflict):
    """Who has left holds no new contract."""

    slug = "holder-inactive"
    title: ClassVar[Words] = Words(zh="承包人已停用", en="The holder does not work here any more")
    advice: ClassVar[Words] = Words(
        zh="装维人员 {technician_id} 已停用，请选择在岗人员。",
        en="Technician {technician_id} is inactive; choose one who works here.",
    )


class ContractorUnknown(Invalid):
    """No technician works for a contractor of that name, so it is most likely misspelt."""

    slug = "contractor-unknown"
    title: ClassVar[Words] = Words(zh="没有这个代维单位", en="There is no such contractor")
    advice: ClassVar[Words] = Words(
        zh="没有在岗人员属于代维单位「{contractor}」；已知的有：{known}。",
        en="No active technician works for {contractor}; known are: {known}.",
    )


class StagePlannedLater(Conflict):
    """What begins without an end would run into what is planned already."""

    slug = "stage-planned-later"
    title: ClassVar[Words] = Words(zh="该网格之后已有安排", en="A later stage is planned already")
    advice: ClassVar[Words] = Words(
        zh="{planned_from} 起已安排 {planned_stage}：请让新阶段不晚于该日结束（valid_to），"
        "或先撤销该安排。",
        en="{planned_stage} is planned from {planned_from}: let the new stage end by then "
        "(valid_to), or take that back first.",
    )


class ContractsRefused(Conflict):
    """Some of many cannot begin, so none did."""

    slug = "contracts-refused"
    title: ClassVar[Words] = Words(
        zh="有网格无法进入新阶段，未做任何改动", en="Some stages cannot begin; none did"
    )
    advice: ClassVar[Words] = Words(
        zh="有 {refused} 条无法执行，原因见 facts.lines；请修改后整批重新提交。",
        en="{refused} cannot, as facts.lines tells; mend them and send all again.",
    )


# --- beginning and ending -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """A stage that shall begin: local days, `valid_to` excluded; see `GridContract`."""

    id: UUID
    grid_id: UUID
    stage: GridStage
    valid_from: date
    valid_to: date | None = None
    technician_id: UUID | None = None
    contractor: str | None = None
    target_customers: int | None = None
    target_monthly_sales: int | None = None
    target_on: date | None = None
    note: str = ""


@dataclass(slots=True)
class Span:
    """A row of a grid's contracts, as far as its days and stage go."""

    id: UUID
    stage: GridStage
    valid_from: date
    valid_to: date | None

    def holds_on(self, day: date) -> bool:
        """Tell whether it is in force on a local day."""
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)

    @property
    def taken_back(self) -> bool:
        """Tell whether it never was in force."""
        return self.valid_from == self.valid_to


def check(terms: Terms) -> None:
    """Check what can be told from the terms alone. Raises Invalid and ContractNeedsHolder."""
    errors = []
    if terms.valid_to is not None and terms.valid_to <= terms.valid_from:
        errors.append({"field": "valid_to", "message": "must lie after valid_from"})
    targets = (terms.target_customers, terms.target_monthly_sales)
    if (terms.target_on is None) != all(target is None for target in targets):
        errors.append({"field": "target_on", "message": "targets and their day go together"})
    if terms.target_on is not None and terms.target_on < terms.valid_from:
        errors.append({"field": "target_on", "message": "must not lie before valid_from"})
    if errors:
        raise Invalid(errors=errors)
    holders = (terms.technician_id is not None) + (terms.contractor is not None)
    if holders != (terms.stage is GridStage.CONTRACTED):
        raise ContractNeedsHolder(
            stage=terms.stage, technician_id=terms.technician_id, contractor=terms.contractor
        )


def begin(
    terms: Terms, held: Sequence[Span], *, today: date, retroactive: bool = False
) -> Span | None:
    """Decide that a stage may begin, and return the row that its first day ends, if any.

    `held` are the rows of the grid, `today` is its org unit's local day. What was to begin on
    that very day is ended there too: it never holds. Raises Retroactive for a day gone by unless
    it is meant, StagePlannedLater, NothingBegins and FallingBackNeedsReason.
    """
    first = terms.valid_from
    if first < today and not retroactive:
        raise Retroactive(valid_from=first)
    later = min(
        (span for span in held if span.valid_from > first and not span.taken_back),
        key=lambda span: span.valid_from,
        default=None,
    )
    if later is not None and (terms.valid_to is None or terms.valid_to > later.valid_from):
        raise StagePlannedLater(
            contract_id=later.id, planned_stage=later.stage, planned_from=later.valid_from
        )
    before = stage_on(held, first - timedelta(days=1))
    move = MOVES.get((before, terms.stage))
    if move is None:
        raise NothingBegins(valid_from=first)
    if move is Move.FALL_BACK and not terms.note:
        raise FallingBackNeedsReason(stage_before=before, stage=terms.stage)
    return next((span for span in held if span.holds_on(first)), None)


def stage_on(held: Sequence[Span], day: date) -> GridStage:
    """Give the stage of a grid on a local day."""
    return next((span.stage for span in held if span.holds_on(day)), GridStage.NONE)


def end(span: Span, last_excluded: date, *, today: date, retroactive: bool) -> None:
    """Decide that a row may end on a local day, the first on which it no longer holds.

    An end comes nearer and is not put off: something may begin after it. Raises Invalid, and
    Retroactive for a day gone by unless it is meant.
    """
    if last_excluded < span.valid_from or (
        span.valid_to is not None and last_excluded > span.valid_to
    ):
        until = f" and not after {span.valid_to}" if span.valid_to else ""
        message = f"must not lie before {span.valid_from}{until}"
        raise Invalid(errors=[{"field": "valid_to", "message": message}])
    if last_excluded < today and not retroactive:
        raise Retroactive(valid_from=last_excluded)
