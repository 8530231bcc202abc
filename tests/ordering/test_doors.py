"""A customer with two doors: what is ordered is for the one at which it was sold."""

from datetime import timedelta

import pytest

from app.customers.queries import addresses_of
from app.feasibility.queries import address_of
from app.ordering import queries
from tests.make.customers import AS_OF, make_address, make_subscription
from tests.make.sales import make_confirmed, make_door
from tests.sales.conftest import fill_catalogue

LATER = AS_OF + timedelta(days=1)


@pytest.mark.parametrize(
    ("line_at", "named", "looked_at_later", "door"),
    [
        ("second", "first", "first", "second"),  # the line that the order is about
        (None, "second", "first", "second"),  # the address that it names
        (None, None, "second", "second"),
        (None, None, None, "first"),
    ],
)
async def test_the_order_is_for_the_door_of_its_visit(
    tx, clock, line_at, named, looked_at_later, door
):
    await fill_catalogue(tx)
    place = await make_door(tx, now=clock.now())
    (first,) = await addresses_of(tx, place.customer.id)
    second = await make_address(tx, place.customer, standard_address="澄湖市北浦区松涛路2号")
    doors = {"first": first, "second": second}
    line = await make_subscription(
        tx, place.customer, service_address_id=line_at and doors[line_at].id
    )
    place.order.service_number = line.service_number
    if named is not None:
        place.order.address = doors[named].standard_address
    if looked_at_later is not None:
        doors[looked_at_later].checked_at = LATER
    sale = await make_confirmed(tx, place, now=clock.now())
    await tx.flush()
    order = await queries.order_to_place(tx, sale.id)
    (sold_at,) = {item.place and (item.place.id, item.place.name) for item in order.items}
    assert sold_at == (doors[door].code, doors[door].standard_address)
    # What was looked up before it was sold is the same door.
    asked = await address_of(
        tx,
        place.customer.id,
        service_number=place.order.service_number,
        address=place.order.address,
    )
    assert asked == doors[door].id
