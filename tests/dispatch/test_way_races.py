"""Many at once for the same people, with real connections: every day can still be driven."""

import asyncio
from datetime import timedelta

from sqlalchemy import select

from app.auth.rules import Role
from app.dispatch.queries.routes import routes_of
from app.dispatch.rules.frames import frame_of
from app.dispatch.rules.routes import follow
from app.grids.rules import MembershipKind
from app.technicians.models import TechnicianDay
from app.technicians.queries import working
from app.travel.rules import Travel
from tests.make.auth import bearer, caller_for
from tests.make.dispatch import make_territory, order


async def drives(database, now):
    """Follow everybody's days as they are written; orders and routes have to be the same."""
    async with database.read() as read:
        days = (await read.execute(select(TechnicianDay.__table__))).all()
        today = now.date()
        people = await working(
            read,
            {row.technician_id for row in days},
            from_moment=now - timedelta(days=1),
            until_moment=now + timedelta(days=9),
            last_day=today + timedelta(days=9),
        )
        read_routes = await routes_of(read, set(people), {row.day for row in days}, today=today)
    found = []
    for row in days:
        route = read_routes[row.technician_id, row.day]
        assert [stop.order_id for stop in route.stops] == row.route
        assert len(route.stops) == row.orders
        frame = frame_of(people[row.technician_id], row.day, now=now, lunch_slack=0)
        if frame is not None:
            found.append(follow(frame, route.stops, Travel()))
    return found


async def test_fifty_at_once_break_nobodys_day(real_app, real_database, real_http, clock):
    """Half of them with appointments, all over two grids, for three people who can do a third."""
    async with real_database.begin() as tx:
        land = await make_territory(tx, grids=2)
        here, there = land.grids
        await land.add_technician(here)
        await land.add_technician(here, MembershipKind.BACKUP)
        await land.add_technician(there)
    headers = bearer(real_app, caller_for(Role.INTEGRATION, land.org_unit))
    until = [f"2026-03-02T{hour}:00:00+08:00" for hour in (10, 12, 14, 16)]

    def body(number):
        place = land.point_in(land.grids[number % 2], east=number % 7 / 7, north=number % 5 / 5)
        window = {}
        if number % 2:
            begins = number // 2 % 3
            window = {"appointment_from": until[begins], "appointment_until": until[begins + 1]}
        return order(f"F-{number}", point=place, estimated_minutes=30 + number % 3 * 15, **window)

    async def send(number):
        for _ in range(20):
            answer = await real_http.post("/v1/work-orders", json=body(number), headers=headers)
            if answer.status_code != 503:
                break
        return answer

    answers = await asyncio.gather(*(send(number) for number in range(50)))
    assert {answer.status_code for answer in answers} == {201}
    states = [answer.json()["state"] for answer in answers]
    assert states.count("received") == 0
    ways = await drives(real_database, clock.now())
    assert sum(len(drive.visits) for drive in ways) == states.count("assigned") > 25
    assert [drive.broken for drive in ways if not drive.holds] == []
