"""The demo city: an organisation, grids, technicians, customers and their past, from one seed."""

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from app.auth.rules import OrgLevel, Role
from app.terminals.rules import TerminalKind
from seed import households, people, terrain
from seed.contracts import Contract, contracts
from seed.dice import Dice
from seed.households import MODELS, Household
from seed.people import ZONE, Leave, Membership, Technician
from seed.terrain import BRANCHES, Compound, Grid

SEED = 20260302
# The demo's working day, a Monday; everything about the past is told back from it.
DAY = date(2026, 3, 2)
HOUSEHOLDS = 5000

# The password of every account of the demo, and of nothing else. It is public: an installation
# that anybody can reach must not load the demo city.
DEMO_PASSWORD = "yingwei-demo-2026"

HERE = Path(__file__).resolve().parent


class Unit(NamedTuple):
    """One unit of the organisation."""

    code: str
    parent: str | None
    level: OrgLevel
    zh: str
    en: str


class Account(NamedTuple):
    """Who can sign in, and where in the organisation."""

    username: str
    role: Role
    unit: str
    technician: str | None = None


PROVINCE, CITY, DISTRICT = "yj", "ch", "np"
UNITS = (
    Unit(PROVINCE, None, OrgLevel.PROVINCE, "云江省公司", "Yunjiang Province"),
    Unit(CITY, PROVINCE, OrgLevel.CITY, "澄湖市分公司", "Chenghu City"),
    Unit(DISTRICT, CITY, OrgLevel.DISTRICT, "南浦区分局", "Nanpu District"),
    Unit("b01", DISTRICT, OrgLevel.BRANCH, "东湖支局", "East Lake Branch"),
    Unit("b02", DISTRICT, OrgLevel.BRANCH, "西岭支局", "West Hill Branch"),
    Unit("b03", DISTRICT, OrgLevel.BRANCH, "北苑支局", "North Garden Branch"),
    Unit("b04", DISTRICT, OrgLevel.BRANCH, "南湾支局", "South Bay Branch"),
)


@dataclass(frozen=True)
class City:
    """Everything about the city; `files` is the same as an operator would hand it in."""

    seed: int
    today: date
    grids: Sequence[Grid]
    compounds: Sequence[Compound]
    technicians: Sequence[Technician]
    memberships: Sequence[Membership]
    contracts: Sequence[Contract]
    leaves: Sequence[Leave]
    households: Sequence[Household]

    @property
    def accounts(self) -> list[Account]:
        """One administrator, a supervisor for each branch, one upstream system, the technicians."""
        return [
            Account("admin", Role.ADMIN, PROVINCE),
            *(Account(f"supervisor-{branch}", Role.SUPERVISOR, branch) for branch in BRANCHES),
            Account("upstream", Role.INTEGRATION, DISTRICT),
            *(
                Account(person.code.lower(), Role.TECHNICIAN, person.branch, person.code)
                for person in self.technicians
            ),
        ]

    @property
    def founded(self) -> date:
        """Since when grids and their people are as they are: two months before the day."""
        return self.today - timedelta(days=60)

    @property
    def as_of(self) -> datetime:
        """When the CRM wrote its files: the midnight before the day."""
        return datetime.combine(self.today, time.min, ZONE)

    @cached_property
    def files(self) -> Mapping[str, bytes]:
        """The city as files: a layer for each branch, and a CSV file for each kind of thing."""
        layers = {
            f"layers/{branch}.geojson": terrain.layer(list(self.grids), branch)
            for branch in BRANCHES
        }
        tables = {
            "technicians.csv": map(_technician, self.technicians),
            "customers.csv": (_customer(home, self.as_of) for home in self.households),
            "addresses.csv": (_address(home, self.as_of) for home in self.households),
            "subscriptions.csv": _subscriptions(self.households, self.as_of),
            "months.csv": _months(self.households, self.as_of),
            "contacts.csv": _contacts(self.households),
            "terminals.csv": _terminals(self),
        }
        return layers | {name: _csv(rows) for name, rows in tables.items()}

    @property
    def digest(self) -> str:
        """What the whole city hashes to: two cities with the same digest are the same."""
        digest = hashlib.sha256()
        for name, content in sorted(self.files.items()):
            digest.update(f"{name} {len(content)} ".encode() + content)
        rows: list[tuple[object, ...]] = [*map(astuple, self.memberships), *self.accounts]
        rows += map(astuple, self.contracts)
        rows += map(astuple, self.leaves)
        for row in rows:
            digest.update("|".join(map(str, row)).encode())
        return digest.hexdigest()


def build(seed: int = SEED, today: date = DAY) -> City:
    """Build the city of a seed as it is on a local day; the same each time and everywhere."""
    grids = terrain.grids(seed)
    compounds = terrain.compounds(seed, grids, HOUSEHOLDS)
    crew = people.technicians(seed)
    members = people.memberships(seed, grids, crew)
    return City(
        seed=seed,
        today=today,
        grids=grids,
        compounds=compounds,
        technicians=crew,
        memberships=members,
        contracts=contracts(seed, grids, crew, members, compounds, today),
        leaves=people.leaves(seed, crew, today),
        households=households.households(seed, compounds, today),
    )


