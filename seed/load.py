"""Loading: files by their kind, and the whole demo city through the same loaders and services."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict, replace
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit, passwords
from app.auth.models import Account, OrgUnit
from app.auth.queries import caller_by_username
from app.auth.service.accounts import first_admin
from app.auth.service.org_units import create_org_unit
from app.catalog.loading import load_catalogue
from app.core.db import Database
from app.core.geo import CoordSys
from app.core.loading import Report
from app.customers.loading import (
    load_addresses,
    load_contacts,
    load_customers,
    load_subscriptions,
)
from app.customers.months import load_months
from app.grids import importing
from app.grids import service as grids_service
from app.grids.layers import read_layer
from app.grids.models import Grid, GridContract, GridMembership
from app.grids.rules import GridKind
from app.lifecycle.models import LifecycleRun
from app.lifecycle.rules import NIGHT_HOUR
from app.lifecycle.service import running
from app.retention.loading import load_leavers, load_toolkits
from app.technicians import service as technicians_service
from app.technicians.loading import load_technicians
from app.technicians.models import Leave, Technician
from app.terminals.loading import load_terminals
from app.terminals.models import Terminal
from app.territory.rules.stages import Terms
from app.territory.service.contracts import begin_many
from app.worktypes.loading import load_work_types
from seed import leavers
from seed.churn import load_churn_cards
from seed.city import DEMO_PASSWORD, HERE, UNITS, City
from seed.clocks import (
    load_calendar,
    load_escalation_rules,
    load_stop_rules,
    load_working_hours,
)
from seed.dated import (
    load_campaigns,
    load_care_rules,
    load_follow_up_rules,
    load_gates,
    load_levers,
    load_parameters,
    load_promise_rules,
    load_road_map,
    load_slots,
)
from seed.dice import id_of
from seed.people import ZONE
from seed.terrain import BRANCHES

CsvLoader = Callable[..., Awaitable[Report]]

# By the word an operator says; each takes a transaction and the file's lines, or its whole text.
CSV_LOADERS: Mapping[str, CsvLoader] = {
    "technicians": load_technicians,
    "customers": load_customers,
    "addresses": load_addresses,
    "subscriptions": load_subscriptions,
    "months": load_months,
    "contacts": load_contacts,
    "terminals": load_terminals,
    "leavers": load_leavers,
}
YAML_LOADERS: Mapping[str, CsvLoader] = {
    "catalogue": load_catalogue,
    "work-types": load_work_types,
    "promise-rules": load_promise_rules,
    "follow-up-rules": load_follow_up_rules,
    "toolkits": load_toolkits,
    "care-rules": load_care_rules,
    "stop-rules": load_stop_rules,
    "working-hours": load_working_hours,
    "calendar": load_calendar,
    "escalation-rules": load_escalation_rules,
    "slots": load_slots,
    "gates": load_gates,
    "levers": load_levers,
    "campaigns": load_campaigns,
    "parameters": load_parameters,
    "road-map": load_road_map,
    "churn-cards": load_churn_cards,
}

# Told before each step: what is being loaded, the number of the step, and how many there are.
Progress = Callable[[str, int, int], None]


def _silent(what: str, step: int, steps: int) -> None:
    """Tell nobody."""


async def load_city(
    database: Database, city: City, *, progress: Progress = _silent
) -> list[Report]:
    """Load the demo city into an empty database, or into one that has it: then nothing changes,
    and what has happened in the city since stays.

    Every account gets DEMO_PASSWORD. Each step is a transaction of its own, so that a load cut
    off in the middle is finished by the next one. Raises what the loaders and services raise, such
    as OrgCodeTaken in a database that holds somebody else's organisation.
    """
    steps: dict[str, Callable[[AsyncSession, City], Awaitable[Report]]] = {
        "organisation": _organisation,
        "technicians": _file("technicians"),
        "grids": _grids,
        "memberships": _memberships,
        "stages": _stages,
        "leave": _leave,
        "catalogue": _text("catalogue", "catalog.yaml"),
        "work types": _text("work-types", "work_types.yaml"),
        "promise rules": _text("promise-rules", "promise_rules.yaml"),
        "follow-up rules": _text("follow-up-rules", "follow_up_rules.yaml"),
        "toolkits": _text("toolkits", "toolkits.yaml"),
        "care rules": _text("care-rules", "care_rules.yaml"),
        "stop rules": _text("stop-rules", "stop_rules.yaml"),
        "working hours": _text("working-hours", "working_hours.yaml"),
        "calendar": _text("calendar", "calendar.yaml"),
        "escalation rules": _text("escalation-rules", "escalation_rules.yaml"),
        "slots": _text("slots", "slots.yaml"),
        "gates": _text("gates", "gates.yaml"),
        "levers": _text("levers", "levers.yaml"),
        "campaigns": _text("campaigns", "campaigns.yaml"),
        "parameters": _text("parameters", "parameters.yaml"),
        "road map": _text("road-map", "road_map.yaml"),
        "customers": _file("customers"),
        "addresses": _file("addresses"),
        "subscriptions": _file("subscriptions"),
        "months": _file("months"),
        "contacts": _file("contacts"),
        "churn card": _text("churn-cards", "churn_card.yaml"),
        "terminals": _terminals,
        "former customers": _former_customers,
        "accounts": _accounts,
    }
    reports = []
    for number, (what, step) in enumerate(steps.items(), start=1):
        progress(what, number, len(steps))
        async with database.begin() as tx:
            audit.acting(tx, "seed")
            reports.append(await step(tx, city))
    await _lifecycle(database, city)
    return reports


async def _lifecycle(database: Database, city: City) -> None:
    """Tell where the customers stand, as the night before the day did; only the first time."""
    async with database.read() as read:
        if await read.scalar(select(LifecycleRun.id).limit(1)):
            return
    night = city.as_of + timedelta(hours=NIGHT_HOUR.default)
    await running.run(database, night, action="seed", night=night)


def _file(kind: str) -> Callable[[AsyncSession, City], Awaitable[Report]]:
    async def step(tx: AsyncSession, city: City) -> Report:
        lines = city.files[f"{kind}.csv"].decode().splitlines(keepends=True)
        return await CSV_LOADERS[kind](tx, lines)

    return step


def _text(kind: str, name: str) -> Callable[[AsyncSession, City], Awaitable[Report]]:
    document = (HERE / name).read_text(encoding="utf-8")

    async def step(tx: AsyncSession, city: City) -> Report:
        return await YAML_LOADERS[kind](tx, document)

    return step


async def _former_customers(tx: AsyncSession, city: City) -> Report:
    """Load the CRM's files of those who have left, and tell of the last, which says why."""
    report = None
    written = leavers.files(city.seed, list(city.compounds), city.today, city.as_of)
    for kind, lines in written.items():
        report = await CSV_LOADERS[kind](tx, lines)
    assert report is not None
    return report


