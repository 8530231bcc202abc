"""Two at once: a code is good for one sale, and two workers take care of a customer once."""

import asyncio

from sqlalchemy import func, select

from app.auth.keys import KeyRing
from app.auth.rules import Role
from app.core.db import new_id
from app.core.errors import Problem
from app.retention.models import RetentionCase
from app.retention.rules import ToolkitKind
from app.retention.rules.terms import Asked
from app.retention.rules.toolkits import Terms
from app.retention.service import redeem
from app.retention.service.terms import ask
from app.retention.service.warnings import act
from tests.make.auth import caller_for, make_account, make_org_unit
from tests.make.customers import make_customer
from tests.make.lifecycle import make_lifecycle
from tests.make.races import until_waiting
from tests.make.retention import make_care_rule, make_toolkit, make_warning


async def test_of_two_at_once_one_has_it(real_database, tmp_path, clock):
    now, keys = clock.now(), KeyRing.load(tmp_path / "keys")
    async with real_database.begin() as tx:
        branch = await make_org_unit(tx)
        account = await make_account(tx, branch, role=Role.SUPERVISOR)
        caller = caller_for(Role.SUPERVISOR, branch, account_id=account.id)
        customer = await make_customer(tx, org_unit=branch)
        await make_lifecycle(tx, customer, stage="decline", churn_class="high")
        await make_warning(tx, customer, at=now)
        await make_care_rule(tx, handling="call")
        await make_toolkit(tx)
        asked = Asked(new_id(), customer.id, ToolkitKind.RETENTION, "RENEW-24", Terms(20, 6), "why")
        await ask(tx, asked, caller, keys, now=now)

    async def sell():
        async with real_database.begin() as tx:
            await redeem(tx, [asked.id], sale_id=new_id(), now=now)

    async def work():
        async with real_database.begin() as tx:
            return await act(tx, branch.id, now=now)

    for attempt in (sell, work):
        async with asyncio.TaskGroup() as group, real_database.begin() as first:
            if attempt is sell:
                await redeem(first, [asked.id], sale_id=new_id(), now=now)
            else:
                assert [case.arm for case in await act(first, branch.id, now=now)]
            second = group.create_task(_outcome(attempt()))
            await until_waiting(real_database)
        assert second.result() == ("approval-code-used" if attempt is sell else [])
    async with real_database.read() as read:
        assert await read.scalar(select(func.count()).select_from(RetentionCase)) == 1


async def _outcome(attempt):
    try:
        return await attempt
    except Problem as refused:
        return refused.slug
