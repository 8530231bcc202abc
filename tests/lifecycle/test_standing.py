"""Where a customer stands, as other rooms read it."""

from datetime import timedelta

from app.core.db import new_id
from app.lifecycle import queries
from app.lifecycle.models import LifecycleRun
from app.lifecycle.rules import ChurnClass, Signal, Stage
from tests.make.customers import AS_OF, make_customer
from tests.make.lifecycle import make_lifecycle


async def test_what_is_known_is_read_in_the_houses_words(tx):
    customer = await make_customer(tx)
    assert await queries.of(tx, customer.id) is None
    await make_lifecycle(tx, customer, stage=Stage.DECLINE, tier=None, signals=[Signal.USAGE_DOWN])
    known = await queries.of(tx, customer.id)
    assert known is not None
    assert (known.stage, known.tier) == (Stage.DECLINE, None)
    assert (known.churn_class, known.signals) == (ChurnClass.LOW, [Signal.USAGE_DOWN])
    assert known.checked_at == known.computed_at == AS_OF


async def test_what_a_later_run_found_unchanged_is_as_new_as_that_run(tx):
    customer = await make_customer(tx)
    await make_lifecycle(tx, customer)
    later = AS_OF + timedelta(days=1)
    tx.add(LifecycleRun(id=new_id(), at=later, finished_at=later))
    await tx.flush()
    known = await queries.of(tx, customer.id)
    assert known is not None
    assert (known.computed_at, known.checked_at) == (AS_OF, later)