async def _terminals(tx: AsyncSession, city: City) -> Report:
    """Load the terminals that are not known yet: the others may have moved since."""
    known = set(await tx.scalars(select(Terminal.serial_number)))
    heading, *lines = city.files["terminals.csv"].decode().splitlines(keepends=True)
    missing = [line for line in lines if line.split(",", 1)[0] not in known]
    report = await load_terminals(tx, [heading, *missing])
    stayed = len(lines) - len(missing)
    return replace(report, read=len(lines), unchanged=report.unchanged + stayed)


async def _organisation(tx: AsyncSession, city: City) -> Report:
    top = UNITS[0]
    known = set(await tx.scalars(select(OrgUnit.code)))
    await first_admin(
        tx,
        username="admin",
        password=DEMO_PASSWORD,
        org_code=top.code,
        org_name_zh=top.zh,
        org_name_en=top.en,
    )
    admin = await caller_by_username(tx, "admin")
    ids = {unit.code: unit.id for unit in await tx.scalars(select(OrgUnit))}
    for unit in UNITS[1:]:
        if unit.code not in known:
            made = await create_org_unit(
                tx,
                admin,
                org_unit_id=id_of(city.seed, "unit", unit.code),
                parent_id=ids[unit.parent or ""],
                code=unit.code,
                name_zh=unit.zh,
                name_en=unit.en,
                level=unit.level,
                time_zone=ZONE.key,
            )
            ids[unit.code] = made.id
    return _counted("organisation", (unit.code for unit in UNITS), known)


