"""The registry of models, their evaluations, steps and alarms."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Row, case, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from app.catalog.models import ProductOffering
from app.core.errors import NotFound
from app.policies.models import PolicyAlarm, PolicyEvaluation, PolicyStep
from app.policies.rules import EvaluationState, StepState
from app.suggestions.models import PolicyModel
from app.suggestions.rules.model import Model, ModelKind, PolicyState

_HEAD = select(PolicyModel).options(defer(PolicyModel.document))


async def page(
    session: AsyncSession,
    *,
    kind: ModelKind | None,
    state: PolicyState | None,
    after: UUID | None,
    size: int,
) -> Sequence[PolicyModel]:
    """List models without their documents, newest first: one more than `size` when there is one."""
    statement = _HEAD.order_by(PolicyModel.id.desc()).limit(size + 1)
    if kind:
        statement = statement.where(PolicyModel.kind == kind)
    if state:
        statement = statement.where(PolicyModel.state == state)
    if after:
        statement = statement.where(PolicyModel.id < after)
    return (await session.scalars(statement)).all()


async def by_version(session: AsyncSession, version: str) -> PolicyModel:
    """Find a model by its version. Raises NotFound."""
    found = await session.scalar(select(PolicyModel).where(PolicyModel.version == version))
    if found is None:
        raise NotFound()
    return found


async def for_step(tx: AsyncSession, version: str) -> PolicyModel:
    """Hold a model and all others of its kind, so that steps are taken one at a time.

    Raises NotFound.
    """
    wanted = await by_version(tx, version)
    held = await tx.scalars(
        select(PolicyModel)
        .where(PolicyModel.kind == wanted.kind)
        .where((PolicyModel.id == wanted.id) | PolicyModel.state.in_(_IN_USE))
        .order_by(PolicyModel.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return next(one for one in held if one.id == wanted.id)


_IN_USE = (PolicyState.SHADOW, PolicyState.CHALLENGER, PolicyState.LIVE)


async def standing(
    session: AsyncSession, kind: ModelKind, state: PolicyState
) -> Sequence[PolicyModel]:
    """List the models of a kind that stand somewhere."""
    return (
        await session.scalars(
            select(PolicyModel)
            .where(PolicyModel.kind == kind, PolicyModel.state == state)
            .order_by(PolicyModel.id)
        )
    ).all()


async def live(session: AsyncSession, kind: ModelKind = ModelKind.ACCEPTANCE) -> PolicyModel | None:
    """Find the model in force; None where the experts' rates decide."""
    return next(iter(await standing(session, kind, PolicyState.LIVE)), None)


def model_of(row: PolicyModel) -> Model:
    """Read a registered model."""
    return Model.of_document(row.version, row.document)


async def beginning_with(session: AsyncSession, beginning: str) -> int:
    """Count the versions that begin with some words."""
    found = await session.scalars(
        select(PolicyModel.id).where(PolicyModel.version.startswith(beginning, autoescape=True))
    )
    return len(found.all())


async def waiting_evaluation(session: AsyncSession, model_id: UUID) -> PolicyEvaluation | None:
    """Find the evaluation of a model that waits to be worked out."""
    return await session.scalar(
        select(PolicyEvaluation).where(
            PolicyEvaluation.model_id == model_id,
            PolicyEvaluation.state == EvaluationState.WAITING,
        )
    )


async def newest_evaluation(
    session: AsyncSession, model_id: UUID, since: datetime
) -> PolicyEvaluation | None:
    """Find the last evaluation of a model that was done after a moment."""
    return await session.scalar(
        select(PolicyEvaluation)
        .where(
            PolicyEvaluation.model_id == model_id,
            PolicyEvaluation.state == EvaluationState.DONE,
            PolicyEvaluation.asked_at > since,
        )
        .order_by(PolicyEvaluation.asked_at.desc())
        .limit(1)
    )


async def evaluations(
    session: AsyncSession, model_id: UUID, *, after: tuple[datetime, UUID] | None, size: int
) -> Sequence[PolicyEvaluation]:
    """List evaluations of a model, newest first: one more than `size` when there is one."""
    statement = (
        select(PolicyEvaluation)
        .where(PolicyEvaluation.model_id == model_id)
        .order_by(PolicyEvaluation.asked_at.desc(), PolicyEvaluation.id.desc())
        .limit(size + 1)
    )
    if after:
        statement = statement.where(tuple_(PolicyEvaluation.asked_at, PolicyEvaluation.id) < after)
    return (await session.scalars(statement)).all()


