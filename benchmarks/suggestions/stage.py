"""The field in a real database: written by COPY, and moved on from day to day."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

import psycopg
import yaml
from psycopg import sql

from app.catalog.loading import load_catalogue
from app.core.db import open_database
from app.core.settings import Settings
from app.suggestions.rules.levers import LeverRule, Levers, levers_in_force
from benchmarks.stand import ROOT
from benchmarks.suggestions.door import BOUND, RENEWED, Pitch
from benchmarks.suggestions.field import (
    FIRST_DAY,
    TECHNICIANS,
    Event,
    Field,
    Visit,
    local,
    local_day,
)
from benchmarks.suggestions.offers import catalogue_of
from benchmarks.suggestions.people import Household, risk_of, stage_of
from seed.dated import load_levers

PATH = "field."
LEVERS = ROOT / "seed" / "levers.yaml"
_UNIT, _TECHNICIAN, _CUSTOMER, _ADDRESS, _SERVICE, _ORDER, _VISIT, _CONTACT, _CAMPAIGN = range(
    1, 10
)
_CHANNELS = {"sales": "phone", "service": "phone", "fault": "phone", "complaint": "phone"}
SERVED = timedelta(minutes=80)


def id_of(kind: int, number: int, at: datetime | None = None) -> UUID:
    """Make the id of a thing of the field by its number, with a moment in front like UUIDv7."""
    moment = int((at or local(FIRST_DAY, 0)).timestamp() * 1000)
    return UUID(f"{moment:012x}7{kind:03x}8{number:015x}")


def customer_id(home: int) -> UUID:
    """Return the id of a household's customer."""
    return id_of(_CUSTOMER, home)


def technician_id(number: int) -> UUID:
    """Return the id of a technician."""
    return id_of(_TECHNICIAN, number)


def order_id(visit: Visit) -> UUID:
    """Return the id of a visit's order."""
    return id_of(_ORDER, visit.number, visit.reported_at)


def visit_id(visit: Visit) -> UUID:
    """Return the id of a visit."""
    return id_of(_VISIT, visit.number, visit.at)


def levers() -> Levers:
    """Read whom each lever is for in the field from its first day on."""
    entries = yaml.safe_load(LEVERS.read_text(encoding="utf-8"))["levers"]
    rules = [
        LeverRule(**{"stages": None, "manager_tiers": (), "org_path": "", "valid_to": None, **one})
        for one in entries
    ]
    return levers_in_force(rules, PATH, FIRST_DAY)


async def write(database_url: str, field: Field) -> None:
    """Write the catalogue, people, services and a year of contacts into a migrated database."""
    database = open_database(Settings(database_url=database_url))
    try:
        async with database.begin() as tx:
            await load_catalogue(tx, catalogue_of(field.offers))
            await load_levers(tx, LEVERS.read_text(encoding="utf-8"))
    finally:
        await database.close()
    began = local(FIRST_DAY, 0)
    with psycopg.connect(database_url) as connection:
        # Every row is right by construction, and proving each reference takes longer than writing.
        connection.execute("SET session_replication_role = replica")
        _organisation(connection)
        _homes(connection, field.homes, began)
        _standings(connection, field.homes, began)
        contacts(connection, [event for event in field.events if event.at < began])
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")


def _organisation(connection: psycopg.Connection[Any]) -> None:
    unit = id_of(_UNIT, 0)
    connection.execute(
        "INSERT INTO org_unit (id, code, name_zh, name_en, level, path)"
        " VALUES (%s, 'field', '试点', 'Field', 'city', %s)",
        [unit, PATH],
    )
    copy(
        connection,
        "technician (id, org_unit_id, code, name)",
        ((technician_id(n), unit, f"T{n}", f"Technician {n}") for n in range(TECHNICIANS)),
    )
    # One campaign of four weeks, so that it can be seen what a push changes.
    connection.execute(
        "INSERT INTO suggestion_campaign"
        " (id, code, org_path, lever, factor, valid_from, valid_to, owner)"
        " VALUES (%s, 'autumn', %s, 'cross_sell', 1.2, %s, %s, 'field')",
        [
            id_of(_CAMPAIGN, 0),
            PATH,
            FIRST_DAY + timedelta(days=28),
            FIRST_DAY + timedelta(days=56),
        ],
    )
    skills = ("fibre", "wifi", "iptv", "camera", "enterprise", "broadband")
    copy(
        connection,
        "technician_skill (technician_id, skill)",
        ((technician_id(n), skill) for n in range(TECHNICIANS) for skill in skills),
    )


