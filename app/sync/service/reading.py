"""Reading a phone's tables: all of them, or what may have changed, as of one moment."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.callers import Caller, technician_of
from app.core.db import fetched, fetched_together
from app.core.geo import CoordSys, from_wgs84
from app.core.parameter_values import parameters_in_force
from app.devices.rules import UNNAMED
from app.releases.rules import AppTooOld
from app.suggestions.queries import levers
from app.suggestions.rules.levers import levers_in_force
from app.sync import rules
from app.sync.queries import rows
from app.sync.queries.feed import News
from app.sync.queries.rows import Table, Whose
from app.sync.rules import Kind, Migration
from app.sync.rules.tables import NO_MIGRATION, TABLE_OF
from app.visits.queries import DayRow, zone_of_unit
from app.visits.queries.shown import order_facts
from app.visits.rules import GRACE_HOURS

# What is written into the audit trail of each customer that is sent in full.
SHOWN_ON_THE_PHONE = (
    "name",
    "phone",
    "service_numbers",
    "standard_address",
    "services",
    "payment",
    "usage",
    "terminals",
)
# Orders that were planned longer ago than this, and completed lately, do not come to phones.
PLANNED_WITHIN = timedelta(days=30)
# For so long a phone finds its actions and what became of them.
ACTIONS_SHOWN = timedelta(days=30)
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Asked:
    """What a phone asks for: since which cursor, for which version of its tables, and by which name
    it calls itself. `turned_away` says that its app is too old, whatever its tables are."""

    cursor: int = rules.NO_CURSOR
    schema_version: int = rules.SCHEMA_VERSION
    migration: Migration = NO_MIGRATION
    coordsys: CoordSys = CoordSys.GCJ02
    device: str = UNNAMED
    turned_away: AppTooOld | None = None


@dataclass
class Changes:
    """What has changed, table by table, and the cursor to come back with.

    `tag` names what a phone with that cursor knows; the same tag means no news.
    """

    tables: dict[str, Rows] = field(default_factory=dict)
    deleted: dict[str, set[Any]] = field(default_factory=dict)
    cursor: int = 0
    more: bool = False
    tag: str = ""
    offline_hours: float = 72.0


async def begun(tx: AsyncSession, caller: Caller, asked: Asked, now: datetime) -> "Reading":
    """Begin a pull of a caller's: as of when, how far back, and for which tables it reads."""
    numbers = await parameters_in_force(tx)

    def number(parameter: Any) -> float:
        return numbers.number(parameter, now, caller.org_path)

    grace = timedelta(hours=number(GRACE_HOURS))
    today = now.astimezone(await zone_of_unit(tx, caller.org_unit_id)).date()
    whose = Whose(
        technician_id=technician_of(caller),
        now=now,
        today=today,
        shown_since=now - grace,
        closed_since=now - timedelta(days=number(rules.CLOSED_DAYS)),
        closed_day=today - PLANNED_WITHIN,
        sales_since=now - timedelta(days=number(rules.SALES_DAYS)),
        actions_since=now - ACTIONS_SHOWN,
    )
    offline_hours = number(rules.OFFLINE_HOURS)
    tables = rules.tables_for(asked.schema_version)
    return Reading(tx, caller, whose, now, grace, asked.coordsys, tables, offline_hours)


