"""A log of suggestions whose truth is known: who decided what with which chance, and what came."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import Rows, new_id, put
from app.customers.models import Customer
from app.suggestions.models import PolicyModel
from app.suggestions.rules.model import Model, ModelKind, OfferModel, PolicyState
from tests.make.auth import make_org_unit
from tests.make.catalog import make_offering
from tests.make.customers import make_customer
from tests.make.technicians import make_technician
from tests.make.visits import make_assigned_order

# Both bring 100 yuan, and asking costs three; one is really taken by half of the customers, the
# other by one in twelve, while the experts think the same of both.
VALUE, COST = 10_000, 300
TRUTH = {"GOOD": 0.5, "POOR": 0.08}
EXPERT = 0.2


@dataclass
class Log:
    """What is written of a log: each decision is of a visit of its own, by one technician."""

    tx: AsyncSession
    technician_id: UUID
    work_order_id: UUID
    customers: list[Customer]
    offerings: dict[str, UUID] = field(default_factory=dict)
    chance: np.random.Generator = field(default_factory=lambda: np.random.default_rng(5))

    async def add_offering(self, code: str, **fields: Any) -> None:
        """Add one more offering."""
        offering = await make_offering(
            self.tx, code=code, expert_rate=EXPERT, margin_12m_fen=VALUE, **fields
        )
        self.offerings[code] = offering.id

    async def decide(
        self,
        count: int,
        at: datetime,
        *,
        version: str | None = "before",
        truth: dict[str, float] = TRUTH,
        predicted: dict[str, float] | None = None,
        over: timedelta = timedelta(hours=20),
        group: str = "policy",
        pitch: float = 1.0,
        held: frozenset[str] = frozenset(),
        visit_of: UUID | None = None,
        ahead: bool = False,
        reason: str = "price",
        lever: float = 1.0,
    ) -> list[UUID]:
        """Write decisions before `at`, each offer put first as often, and an answer to each.

        They are of visits of their own, unless one is named or they were taken ahead of it. What is
        `held` no gate let through, and campaigns make `lever` times as much of each offer. Gives
        the visits, or of what was taken ahead the decisions.
        """
        codes = list(truth)
        open_to = [code for code in codes if code not in held]
        visits: list[list[Any]] = []
        decided: list[list[Any]] = []
        candidates: list[list[Any]] = []
        answers: list[list[Any]] = []
        for number in range(count):
            customer = self.customers[number % len(self.customers)]
            then = at - over * (1 - number / count)
            visit, decision = None if ahead else visit_of or new_id(), new_id()
            if visit_of is None and not ahead:
                visits.append([visit, self.work_order_id, self.technician_id, then, then, then])
            first = open_to[int(self.chance.integers(len(open_to)))] if open_to else None
            facts = orjson.dumps({"tier": "AB"[number % 2], "stage": "climax"}).decode()
            decided.append(
                [decision, visit, self.work_order_id,
                 customer.id, self.technician_id, then, "rules-1", version, group, "personal",
                 then, facts, "print"]
            )  # fmt: skip
            for code in codes:
                chance = (predicted or {}).get(code, EXPERT)
                suggestion = new_id()
                rank = None if code in held else 1 if code == first else 2
                candidates.append(
                    [suggestion, decision, self.offerings[code], code, rank,
                     round(chance * VALUE * lever - COST), chance, VALUE, 1.0, lever,
                     None if code in held else 1 / len(open_to),
                     '{"contract_soon": 1.0}', "[]", "not_faster" if code in held else None]
                )  # fmt: skip
                if rank == 1:
                    said = "accepted" if self.chance.random() < truth[code] else "declined"
                    if self.chance.random() >= pitch:
                        said = "not_pitched"
                    answers.append(
                        [new_id(), suggestion, customer.id, self.technician_id, said,
                         said != "not_pitched", reason if said == "declined" else None, then, then]
                    )  # fmt: skip
        await put(
            self.tx,
            Rows(
                "visit",
                "id work_order_id technician_id travel_started_at restored_at ended_at",
                visits,
            ),
            Rows(
                "suggestion_decision",
                "id visit_id work_order_id customer_id technician_id at policy model_version group"
                " mode as_of facts fingerprint",
                decided,
            ),
            Rows(
                "suggestion",
                "id decision_id offering_id offering_code rank score_fen p_accept value_fen context"
                " lever propensity features reasons held_back",
                candidates,
            ),
            Rows(
                "suggestion_answer",
                "id suggestion_id customer_id technician_id answer pitched reason at device_at",
                answers,
            ),
        )
        return [row[0] if ahead else row[1] for row in decided]


async def make_log(tx: AsyncSession, *, now: datetime, customers: int = 4) -> Log:
    """Add two offerings, and whom and where it is about."""
    unit = await make_org_unit(tx)
    technician = await make_technician(tx, org_unit=unit)
    people = [await make_customer(tx, org_unit=unit) for _ in range(customers)]
    order = await make_assigned_order(tx, technician, people[0], now=now)
    log = Log(tx, technician.id, order.id, people)
    for code in TRUTH:
        await log.add_offering(code)
    return log


async def make_model(
    tx: AsyncSession,
    version: str,
    rates: dict[str, float],
    *,
    state: PolicyState = PolicyState.CANDIDATE,
    calibration_error: float = 0.01,
    trained_until: datetime | None = None,
    kind: ModelKind = ModelKind.ACCEPTANCE,
) -> PolicyModel:
    """Add a model that is sure of a rate for each offer, whoever it is made to."""
    names = ("contract_soon",)
    offers = {code: OfferModel.prior(rate, len(names)) for code, rate in rates.items()}
    row = PolicyModel(
        id=new_id(),
        version=version,
        kind=kind,
        state=state,
        document=Model(version, offers, names).document(),
        trained_until=trained_until,
        rows=0,
        figures={"tested": {"answers": 900, "calibration_error": calibration_error}},
    )
    tx.add(row)
    await tx.flush()
    return row
