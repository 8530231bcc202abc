"""Reading a day: everything that a part of the organisation is to plan, by district."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.parameter_values import parameters_in_force
from app.dispatch.queries import declined as declined_of
from app.dispatch.queries import vans as vans_of
from app.dispatch.queries.routes import last_places, written_routes
from app.dispatch.rules import HAND_BACK_REST
from app.dispatch.rules.costs import Terms, costs_of
from app.dispatch.rules.frames import frame_of
from app.dispatch.rules.vans import Van
from app.dispatch.solver import FAR
from app.grids.rules import MembershipKind
from app.planning.queries import districts as queries
from app.planning.queries.districts import Unit
from app.planning.queries.fairness import past_of
from app.planning.rules import fairness
from app.planning.rules.asked import EMPTY, Asked, Membership, Person, Taken, Wanted
from app.planning.rules.building import build
from app.planning.rules.districts import District, Fact, LeftOut
from app.technicians import queries as technicians
from app.technicians.queries import Working
from app.travel.queries import travel_in_force
from app.travel.rules import Place
from app.workorders.rules import HELD, UNDER_WAY, State, UnplacedReason

_NOT_BEGUN = frozenset({State.ASSIGNED, State.ACKNOWLEDGED})
# For these reasons nobody is sent out, whoever is at work.
_NOBODY_GOES = frozenset(
    {
        UnplacedReason.NO_POINT,
        UnplacedReason.SHARED_POINT,
        UnplacedReason.NO_GRID,
        UnplacedReason.OUTAGE,
    }
)


@dataclass(frozen=True, slots=True)
class _Day:
    """A local day: its first moment, and now (in seconds after it) where it has begun."""

    day: date
    zone: ZoneInfo
    begins: datetime
    now: datetime
    origin: int
    today: bool

    @property
    def seconds(self) -> int | None:
        return int(self.now.timestamp()) - self.origin if self.today else None

    @property
    def moment(self) -> datetime:
        """From when on people can work: now, or the first moment of a day to come."""
        return self.now if self.today else self.begins

    def after(self, epoch: int | None) -> int | None:
        return None if epoch is None else epoch - self.origin


def _day(day: date, zone: ZoneInfo, now: datetime) -> _Day:
    begins = datetime.combine(day, time.min, zone).astimezone(UTC)
    today = now.astimezone(zone).date() == day
    return _Day(day, zone, begins, now, int(begins.timestamp()), today)


async def read_districts(
    session: AsyncSession, org_path: str, day: date, *, zone: ZoneInfo, now: datetime
) -> list[District]:
    """Read everything for an org unit, given by its path, and a local day of its `zone`.

    A district is the org unit to which technicians and their grids' orders belong; a crew plans
    with its branch. Whoever is lent to another unit on that day, or to a grid of another unit
    while they are nobody's primary at home, is planned there. Orders that somebody holds are
    planned where their holder is; the others where they lie. Today is planned from now on, with
    the routes in force as they are; a day to come as a whole. A dozen statements, whatever the
    size.

    Raises TooManySkills.
    """
    local = _day(day, zone, now)
    units = await queries.units(session)
    within = {unit.id for unit in units.values() if unit.path.startswith(org_path)}
    people = await queries.people(session, org_path, day)
    ids = [one.technician_id for one in people]
    members = await queries.memberships(session, ids, day)
    rows = await queries.orders(
        session,
        org_path=org_path,
        unit_ids=within,
        technician_ids=ids,
        day=day,
        today=local.today,
        since=local.begins,
        until=local.begins + timedelta(days=1),
    )
    belongs = _belongs(people, units, rows)
    parameters = await parameters_in_force(session)
    working = await technicians.working(
        session,
        ids,
        from_moment=local.begins - timedelta(days=1),
        until_moment=local.begins + timedelta(days=2),
        last_day=day,
    )
    rest = parameters.number(HAND_BACK_REST, now, org_path)
    declined = await declined_of(
        session, [row.id for row in rows], handed_back_since=now - timedelta(hours=rest)
    )
    written = await written_routes(session, ids, [day])
    routes = {technician_id: route for (technician_id, _), route in written.items()}
    last = await last_places(session, ids, day) if local.today else {}
    taken = await queries.held_slots(session, ids, day, now)
    vans = await vans_of(session, ids) if any(row.terminals for row in rows) else {}
    past = await past_of(session, ids, day)
    published = await queries.published_paths(session, day)
    lent = frozenset(one.technician_id for one in people if one.lent)
    planned = frozenset({*belongs.values(), *(units[one].district_id for one in within)})
    read = _Read(local, units, belongs, working, declined, last, org_path, lent, planned, vans)
    orders, left_out = _orders(read, rows)
    grids = _by_grid(members)
    at_it = {row.holder_id for row in rows if row.state in UNDER_WAY}
    teams: dict[UUID, list[UUID]] = {}
    for who, org_unit_id in belongs.items():
        teams.setdefault(org_unit_id, []).append(who)
    districts = []
    for org_unit_id in sorted({*teams, *orders, *left_out}):
        path = units[org_unit_id].path
        terms = costs_of(parameters, local.moment, path)
        at_work, absent = _people(read, terms, teams.get(org_unit_id, ()), at_it)
        here = {one.technician_id for one in at_work}
        leanings = fairness.leanings_of(
            {who: past[who] for who in here}, parameters, local.moment, path
        )
        mine = orders.get(org_unit_id, [])
        districts.append(
            build(
                Asked(
                    org_unit_id=org_unit_id,
                    day=day,
                    origin=local.origin,
                    now=local.seconds,
                    people=at_work,
                    orders=mine,
                    terms=terms,
                    travel=await travel_in_force(session, local.moment, path),
                    stays=local.today or any(path.startswith(one) for one in published),
                    routes=routes,
                    memberships={
                        one.fact.grid_id: grids.get(one.fact.grid_id, ())
                        for one in mine
                        if one.fact.grid_id is not None
                    },
                    taken=[
                        Taken(
                            one.technician_id,
                            one.opens - local.origin,
                            one.closes - local.origin,
                            one.minutes * 60,
                        )
                        for one in taken
                        if one.technician_id in here
                    ],
                    absent=absent,
                    leanings=leanings,
                    left_out=left_out.get(org_unit_id, ()),
                )
            )
        )
    return districts


def _belongs(
    people: Sequence[queries.Person], units: Mapping[UUID, Unit], rows: Sequence[Row[Any]]
) -> dict[UUID, UUID]:
    """Say in which district everybody is planned.

    Whoever is lent to a unit above the branches goes to the branch with most work a head.
    """
    home = {one.technician_id: units[one.org_unit_id].district_id for one in people}
    work: dict[UUID, int] = {}
    for row in rows:
        unit = units[row.org_unit_id].district_id
        work[unit] = work.get(unit, 0) + int(row.estimated_minutes)
    heads = Counter(home.values())
    for one in people:
        lent_to = units[one.org_unit_id]
        if not one.lent or lent_to.district_id in work:
            continue
        below = [unit for unit in work if units[unit].path.startswith(lent_to.path)]
        if below:
            busiest = max(below, key=lambda unit: (work[unit] / (heads[unit] + 1), unit))
            home[one.technician_id] = busiest
            heads[busiest] += 1
    return home


@dataclass(frozen=True, slots=True)
class _Read:
    local: _Day
    units: Mapping[UUID, Unit]
    belongs: Mapping[UUID, UUID]
    working: Mapping[UUID, Working]
    declined: Mapping[UUID, Collection[UUID]]
    last: Mapping[UUID, Place]
    org_path: str
    lent: frozenset[UUID]
    planned: frozenset[UUID]
    vans: Mapping[UUID, Van]

    def district_of(self, row: Row[Any]) -> UUID:
        """Say in which district an order is planned: its holder's, but who is lent to somewhere
        else leaves at home what is not begun."""
        lies = self.units[row.org_unit_id].district_id
        works = self.belongs.get(row.holder_id, lies)
        return lies if row.holder_id in self.lent and row.state in _NOT_BEGUN else works


def _orders(
    read: _Read, rows: Iterable[Row[Any]]
) -> tuple[dict[UUID, list[Wanted]], dict[UUID, list[LeftOut]]]:
    """Sort orders by district, and say of those that cannot be planned at all why not."""
    local = read.local
    orders: dict[UUID, list[Wanted]] = {}
    left_out: dict[UUID, list[LeftOut]] = {}
    for row in rows:
        unit = read.units[row.org_unit_id]
        district = read.district_of(row)
        if district not in read.planned:
            continue
        state = State(row.state)
        fact = Fact(
            order_id=row.id,
            state=state,
            holder_id=row.holder_id,
            planned_day=row.planned_day,
            grid_id=row.grid_id,
            due=local.after(row.due),
            priority=row.priority,
            minutes=row.estimated_minutes,
        )
        why = _why_out(row, state, local)
        if why is not None:
            left_out.setdefault(district, []).append(LeftOut(fact, why))
            continue
        opens, closes = local.after(row.opens), local.after(row.closes)
        orders.setdefault(district, []).append(
            Wanted(
                fact,
                Place.of(row.lon, row.lat, row.grid_id, row.kind),
                0 if opens is None else opens,
                FAR if closes is None else closes,
                frozenset(row.skills),
                row.pinned_to,
                local.after(row.since),
                tuple(sorted(read.declined.get(row.id, ()))),
                ours=unit.district_id == district,
                bound=not unit.path.startswith(read.org_path),
                terminals=tuple(row.terminals),
            )
        )
    return orders, left_out


def _why_out(row: Row[Any], state: State, local: _Day) -> UnplacedReason | None:
    """Say why an order that nobody holds is not even looked at."""
    if state in HELD:
        return None
    reason = UnplacedReason(row.unplaced_reason) if row.unplaced_reason else None
    if reason in _NOBODY_GOES:
        return reason
    if row.lon is None:
        return UnplacedReason.NO_POINT
    if row.grid_id is None:
        return UnplacedReason.NO_GRID
    if row.closes is not None and row.closes < local.moment.timestamp():
        return UnplacedReason.WINDOW_UNREACHABLE
    return None


def _people(
    read: _Read, terms: Terms, team: Iterable[UUID], at_it: Collection[UUID]
) -> tuple[list[Person], frozenset[UUID]]:
    """Say who of a district is at work on the day from now on, and who is not."""
    local = read.local
    at_work, absent = [], set()
    for who in team:
        person = read.working[who]
        frame = frame_of(
            person,
            local.day,
            now=local.moment,
            lunch_slack=terms.lunch_slack,
            last=read.last.get(who),
            under_way=who in at_it,
        )
        if frame is None or (frame.begins >= frame.ends and who not in at_it):
            absent.add(who)
            continue
        van = read.vans.get(who, EMPTY)
        at_work.append(Person(who, frame, person.skills, person.daily_minutes * 60, van))
    return at_work, frozenset(absent)


def _by_grid(members: Iterable[Row[Any]]) -> dict[UUID, list[Membership]]:
    grids: dict[UUID, list[Membership]] = {}
    for row in members:
        grids.setdefault(row.grid_id, []).append(
            Membership(row.technician_id, MembershipKind(row.kind), row.rank)
        )
    return grids