async def _grids(tx: AsyncSession, city: City) -> Report:
    created = reshaped = unchanged = 0
    for branch in BRANCHES:
        unit = (await tx.scalars(select(OrgUnit).where(OrgUnit.code == branch))).one()
        imported = await importing.write_layer(
            tx,
            read_layer(
                city.files[f"layers/{branch}.geojson"],
                coordsys=CoordSys.GCJ02,
                name_field="name",
                code_field="code",
            ),
            importing.Wanted(
                org_unit=unit,
                coordsys=CoordSys.GCJ02,
                kind=GridKind.COMPOUND,
                file=f"{branch}.geojson",
            ),
            now=datetime.combine(city.founded, time.min, ZONE),
        )
        created += len(imported.created)
        reshaped += len(imported.reshaped)
        unchanged += len(imported.unchanged)
    return Report("grids", len(city.grids), created, reshaped, unchanged)


async def _memberships(tx: AsyncSession, city: City) -> Report:
    admin = await caller_by_username(tx, "admin")
    known = set(await tx.scalars(select(GridMembership.id)))
    grids = {grid.code: grid.id for grid in await tx.execute(select(Grid.code, Grid.id))}
    people = await _people(tx)
    for one in city.memberships:
        if one.id not in known:
            await grids_service.assign(
                tx,
                membership_id=one.id,
                grid_id=grids[one.grid],
                technician_id=people[one.technician],
                kind=one.kind,
                rank=one.rank,
                valid_from=city.founded,
                valid_to=None,
                weekdays=127,
                ratio=100,
                caller=admin,
            )
    return _counted("memberships", (one.id for one in city.memberships), known)


async def _stages(tx: AsyncSession, city: City) -> Report:
    admin = await caller_by_username(tx, "admin")
    known = set(await tx.scalars(select(GridContract.id)))
    grids = {grid.code: grid.id for grid in await tx.execute(select(Grid.code, Grid.id))}
    people = await _people(tx)
    wanted = []
    for one in city.contracts:
        if one.id not in known:
            fields = asdict(one)
            holder = fields.pop("technician")
            fields["technician_id"] = people[holder] if holder else None
            wanted.append(Terms(grid_id=grids[fields.pop("grid")], **fields))
    if wanted:
        await begin_many(tx, wanted, retroactive=True, caller=admin, now=city.as_of)
    return _counted("stages", (one.id for one in city.contracts), known)


async def _leave(tx: AsyncSession, city: City) -> Report:
    admin = await caller_by_username(tx, "admin")
    known = set(await tx.scalars(select(Leave.id)))
    people = await _people(tx)
    for one in city.leaves:
        if one.id not in known:
            await technicians_service.grant_leave(
                tx,
                leave_id=one.id,
                technician_id=people[one.technician],
                starts_at=one.starts_at,
                ends_at=one.ends_at,
                cause=one.cause,
                caller=admin,
            )
    return _counted("leave", (one.id for one in city.leaves), known)


async def _accounts(tx: AsyncSession, city: City) -> Report:
    known = set(await tx.scalars(select(Account.username)))
    missing = [account for account in city.accounts if account.username not in known]
    if missing:
        # A hash takes a tenth of a second on purpose. The password is public anyway, so the
        # demo's accounts share one hash; nobody else's may.
        shared = await passwords.hashed(DEMO_PASSWORD)
        units = {unit.code: unit.id for unit in await tx.execute(select(OrgUnit.code, OrgUnit.id))}
        people = await _people(tx)
        tx.add_all(
            Account(
                id=id_of(city.seed, "account", account.username),
                username=account.username,
                password_hash=shared,
                role=account.role,
                org_unit_id=units[account.unit],
                technician_id=people[account.technician] if account.technician else None,
            )
            for account in missing
        )
        await tx.flush()
    return _counted("accounts", (account.username for account in city.accounts), known)


async def _people(tx: AsyncSession) -> dict[str, UUID]:
    return {row.code: row.id for row in await tx.execute(select(Technician.code, Technician.id))}


def _counted(what: str, wanted: Iterable[object], known: set[Any]) -> Report:
    names = list(wanted)
    unchanged = sum(name in known for name in names)
    return Report(what, len(names), len(names) - unchanged, 0, unchanged)