# --- the lines of the files -----------------------------------------------------------------------

Line = dict[str, Any]


def _csv(rows: Iterable[Line]) -> bytes:
    text = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(text, list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow(row)
    return text.getvalue().encode()


def _technician(person: Technician) -> Line:
    return {
        "code": person.code,
        "name": person.name,
        "org_unit": person.branch,
        "phone": person.phone,
        "contractor": person.contractor,
        "skills": person.skills,
        "shifts": person.shifts,
        "home_lon": person.home[0],
        "home_lat": person.home[1],
        "home_coordsys": "gcj02",
    }


def _customer(home: Household, as_of: datetime) -> Line:
    return {
        "code": home.code,
        "as_of": as_of.isoformat(),
        "org_unit": home.compound.branch,
        "name": home.name,
        "phone": home.phone,
        "segment": home.segment.value,
        "activated_on": home.activated_on,
        "do_not_disturb": home.do_not_disturb,
        "elderly": home.elderly,
        "preferred_channel": home.preferred_channel and home.preferred_channel.value,
        "arrears_fen": home.arrears_fen,
        "monthly_usage_gb": home.monthly_usage_gb,
    }


def _address(home: Household, as_of: datetime) -> Line:
    return {
        "code": f"A{home.number:06d}",
        "customer": home.code,
        "standard_address": home.address,
        "locality": home.compound.name,
        "building": home.building,
        "room": home.room,
        "lon": home.place[0],
        "lat": home.place[1],
        "coordsys": "gcj02",
        "olt_port": home.olt_port,
        "port_free": home.port_free,
        "max_speed_mbps": home.line_max_mbps,
        "checked_at": None if home.line_max_mbps is None else as_of.isoformat(),
    }


def _subscriptions(homes: Iterable[Household], as_of: datetime) -> Iterable[Line]:
    return (
        {
            "service_number": service.number,
            "as_of": as_of.isoformat(),
            "customer": home.code,
            "address": f"A{home.number:06d}",
            "offering_code": service.offering,
            "category": service.category,
            "monthly_price_fen": service.price_fen,
            "speed_mbps": service.speed_mbps,
            "started_on": service.started_on,
            "contract_ends_on": service.contract_ends_on,
        }
        for home in homes
        for service in home.services
    )


def _months(homes: Iterable[Household], as_of: datetime) -> Iterable[Line]:
    return (
        {
            "customer": home.code,
            "month": month.first.isoformat()[:7],
            "as_of": as_of.isoformat(),
            "income_fen": month.income_fen,
            "new_service_income_fen": month.new_service_income_fen,
            "usage_gb": month.usage_gb,
        }
        for home in homes
        for month in home.months
    )


def _contacts(homes: Iterable[Household]) -> Iterable[Line]:
    return (
        {
            "external_id": contact.number,
            "customer": home.code,
            "at": contact.at.isoformat(),
            "channel": contact.channel.value,
            "kind": contact.kind.value,
            "subject": contact.subject,
            "outcome": contact.outcome,
            "closed_at": contact.closed_at and contact.closed_at.isoformat(),
        }
        for home in homes
        for contact in home.contacts
    )


# What a van sets out with in the morning, at least and at most.
_VAN = {
    TerminalKind.ONT_GATEWAY: (3, 6),
    TerminalKind.SET_TOP_BOX: (2, 4),
    TerminalKind.WIFI_REPEATER: (2, 4),
    TerminalKind.CAMERA: (1, 2),
}
_WAREHOUSE = 25


def _terminals(city: City) -> Iterable[Line]:
    dice = Dice(city.seed, "terminals")
    for home in city.households:
        for device in home.devices:
            yield _terminal(
                device.serial_number,
                device.kind,
                device.model,
                home.compound.branch,
                pool="customer",
                customer=home.code,
            )
    for person in city.technicians:
        for kind, (least, most) in _VAN.items():
            for nth in range(dice.whole(least, most)):
                serial_number = f"{kind.value[:2].upper()}V{person.code}{nth:02d}"
                model = dice.pick(MODELS[kind])
                yield _terminal(
                    serial_number, kind, model, person.branch, pool="van", technician=person.code
                )
    for branch in BRANCHES:
        for kind in TerminalKind:
            for nth in range(_WAREHOUSE):
                serial_number = f"{kind.value[:2].upper()}W{branch.upper()}{nth:03d}"
                model = dice.pick(MODELS[kind])
                yield _terminal(serial_number, kind, model, branch, pool="warehouse")


def _terminal(
    serial_number: str,
    kind: TerminalKind,
    model: str,
    branch: str,
    *,
    pool: str,
    technician: str | None = None,
    customer: str | None = None,
) -> Line:
    return {
        "serial_number": serial_number,
        "org_unit": branch,
        "kind": kind.value,
        "model": model,
        "pool": pool,
        "technician": technician,
        "customer": customer,
    }
