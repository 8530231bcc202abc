"""Loading customers, their addresses, services and contacts from the CRM's CSV files.

Every line of customers and services says in `as_of` when it was so, and a line older than what is
held changes nothing: files may come late and out of order.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.core import cells, jobs, loading
from app.core.cells import COORDSYS, LAT, LON
from app.core.files import Column, CsvFile, Made
from app.core.loading import Report, Staging, Target
from app.customers.rules import Channel, InteractionKind, Segment

_MONEY = cells.whole(0, 100_000_000)


def _named(file: CsvFile, *without: str) -> dict[str, str]:
    names = [column.name for column in file.columns] + [made.name for made in file.made]
    return {name: name for name in names if name not in without}


CUSTOMERS = CsvFile(
    what="customers",
    columns=(
        Column("code", cells.code, required=True),
        Column("as_of", cells.moment, "timestamptz", required=True),
        Column("org_unit", cells.code, required=True),
        Column("name", cells.text(100), required=True),
        Column("phone", cells.text(30), required=True),
        Column("segment", cells.one_of(Segment), empty=Segment.HOUSEHOLD),
        Column("activated_on", cells.day, "date"),
        Column("do_not_disturb", cells.flag, "boolean", empty=False),
        Column("personal_offers", cells.flag, "boolean", empty=True),
        Column("elderly", cells.flag, "boolean", empty=False),
        Column("protected", cells.flag, "boolean", empty=False),
        Column("preferred_channel", cells.one_of(Channel)),
        Column("arrears_fen", _MONEY, "bigint"),
        Column("monthly_usage_gb", cells.whole(0, 1_000_000), "bigint"),
        Column("value_tier", cells.code),
        Column("disconnected_on", cells.day, "date"),
        Column("blacklisted", cells.flag, "boolean"),
        Column("competitor", cells.text(100)),
    ),
)
_CUSTOMER = Target(
    table="customer",
    key=("code",),
    columns=_named(CUSTOMERS, "org_unit"),
    references={"org_unit_id": ("org_unit", "org_unit", "code")},
    versioned=True,
)

# Where the customer was heard here, the CRM need not have heard it too: a file that it wrote before
# then says nothing new, and a later one may protect them more and never less. What they have asked
# for here they alone take back.
_LOOSE = {"do_not_disturb": "false", "personal_offers": "true"}
_KEEP_SWITCH = """
    UPDATE {{staged}} AS s SET {switch} = held.{switch} FROM customer AS held
    WHERE held.code = s.code AND held.{switch} <> s.{switch}
    AND (held.{switch}_said_at > s.as_of
         OR held.{switch}_said_at IS NOT NULL AND s.{switch} = {loose})
"""


# Grids' lists speak for addresses of a district, which is that of the customer's org unit.
_OF_ANOTHER_UNIT = """
    SELECT a.id FROM {staged} AS s JOIN customer AS held ON held.code = s.code
    JOIN org_unit AS u ON u.code = s.org_unit JOIN service_address AS a ON a.customer_id = held.id
    WHERE NOT s.passed_over AND held.org_unit_id <> u.id
"""


# Which of a row's customers loses it: of them phones are told as of who gets it.
_LEFT = """
    INSERT INTO sync_loaded (xid, customer_id)
    SELECT DISTINCT pg_current_xact_id()::text::bigint, held.customer_id
    FROM {{staged}} AS s JOIN {table} AS held ON held.{key} = s.{key}
    JOIN customer AS c ON c.code = s.customer
    WHERE NOT s.passed_over AND held.customer_id <> c.id
    ON CONFLICT DO NOTHING