async def evaluation(session: AsyncSession, model_id: UUID, which: UUID) -> PolicyEvaluation:
    """Find an evaluation of a model. Raises NotFound."""
    found = await session.scalar(
        select(PolicyEvaluation).where(
            PolicyEvaluation.id == which, PolicyEvaluation.model_id == model_id
        )
    )
    if found is None:
        raise NotFound()
    return found


async def waiting_step(session: AsyncSession, model_id: UUID) -> PolicyStep | None:
    """Find the step of a model that waits for a second person."""
    return await session.scalar(
        select(PolicyStep).where(
            PolicyStep.model_id == model_id, PolicyStep.state == StepState.WAITING
        )
    )


async def steps(session: AsyncSession, model_id: UUID) -> Sequence[PolicyStep]:
    """List the latest steps of a model, newest first."""
    return (
        await session.scalars(
            select(PolicyStep)
            .where(PolicyStep.model_id == model_id)
            .order_by(PolicyStep.asked_at.desc(), PolicyStep.id.desc())
            .limit(50)
        )
    ).all()


async def in_force_since(session: AsyncSession) -> tuple[datetime | None, list[str]]:
    """Tell when people last let a model be live, and the versions that were live since then."""
    began = await session.scalar(
        select(func.max(func.coalesce(PolicyStep.agreed_at, PolicyStep.asked_at))).where(
            *_LET_LIVE, PolicyStep.asked_by.is_not(None)
        )
    )
    taken = (
        select(PolicyModel.version)
        .join(PolicyStep, PolicyStep.model_id == PolicyModel.id)
        .where(*_LET_LIVE)
    )
    if began is not None:
        taken = taken.where(func.coalesce(PolicyStep.agreed_at, PolicyStep.asked_at) >= began)
    return began, list(await session.scalars(taken))


_LET_LIVE = (PolicyStep.to_state == PolicyState.LIVE, PolicyStep.state == StepState.DONE)


async def open_alarm(session: AsyncSession) -> PolicyAlarm | None:
    """Find the alarm that has not ended; there is one at most."""
    return await session.scalar(select(PolicyAlarm).where(PolicyAlarm.ended_at.is_(None)).limit(1))


async def alarms(session: AsyncSession, size: int) -> Sequence[PolicyAlarm]:
    """List alarms, those that are open first, then the newest."""
    return (
        await session.scalars(
            select(PolicyAlarm)
            .order_by(
                case((PolicyAlarm.ended_at.is_(None), 0), else_=1),
                PolicyAlarm.at.desc(),
                PolicyAlarm.id.desc(),
            )
            .limit(size)
        )
    ).all()


async def unused(tx: AsyncSession, before: datetime) -> Sequence[PolicyModel]:
    """List candidates that nobody has taken up since a moment."""
    return (
        await tx.scalars(
            _HEAD.where(
                PolicyModel.state == PolicyState.CANDIDATE,
                PolicyModel.trained_until < before,
            )
        )
    ).all()


async def newest_candidate(session: AsyncSession) -> PolicyModel | None:
    """Find the candidate of the last night that brought one."""
    return await session.scalar(
        _HEAD.where(
            PolicyModel.kind == ModelKind.ACCEPTANCE, PolicyModel.state == PolicyState.CANDIDATE
        )
        .order_by(PolicyModel.id.desc())
        .limit(1)
    )


async def candidate_of(session: AsyncSession, until: datetime) -> PolicyModel | None:
    """Find the candidate that was learned from what came before a night's end (UTC)."""
    return await session.scalar(
        _HEAD.where(
            PolicyModel.kind == ModelKind.ACCEPTANCE,
            PolicyModel.state == PolicyState.CANDIDATE,
            PolicyModel.trained_until == until,
        )
        .order_by(PolicyModel.id.desc())
        .limit(1)
    )


async def experts(session: AsyncSession) -> dict[str, float]:
    """Return the expert's rate of every offering there ever was, by code: the newest version's."""
    return {code: rate for code, (rate, _) in (await offerings(session)).items()}


async def offerings(session: AsyncSession) -> dict[str, tuple[float, str]]:
    """Return the expert's rate and the category of every offering there ever was, by code, as the
    newest version has them."""
    found: Sequence[Row[str, float, str]] = (
        await session.execute(
            select(
                ProductOffering.code, ProductOffering.expert_rate, ProductOffering.category
            ).order_by(ProductOffering.valid_from)
        )
    ).all()
    return {row[0]: (row[1], row[2]) for row in found}