def _homes(
    connection: psycopg.Connection[Any], homes: Sequence[Household], as_of: datetime
) -> None:
    unit = id_of(_UNIT, 0)
    copy(
        connection,
        "customer (id, org_unit_id, code, name, phone, segment, value_tier, activated_on,"
        " do_not_disturb, elderly, arrears_fen, monthly_usage_gb, as_of)",
        (
            (
                customer_id(home.number),
                unit,
                f"C{home.number}",
                f"Customer {home.number}",
                f"138{home.number:08d}",
                "business" if home.business else "household",
                home.tier,
                home.activated_on,
                home.do_not_disturb,
                home.elderly,
                home.arrears_fen,
                home.usage_gb,
                as_of,
            )
            for home in homes
        ),
    )
    copy(
        connection,
        "service_address (id, customer_id, code, standard_address, locality, room, port_free,"
        " max_speed_mbps, checked_at)",
        (
            (
                id_of(_ADDRESS, home.number),
                customer_id(home.number),
                f"A{home.number}",
                f"Field Street {min(home.number, home.number if home.twin is None else home.twin)}",
                f"Field Street {home.number // 40}",
                "101",
                home.port_free,
                home.line_max_mbps,
                as_of,
            )
            for home in homes
        ),
    )
    copy(connection, _SUBSCRIPTION, (row for home in homes for row in _services(home, as_of)))


def _standings(
    connection: psycopg.Connection[Any], homes: Sequence[Household], as_of: datetime
) -> None:
    """Write where everybody stands in the lifecycle on the first day, as a night's run would."""
    copy(
        connection,
        "customer_lifecycle (customer_id, org_unit_id, stage, stage_since, stage_rule, tier,"
        " hidden_high_value, value_12m_fen, churn_score, churn_class, churn_reasons, signals,"
        " rules_version, computed_at)",
        (
            (
                customer_id(home.number),
                id_of(_UNIT, 0),
                stage_of(home, FIRST_DAY),
                FIRST_DAY,
                "field",
                home.tier,
                False,
                12 * home.price_fen,
                home.leaves,
                risk_of(home),
                "[]",
                "{}",
                "field",
                as_of,
            )
            for home in homes
        ),
    )


def grow(connection: psycopg.Connection[Any], homes: Sequence[Household], day: date) -> None:
    """Move on those who come to another stage of the lifecycle on a day, as a night's run would."""
    moved = [
        (stage_of(home, day), day, customer_id(home.number))
        for home in homes
        if stage_of(home, day) != stage_of(home, day - timedelta(days=1))
    ]
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE customer_lifecycle SET stage = %s, stage_since = %s WHERE customer_id = %s",
            moved,
        )


_SUBSCRIPTION = (
    "subscription (id, customer_id, service_address_id, service_number, offering_code, category,"
    " monthly_price_fen, speed_mbps, started_on, contract_ends_on, as_of)"
)
# Codes that are held, as `people` writes them, and the categories they belong to.
_CATEGORIES = {
    "IPTV-4K": "tv",
    "TV-FAMILY": "tv_pack",
    "WIFI-MESH": "wifi",
    "CAM-HOME": "camera",
    "CLOUD-30": "cloud",
    "MOBILE-SUB": "mobile_sub",
    "CARE-PLAN": "care_plan",
    "PLAN-5G-79": "mobile",
    "BIZ-VOICE": "business",
    "PLAN-ADSL-8": "copper",
}


def _services(home: Household, as_of: datetime) -> Iterable[tuple[Any, ...]]:
    codes = sorted(home.held - set(_CATEGORIES.values()) - {"broadband"})
    for place, code in enumerate(codes):
        category = _CATEGORIES.get(code, "broadband")
        line = category in ("broadband", "copper")
        number = home.number * 100 + place
        yield (
            id_of(_SERVICE, number),
            customer_id(home.number),
            id_of(_ADDRESS, home.number),
            f"S{number}",
            code,
            category,
            home.price_fen // 2 if line else home.price_fen // (2 * len(codes)),
            home.speed_mbps if line else None,
            home.activated_on,
            home.contract_ends_on if line or home.speed_mbps is None else None,
            as_of,
        )