"""


async def _merge_shown(tx: AsyncSession, staged: Staging, target: Target) -> None:
    """Merge what phones show of customers; they are told of it when the load is there."""
    async with loading.phones_told_later(tx):
        if "customer_id" in target.references:
            (key,) = target.key
            await staged.run(_LEFT.format(table=target.table, key=key))
        await staged.merge(target)


async def load_customers(
    tx: AsyncSession, lines: Iterable[str], *, skip_refused: bool = False
) -> Report:
    """Load customers from the lines of a CSV file, by their code; org units must be there.

    A line older than what is held counts as unchanged. A switch on which the customer was heard
    here stays where the line was written before that, or would loosen it. Raises FileRefused when
    any line is wrong, unless `skip_refused`.
    """
    staged = await loading.stage(tx, CUSTOMERS, lines)
    await staged.refuse_repeated("code")
    await staged.refuse_unknown("org_unit", "org_unit")
    staged.settle(skip_refused=skip_refused)
    await staged.pass_over(
        "SELECT s.line FROM {staged} AS s JOIN customer AS held ON held.code = s.code"
        " WHERE held.as_of > s.as_of"
    )
    await staged.pass_over_erased("code", "customer")
    for switch, loose in _LOOSE.items():
        if switch in staged.present:
            await staged.run(_KEEP_SWITCH.format(switch=switch, loose=loose))
    moved = await _queue(staged, _OF_ANOTHER_UNIT)
    await _merge_shown(tx, staged, _CUSTOMER)
    if moved:
        await jobs.tell(tx, "addresses.loaded")
    return await _reported(tx, staged, "customer")


def _judge_address(row: dict[str, Any]) -> None:
    row["point"] = cells.point(row, "lon", "lat", "coordsys")


ADDRESSES = CsvFile(
    what="addresses",
    columns=(
        Column("code", cells.code, required=True),
        Column("customer", cells.code, required=True),
        Column("standard_address", cells.text(300), required=True),
        Column("locality", cells.text(), required=True),
        Column("building", cells.text(60)),
        Column("room", cells.text(60)),
        Column("lon", LON, "float8"),
        Column("lat", LAT, "float8"),
        Column("coordsys", COORDSYS),
        Column("olt_port", cells.text(100)),
        Column("port_free", cells.flag, "boolean"),
        Column("max_speed_mbps", cells.whole(0, 1_000_000), "bigint"),
        Column("checked_at", cells.moment, "timestamptz"),
    ),
    made=(Made("point", "geometry(Point, 4326)", needs="lon"),),
    judge=_judge_address,
)
_ADDRESS = Target(
    table="service_address",
    key=("code",),
    columns=_named(ADDRESSES, "customer", "lon", "lat", "coordsys"),
    references={"customer_id": ("customer", "customer", "code")},
)


# What decides in which grid an address lies: its grid is found anew when any of it changes.
_PLACE = ("point", "locality", "building", "standard_address")
_MOVED = """
    SELECT held.id FROM {{staged}} AS s JOIN service_address AS held ON held.code = s.code
    JOIN customer AS c ON c.code = s.customer
    WHERE held.customer_id <> c.id {differs}
"""
_NEW = """
    SELECT a.id FROM {staged} AS s JOIN service_address AS a ON a.code = s.code
    WHERE s.became = 'i'
