"""What a month's customers brought: the target market kept, what is left over, what is new."""

from datetime import UTC, date, datetime, timedelta

from app.catalog.rules import BusinessType
from app.core.db import new_id
from app.customers.models import CustomerMonth
from app.customers.rules import Channel, InteractionKind
from app.lifecycle.models import LifecycleChange
from app.lifecycle.rules import ChangeKind, Tier
from app.retention.rules.levers import Unit
from app.retention.rules.market import Costs, Market, MarketFigure, figures
from app.sales.models import Sale, SaleItem
from app.sales.rules import ConsentKind, SaleState
from tests.make.catalog import make_offering
from tests.make.customers import AS_OF, make_contact, make_customer, make_subscription
from tests.make.lifecycle import make_lifecycle
from tests.make.sales import make_door

COSTS = Costs(
    margin_share=0.5, visit_fen=5000, spoken_fen=600, sales_contact_fen=300, gift_fen=6000
)
FEBRUARY = datetime(2026, 2, 10, 4, tzinfo=UTC)
DAY = timedelta(days=1)


def test_what_is_left_over_is_worked_out_of_what_is_known():
    market = Market(paying=4, income_fen=40_000, visits=1, talks=2, sales_contacts=3, gifts=1)
    found = figures(market._replace(commissions_fen=500), COSTS)
    left = found[MarketFigure.CONTRIBUTION]
    assert left.numerator == 20_000 - (5000 + 2 * 600 + 3 * 300) - (6000 + 500)
    assert (left.denominator, left.value, left.unit) == (4, 1600.0, Unit.FEN_PER_CUSTOMER)
    parts = (MarketFigure.COST_TO_SERVE, MarketFigure.INCENTIVES, MarketFigure.CONTRIBUTION)
    assert sum(found[one].numerator for one in parts) == found[MarketFigure.MARGIN].numerator
    assert {one.value for one in figures(Market(), COSTS).values()} == {None}


async def sold(tx, office, customer, state, offering, at=FEBRUARY):
    door = await make_door(tx, now=at, branch=office.branch, ended=timedelta(0))
    sale = Sale(
        id=new_id(),
        org_unit_id=office.branch.id,
        visit_id=door.visit.id,
        work_order_id=door.order.id,
        customer_id=customer.id,
        technician_id=door.technician.id,
        state=state,
        content_hash="x",
        made_at=at,
        consent_kind=ConsentKind.SIGNATURE,
        consent_hash="x",
        confirmed_at=at,
    )
    tx.add(sale)
    await tx.flush()
    tx.add(
        SaleItem(
            sale_id=sale.id,
            offering_id=offering.id,
            offering_code=offering.code,
            quantity=1,
            monthly_price_fen=1,
            one_off_price_fen=0,
            commission_fen=2000,
        )
    )


async def test_the_figures_of_a_month(tx, office):
    people = {}
    for name, tier, ended_on in (
        ("stays", Tier.A, None),
        ("leaves", Tier.B, date(2026, 2, 20)),
        ("fell", Tier.C, None),  # in March: in February it was of the target market
        ("rose", Tier.A, date(2026, 2, 20)),  # in February, after the first
        ("plain", Tier.C, None),
        ("unknown", None, None),
    ):
        people[name] = await make_customer(tx, org_unit=office.branch)
        await make_lifecycle(tx, people[name], tier=tier)
        await make_subscription(tx, people[name], ended_on=ended_on)
    # Another line in the place of the old one is no leaving; who comes in the month is not counted.
    await make_subscription(tx, people["fell"], started_on=date(2026, 2, 5))
    came = await make_customer(tx, org_unit=office.branch)
    await make_lifecycle(tx, came, tier=Tier.A)
    await make_subscription(tx, came, started_on=date(2026, 2, 2))
    for name, before, after, at in (
        ("fell", "B", "C", FEBRUARY + 25 * DAY),
        ("rose", "C", "A", FEBRUARY),
        ("stays", "B", "A", FEBRUARY - 20 * DAY),
    ):
        tx.add(
            LifecycleChange(
                run_id=new_id(),
                customer_id=people[name].id,
                org_unit_id=office.branch.id,
                kind=ChangeKind.TIER,
                before=before,
                after=after,
                rule="tier.income",
                inputs={},
                warns=False,
                at=at,
            )
        )
    for name, month, income, new, arrears in (
        ("stays", 2, 10_000, 2000, 0),
        ("leaves", 2, 6000, 1000, 500),
        ("fell", 2, 4000, None, 0),
        ("rose", 2, 2000, 500, None),
        ("plain", 2, None, 700, 0),
        ("plain", 1, 9000, 900, 0),
    ):
        tx.add(
            CustomerMonth(
                customer_id=people[name].id,
                month=date(2026, month, 1),
                income_fen=income,
                new_service_income_fen=new,
                arrears_fen=arrears,
                as_of=AS_OF,
            )
        )
    service, sales, fault = InteractionKind.SERVICE, InteractionKind.SALES, InteractionKind.FAULT
    for name, kind, channel, at in (
        ("stays", service, Channel.VISIT, FEBRUARY),
        ("stays", fault, Channel.PHONE, FEBRUARY),
        ("stays", service, Channel.APP, FEBRUARY),
        ("leaves", sales, Channel.VISIT, FEBRUARY),
        ("leaves", service, Channel.SHOP, FEBRUARY - 30 * DAY),
        ("plain", service, Channel.VISIT, FEBRUARY),
    ):
        await make_contact(tx, people[name], at=at, kind=kind, channel=channel)
    renewal = await make_offering(tx, code="RENEW-24", business_type=BusinessType.RETENTION)
    plain = await make_offering(tx, code="TV")
    await sold(tx, office, people["stays"], SaleState.COMPLETED, renewal)
    await sold(tx, office, people["stays"], SaleState.CANCELLED, renewal)
    await sold(tx, office, people["fell"], SaleState.SENT, plain)
    await sold(tx, office, people["fell"], SaleState.SENT, renewal, FEBRUARY + 25 * DAY)
    await tx.flush()

    told = await office.ok("supervisor", "GET", "/market-figures", month="2026-02-14")
    assert told["month"] == "2026-02-01"
    found = {
        one["figure"]: (one["numerator"], one["denominator"], one["excluded"])
        for one in told["figures"]
    }
    assert set(found) == set(MarketFigure)
    assert found["target_kept"] == (2, 3, 5)
    # Whose income is not known: the plain one, the unknown one, who came, and four at doors.
    assert found["income"] == (22_000, 4, 7)
    assert found["margin"] == (11_000, 4, 7)
    assert found["cost_to_serve"] == (5000 + 600 + 300, 4, 7)
    assert found["incentives"] == (6000 + 2 * 2000, 4, 7)
    assert found["contribution"] == (11_000 - 5900 - 10_000, 4, 7)
    assert found["new_service_share"] == (3500, 18_000, 0)
    assert found["new_service_income"] == (3500, 3, 0)
    assert found["new_service_collected"] == (2000, 2, 1)
    none = await office.ok("stranger", "GET", "/market-figures", month="2026-02-14")
    assert {one["denominator"] for one in none["figures"]} == {0}
    far = await office.ask(
        "stranger", "GET", "/market-figures", month="2026-02-14", org_unit=office.branch.code
    )
    assert far.status_code == 404
