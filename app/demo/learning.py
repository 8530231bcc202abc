"""The demo begins with a model in force, so that whoever is new sees decisions that learn."""

from datetime import datetime

from rich.console import Console

from app.auth import audit
from app.core.db import Database
from app.policies.queries import registry
from app.policies.service.learning import EXPERTS
from app.suggestions.models import PolicyModel
from app.suggestions.rules.model import Model, ModelKind, PolicyState


async def begin_with_experts(database: Database, now: datetime, console: Console) -> None:
    """Put the experts' model in force where the registry has none yet, and say what decides.

    A real house plays by rules until two administrators promote a model, after checks over a log
    that a day of demo cannot have. This one step past them is the demo's, and nobody's elsewhere.
    """
    async with database.begin() as tx:
        audit.acting(tx, "demo.begin_with_experts")
        if not await registry.beginning_with(tx, EXPERTS):
            tx.add(
                PolicyModel(
                    version=EXPERTS,
                    kind=ModelKind.ACCEPTANCE,
                    state=PolicyState.LIVE,
                    document=Model.cold(EXPERTS).document(),
                    rows=0,
                    figures={"put_in_force_by": "demo"},
                    promoted_at=now,
                )
            )
        await tx.flush()
        live = await registry.live(tx)
    if live is None:
        console.print("what to offer is decided by rules and the experts' rates; no model is live")
        return
    by = "the demo put it in force" if live.promoted_by is None else "promoted by administrators"
    console.print(
        f"what to offer is decided by the model '{live.version}', which draws and learns ({by};"
        " elsewhere rules decide until two administrators have promoted one). A few customers are"
        " offered nothing, or anything allowed, so that it can be told what offers bring."
    )
