"""How groups of customers fare: added up by the day, told by the month, small ones masked."""

from datetime import date, timedelta

import pytest
from sqlalchemy import delete

from app.core.nights import Night
from app.core.parameter_values import ParameterValue
from app.policies.rules.fairness import Fared, shown
from app.policies.rules.promotion import GroupKind
from app.policies.service import adding_up
from tests.conftest import MONDAY_NINE
from tests.make.policies import make_log

LAST_NIGHT = MONDAY_NINE - timedelta(hours=6)
FEBRUARY, MARCH = date(2026, 2, 1), date(2026, 3, 1)
TIER, STAGE = GroupKind.TIER, GroupKind.STAGE


@pytest.mark.parametrize(
    "sizes, masked",
    [
        ({"A": 30, "B": 20}, set()),
        ({"A": 30, "B": 20, "C": 19}, {"B", "C"}),  # one alone could be worked out
        ({"A": 30, "B": 25, "C": 5, "D": 3}, {"C", "D"}),
        ({"A": 19}, {"A"}),
        ({}, set()),
    ],
)
def test_small_groups_are_masked_and_cannot_be_worked_out(sizes, masked):
    def rows(month, kind):
        return [Fared(month, kind, name, size, 1, 1, 1, 0) for name, size in sizes.items()]

    found = shown([*rows(MARCH, STAGE), *rows(FEBRUARY, TIER), *rows(MARCH, TIER)], 20)
    for month, kind in ((MARCH, STAGE), (FEBRUARY, TIER), (MARCH, TIER)):
        here = [one for one in found if (one.month, one.kind) == (month, kind)]
        assert [one.group for one in here] == sorted(sizes)
        assert {one.group for one in here if one.fared is None} == masked


async def test_how_groups_fared_in_a_month(tx, as_admin, province):
    log = await make_log(tx, now=MONDAY_NINE)
    for number, customer in enumerate(log.customers):
        customer.org_unit_id = province.id
        customer.elderly = number == 0
    yes, no = {"GOOD": 1.0}, {"GOOD": 0.0}
    # Each decision is of a visit for the one order of the log, so a day is one visit a customer.
    for days, truth, group in ((5, yes, "policy"), (4, no, "uniform"), (3, yes, "holdout")):
        at = LAST_NIGHT - timedelta(days=days)
        await log.decide(4, at, truth=truth, over=timedelta(hours=2), group=group)
    await log.decide(4, LAST_NIGHT - timedelta(days=8), truth=yes, pitch=0.0)
    tx.add(ParameterValue(name="policies.group_shown_least", valid_from=LAST_NIGHT, value=4))
    await tx.flush()
    for _ in range(2):
        assert await adding_up.add_up(tx, LAST_NIGHT, MONDAY_NINE)
        await tx.execute(delete(Night))
    await tx.commit()
    told = await as_admin("GET", "/groups?from=2026-02-14")
    assert (told["since"], told["until"], told["least"]) == ("2026-02-01", "2026-02-28", 4)
    groups = {(one["kind"], one["group"]): one for one in told["groups"]}
    assert {month for one in told["groups"] if (month := one["month"])} == {"2026-02-01"}
    counts = ("visits", "offered", "pitched", "accepted", "cancelled")
    # Twelve visits without those of the comparison, whose answers the log has all the same.
    assert [groups["stage", "climax"][name] for name in counts] == [12, 12, 12, 8, 0]
    assert [groups["segment", "household"][name] for name in counts] == [12, 12, 12, 8, 0]
    assert [groups["tier", "A"][name] for name in counts] == [6, 6, 6, 4, 0]
    # Three visits of the elderly are too few, and the others would tell of them.
    assert groups["elderly", "yes"]["visits"] is groups["elderly", "no"]["visits"] is None
    march = await as_admin("GET", "/groups?from=2026-03-01")
    assert march["groups"] == []
    await as_admin("GET", "/groups?from=2025-01-01&until=2026-03-01", status=422)
    await as_admin("GET", "/groups?from=2026-03-01&until=2026-02-01", status=422)
