"""The demo begins with a model that draws and learns, and says so."""

import io

from rich.console import Console
from sqlalchemy import func, select

from app.demo.learning import begin_with_experts
from app.policies.queries import registry
from app.suggestions.models import PolicyModel
from app.suggestions.rules.model import PolicyState


async def test_the_experts_model_is_put_in_force_once_and_told_apart(database, tx, clock):
    told = io.StringIO()
    console = Console(file=told, width=1000)
    for _ in range(2):
        await begin_with_experts(database, clock.now(), console)
    live = await registry.live(tx)
    assert live is not None
    assert (live.version, live.promoted_by) == ("experts", None)
    assert registry.model_of(live).version == "experts"
    assert await tx.scalar(select(func.count()).select_from(PolicyModel)) == 1
    assert told.getvalue().count("the demo put it in force") == 2
    # Who has taken it out in the meantime is not overruled.
    live.state = PolicyState.RETIRED
    await tx.flush()
    await begin_with_experts(database, clock.now(), console)
    assert "no model is live" in told.getvalue()