@dataclass(frozen=True)
class Reading:
    """One pull: whose rows are read, as of when, and for which tables."""

    tx: AsyncSession
    caller: Caller
    whose: Whose
    now: datetime
    grace: timedelta
    coordsys: CoordSys
    tables: Mapping[str, Collection[str]]
    offline_hours: float

    async def whole(self, names: Iterable[str]) -> Changes:
        """Read all that belongs on the phone of some tables."""
        return await self._read(dict.fromkeys(names))

    async def changed(self, news: Sequence[News]) -> Changes:
        """Read what may have changed: what is still the technician's comes, all else goes."""
        ids: dict[Kind, set[UUID]] = {}
        for one in news:
            ids.setdefault(one.kind, set()).add(one.row_id)
        came = ids.pop(Kind.HOLDING, set())
        if came:
            ids.setdefault(Kind.WORK_ORDER, set()).update(came)
            ids.setdefault(Kind.SUGGESTION, set()).update(came)
        if orders := ids.get(Kind.WORK_ORDER):
            # With each step of an order its customer may begin or cease to be shown to somebody.
            hanging = rows.hanging_on(self.whose, came, orders)
            for kind, row_id in await fetched(self.tx, *hanging):
                ids.setdefault(Kind(kind), set()).add(row_id)
        if self._tells_of_nothing and (decided := ids.get(Kind.SUGGESTION)):
            # That nothing is to be offered stands with the order itself.
            ids.setdefault(Kind.WORK_ORDER, set()).update(decided)
        wanted: dict[str, Collection[Any]] = {
            name: ids[kind]
            for kind, name in TABLE_OF.items()
            if kind in ids and name in self.tables
        }
        if "days" in wanted:
            wanted["days"] = {day_of(one) for one in wanted["days"]}
        return await self._read(wanted)

    async def _read(self, wanted: Mapping[str, Collection[Any] | None]) -> Changes:
        """Read tables in one go, rows of some ids of each or all. What is suggested is asked for by
        its orders' ids: that it is not there any more is told of all that ever was."""
        asked: dict[str, Table] = {
            name: getattr(rows, name)(self.whose, ids) for name, ids in wanted.items()
        }
        if "work_orders" in wanted and self._tells_of_nothing:
            asked["nothing"] = rows.nothing_to_offer(self.whose, wanted["work_orders"])
        if (orders := wanted.get("suggestions")) is not None:
            asked["suggested"] = rows.suggested_before(self.whose, orders)
        answers = await fetched_together(self.tx, *(table.ask for table in asked.values()))
        found = {
            name: table.read(answer)
            for (name, table), answer in zip(asked.items(), answers, strict=True)
        }
        changes = Changes(offline_hours=self.offline_hours)
        for name, ids in wanted.items():
            read = await self._written(name, found)
            if read or ids is None:
                changes.tables[name] = read
            if ids is None:
                continue
            there = [one["id"] for one in found["suggested"]] if name == "suggestions" else ids
            if gone := set(there) - {row["id"] for row in read}:
                changes.deleted[name] = gone
        return changes

    async def _written(self, name: str, found: Mapping[str, Rows]) -> Rows:
        match name:
            case "work_orders":
                return self._orders(found[name], found.get("nothing", ()))
            case "customers":
                return self._customers(found[name])
            case "grids":
                return [self._grid(one) for one in found[name]]
            case "suggestions":
                return await self._offers(found[name])
            case _:
                return found[name]

    @property
    def _tells_of_nothing(self) -> bool:
        return "nothing_because" not in self.tables["work_orders"]

    def _orders(self, found: Rows, decided: Iterable[dict[str, Any]]) -> Rows:
        nothing = {one["work_order_id"]: one for one in decided}
        written = []
        for row in found:
            day = DayRow(*[row[name] for name in DayRow._fields])
            facts = order_facts(day, self.now, self.grace, self.coordsys)
            # What is over has nothing to be offered, and says no more of its customer than it must.
            because = nothing.get(day.id) if day.completed_at is None else None
            point = facts.pop("point") or {"lon": None, "lat": None}
            ends = None if facts["masked"] else facts["completed_at"]
            # It changes by the mere passing of time, and the phone has a clock of its own.
            del facts["resume_overdue"]
            facts["allowed"] = orjson.dumps(facts["allowed"]).decode()
            written.append(
                {
                    **facts,
                    "lon": point["lon"],
                    "lat": point["lat"],
                    "coordsys": self.coordsys.value,
                    "visible_until": ends and ends + self.grace,
                    **{name: row[name] for name in ("template_id", "skills", "terminals")},
                    "nothing_because": because and rules.nothing_of(because, day.work_type),
                }
            )
        return written

    async def _offers(self, found: Rows) -> Rows:
        ruled = await levers(self.tx) if found else ()
        in_force = levers_in_force(ruled, self.caller.org_path, self.whose.today)
        return [rules.offer_of(one, in_force) for one in found]

    def _customers(self, found: Rows) -> Rows:
        for row in found:
            completed_at = row.pop("completed_at")
            row["visible_until"] = completed_at and completed_at + self.grace
        return found

    def _grid(self, row: dict[str, Any]) -> dict[str, Any]:
        shape = orjson.loads(row["boundary"]) if row["boundary"] else None
        if shape is not None and self.coordsys is not CoordSys.WGS84:
            shape["coordinates"] = _shifted(shape["coordinates"], self.coordsys)
        row["boundary"] = shape and orjson.dumps(shape).decode()
        row["coordsys"] = self.coordsys.value
        return row

    def audit(self, changes: Changes) -> None:
        """Write down whom the phone is told of in full, and for which order, and of what others did
        there what they sent."""
        for row in changes.tables.get("customers", ()):
            self._shown("customer", row["id"], row["work_order_id"], SHOWN_ON_THE_PHONE)
        for row in changes.tables.get("actions", ()):
            customer_id, order_id = row.pop("customer_id"), row["work_order_id"]
            if row["payload"] is not None:
                of = ("customer", customer_id) if customer_id else ("work_order", order_id)
                self._shown(*of, order_id, [f"action:{row['id']}"])

    def _shown(self, kind: str, subject_id: UUID, order_id: UUID, fields: Sequence[str]) -> None:
        audit.unmasked(
            self.tx,
            self.caller,
            subject_kind=kind,
            subject_id=subject_id,
            purpose=f"work_order:{order_id}",
            fields=fields,
        )


def day_of(row_id: UUID) -> date:
    """Read the day that an id of the feed stands for."""
    return date.fromisoformat(row_id.hex[-8:])


def _shifted(polygons: list[Any], coordsys: CoordSys) -> list[Any]:
    return [
        [
            [
                [round(lon, 6), round(lat, 6)]
                for lon, lat in (from_wgs84(lon, lat, coordsys) for lon, lat in ring)
            ]
            for ring in polygon
        ]
        for polygon in polygons
    ]