"""


def _moved(staged: Staging) -> str:
    """Write the query for the known addresses whose place a file is about to change."""
    present = [name for name in _PLACE if name in staged.present]
    return _MOVED.format(
        differs="".join(f" OR held.{name} IS DISTINCT FROM s.{name}" for name in present)
    )


async def load_addresses(
    tx: AsyncSession, lines: Iterable[str], *, skip_refused: bool = False
) -> Report:
    """Load service addresses from the lines of a CSV file, by their code; after the customers.

    Each point says its coordinate system. Raises FileRefused like `load_customers`.
    """
    staged = await loading.stage(tx, ADDRESSES, lines)
    await staged.refuse_repeated("code")
    await staged.refuse_unknown("customer", "customer")
    staged.settle(skip_refused=skip_refused)
    moved = await _queue(staged, _moved(staged))
    await _merge_shown(tx, staged, _ADDRESS)
    if moved + await _queue(staged, _NEW):
        await jobs.tell(tx, "addresses.loaded")
    return await _reported(tx, staged, "service_address")


SUBSCRIPTIONS = CsvFile(
    what="subscriptions",
    columns=(
        Column("service_number", cells.code, required=True),
        Column("as_of", cells.moment, "timestamptz", required=True),
        Column("customer", cells.code, required=True),
        Column("address", cells.code),
        Column("offering_code", cells.code, required=True),
        Column("category", cells.code, required=True),
        Column("monthly_price_fen", _MONEY, "bigint", required=True),
        Column("speed_mbps", cells.whole(0, 1_000_000), "bigint"),
        Column("started_on", cells.day, "date", required=True),
        Column("contract_ends_on", cells.day, "date"),
        Column("ended_on", cells.day, "date"),
    ),
)
_SUBSCRIPTION = Target(
    table="subscription",
    key=("service_number",),
    columns=_named(SUBSCRIPTIONS, "customer", "address"),
    references={
        "customer_id": ("customer", "customer", "code"),
        "service_address_id": ("address", "service_address", "code"),
    },
)


async def load_subscriptions(
    tx: AsyncSession, lines: Iterable[str], *, skip_refused: bool = False
) -> Report:
    """Load services from the lines of a CSV file, by their number; after the addresses.

    A line older than what is held counts as unchanged. Raises FileRefused like `load_customers`.
    """
    staged = await loading.stage(tx, SUBSCRIPTIONS, lines)
    await staged.refuse_repeated("service_number")
    await staged.refuse_unknown("customer", "customer")
    await staged.refuse_unknown("address", "service_address")
    staged.settle(skip_refused=skip_refused)
    await staged.pass_over(
        "SELECT s.line FROM {staged} AS s"
        " JOIN subscription AS held ON held.service_number = s.service_number"
        " WHERE held.as_of > s.as_of"
    )
    await _merge_shown(tx, staged, _SUBSCRIPTION)
    await _look_at(tx, staged, "s.became IS NOT NULL")
    return await _reported(tx, staged, "subscription")


CONTACTS = CsvFile(
    what="contacts",
    columns=(
        Column("external_id", cells.code, required=True),
        Column("customer", cells.code, required=True),
        Column("at", cells.moment, "timestamptz", required=True),
        Column("channel", cells.one_of(Channel), required=True),
        Column("kind", cells.one_of(InteractionKind), required=True),
        Column("subject", cells.text(300), required=True),
        Column("outcome", cells.text()),
        Column("closed_at", cells.moment, "timestamptz"),
    ),
)
_CONTACT = Target(
    table="interaction",
    key=("external_id",),
    columns=_named(CONTACTS, "customer"),
    references={"customer_id": ("customer", "customer", "code")},
)


async def load_contacts(
    tx: AsyncSession, lines: Iterable[str], *, skip_refused: bool = False
) -> Report:
    """Load contacts of other channels from the lines of a CSV file, by the CRM's own id.

    Raises FileRefused like `load_customers`.
    """
    staged = await loading.stage(tx, CONTACTS, lines)
    await staged.refuse_repeated("external_id")
    await staged.refuse_unknown("customer", "customer")
    staged.settle(skip_refused=skip_refused)
    await staged.merge(_CONTACT)
    await _look_at(tx, staged, "s.became = 'i' AND s.kind IN ('complaint', 'cancellation')")
    return await _reported(tx, staged, "interaction")


# Those who were never looked at wait for the night, in which they are seen for the first time.
_LOOK_AT = """
    WITH asked AS (
        INSERT INTO lifecycle_due (customer_id)
        SELECT DISTINCT c.id FROM {{staged}} AS s JOIN customer AS c ON c.code = s.customer
        JOIN customer_lifecycle AS l ON l.customer_id = c.id WHERE {those} ORDER BY c.id
        ON CONFLICT DO NOTHING RETURNING 1
    ) SELECT count(*) FROM asked
"""


async def _look_at(tx: AsyncSession, staged: Staging, those: str) -> None:
    """Have the customers of some lines looked at: a contract or a complaint changes where they
    stand in their lifecycle."""
    ((count,),) = await staged.run(_LOOK_AT.format(those=those))
    if count:
        await jobs.tell(tx, "lifecycle.due")


async def _queue(staged: Staging, find: str) -> int:
    """Queue the addresses that a query finds, for their grids to be found; tell how many."""
    ((count,),) = await staged.run(
        f"WITH found AS ({find}), queued AS ("  # noqa: S608 - text of our own
        " INSERT INTO address_to_locate (service_address_id) SELECT id FROM found ORDER BY id"
        " ON CONFLICT DO NOTHING RETURNING 1) SELECT count(*) FROM queued"
    )
    return int(count)


async def _reported(tx: AsyncSession, staged: Staging, table: str) -> Report:
    report = await staged.report()
    if report.changed:
        audit.note(tx, table=table, operation="load", count=report.inserted + report.updated)
    return report
