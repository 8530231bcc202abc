"""What is erased of a customer leaves the phones that follow, as it never comes to new ones."""

from datetime import timedelta

from sqlalchemy import text

from app.auth.rules import Caller, Role
from app.core.db import new_id
from app.privacy.service.erasing import erase
from app.sales.rules import Line, SaleState
from tests.make.auth import bearer, caller_for, make_account
from tests.make.catalog import make_offering
from tests.make.evidence import Upload, photo
from tests.make.sales import make_door, make_draft
from tests.make.visits import TODAY, Phone
from tests.sync.stores import Store


async def keeper_of(tx, unit) -> Caller:
    account = await make_account(tx, unit)
    return caller_for(Role.ADMIN, unit, account_id=account.id)


async def test_what_is_erased_of_a_customer_leaves_phones(tx, app, http, clock):
    await make_offering(tx, code="SPEED-1000")
    door = await make_door(tx, now=clock.now())
    door.order.planned_day = TODAY
    sale = await make_draft(tx, door, now=clock.now(), lines=[Line("SPEED-1000", 1)])
    sale.note, sale.rejected_reason = "王小明的爱人同意", "客户王小明家中无人"
    sale.state = SaleState.CANCELLED
    await tx.commit()
    phone = Phone(http, bearer(app, door.seller), clock, door.technician)
    await Upload(phone, door.order, photo(seed=1)).announce(filename="王小明家门口.jpg")
    # What is refused is told with what stood against it: here the visit of somebody else.
    action = {
        "id": str(new_id()),
        "type": "visits_suspend",
        "device_at": clock.now().isoformat(),
        "payload": {"visit_id": str(door.visit.id)},
    }
    body = {"changes": {"actions": {"created": [action]}}}
    assert (await http.post("/v1/sync", json=body, headers=phone.headers)).status_code == 200
    await tx.execute(
        text("UPDATE work_order SET state = 'completed', completed_at = :at WHERE id = :id"),
        {"at": clock.now() - timedelta(hours=3), "id": door.order.id},
    )
    await tx.execute(
        text("UPDATE subscription SET ended_on = '2026-03-01' WHERE customer_id = :id"),
        {"id": door.customer.id},
    )
    await tx.commit()
    store = Store(phone)
    await store.pull()
    [picture] = store["photos"].values()
    assert picture["filename"] == "王小明家门口.jpg"
    assert store["sales"][str(sale.id)]["note"] == "王小明的爱人同意"
    assert store["actions"][action["id"]]["facts"] is not None
    # Within one transaction, as here, nothing is news twice.
    await tx.execute(text("UPDATE sync_row SET xid = 0"))
    await erase(tx, door.customer.id, await keeper_of(tx, door.branch), now=clock.now())
    await tx.commit()
    await store.pull()
    fresh = Store(phone)
    await fresh.pull()
    for table in ("sales", "actions", "visits", "photos", "work_orders"):
        assert store[table] == fresh[table], table
    assert store["sales"][str(sale.id)]["note"] is None
    assert store["actions"][action["id"]]["facts"] is None