def contacts(connection: psycopg.Connection[Any], events: Iterable[Event]) -> None:
    """Write what happened outside visits."""
    events = list(events)
    copy(
        connection,
        "interaction (id, customer_id, at, channel, kind, subject, closed_at)",
        (
            (
                id_of(_CONTACT, event.home, event.at),
                customer_id(event.home),
                event.at,
                _CHANNELS[event.kind],
                event.kind,
                event.kind,
                # The end of a complaint is not known before its day: see `close`.
                event.closed_at
                if event.closed_at is not None and event.closed_at < local(FIRST_DAY, 0)
                else None,
            )
            for event in events
            if event.kind in _CHANNELS
        ),
    )
    for event in events:
        if event.kind not in _CHANNELS:
            connection.execute(
                "UPDATE customer SET do_not_disturb = true, do_not_disturb_since = %s"
                " WHERE id = %s",
                [event.at, customer_id(event.home)],
            )


def close(connection: psycopg.Connection[Any], complaints: Iterable[Event]) -> None:
    """Close complaints at the moment they were closed."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE interaction SET closed_at = %s WHERE id = %s",
            [
                (one.closed_at, id_of(_CONTACT, one.home, one.at))
                for one in complaints
                if one.closed_at is not None
            ],
        )


def visits(connection: psycopg.Connection[Any], of_day: Sequence[Visit]) -> None:
    """Write a day's orders and visits, each already at the door."""
    unit = id_of(_UNIT, 0)
    copy(
        connection,
        "work_order (id, org_unit_id, source, external_id, content_hash, work_type, state,"
        " customer_id, address, summary, estimated_minutes, reported_at, received_at, holder_id,"
        " planned_day, restored_at, completed_at)",
        (
            (
                order_id(visit),
                unit,
                "field",
                str(visit.number),
                "",
                visit.work_type,
                "completed",
                customer_id(visit.home),
                f"Field Street {visit.home}",
                visit.work_type,
                60,
                visit.reported_at,
                visit.reported_at,
                technician_id(visit.technician),
                local_day(visit.at),
                visit.at if visit.restored else None,
                visit.at,
            )
            for visit in of_day
        ),
    )
    copy(
        connection,
        "visit (id, work_order_id, technician_id, travel_started_at, checked_in_at, restored_at,"
        " ended_at, outcome)",
        (
            (
                visit_id(visit),
                order_id(visit),
                technician_id(visit.technician),
                visit.at - SERVED,
                visit.at - SERVED / 2,
                visit.at if visit.restored else None,
                visit.at,
                "completed",
            )
            for visit in of_day
        ),
    )


def fit(
    connection: psycopg.Connection[Any], sold: Iterable[tuple[Visit, Pitch]], day: date
) -> None:
    """Write what was sold the day before as services that run from this day on."""
    for visit, pitch in sold:
        offer = pitch.offer
        if offer.category == "renewal":
            connection.execute(
                "UPDATE subscription SET contract_ends_on = %s WHERE customer_id = %s"
                " AND speed_mbps IS NOT NULL AND ended_on IS NULL",
                [day + RENEWED, customer_id(visit.home)],
            )
            continue
        if offer.speed_mbps is not None:
            connection.execute(
                "UPDATE subscription SET ended_on = %s WHERE customer_id = %s"
                " AND speed_mbps IS NOT NULL AND ended_on IS NULL",
                [day, customer_id(visit.home)],
            )
        rows: list[tuple[str, int | None]] = [(offer.category, None)]
        if offer.speed_mbps is not None:
            rows = [("broadband", offer.speed_mbps)]
            if offer.category != "broadband":
                rows.append((offer.category, None))
        copy(
            connection,
            _SUBSCRIPTION,
            (
                (
                    id_of(_SERVICE, 10_000_000 + visit.number * 2 + place, visit.at),
                    customer_id(visit.home),
                    id_of(_ADDRESS, visit.home),
                    f"N{visit.number}-{place}",
                    offer.code,
                    category,
                    offer.price_fen,
                    speed,
                    day,
                    day + BOUND if speed else None,
                    visit.at,
                )
                for place, (category, speed) in enumerate(rows)
            ),
        )


def copy(
    connection: psycopg.Connection[Any], into: LiteralString, rows: Iterable[tuple[Any, ...]]
) -> None:
    """Write rows by COPY; `into` is a table with its columns."""
    with connection.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(sql.SQL(into))) as lines:
        for row in rows:
            lines.write_row(row)
