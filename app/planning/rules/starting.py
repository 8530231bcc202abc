"""What a search of a district begins with: another plan's routes, and leave where it belongs."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from app.dispatch.solver import Plan
from app.dispatch.solver.evaluate import follow
from app.dispatch.solver.model import bounds
from app.planning.rules.districts import District


def after(district: District, routes: Mapping[UUID, Sequence[UUID]]) -> Plan:
    """Lay another plan's routes out in a district; orders it does not know stay where they are."""
    number = {fact.order_id: row for row, fact in enumerate(district.facts)}
    known = {order_id for route in routes.values() for order_id in route}
    warm = []
    for technician, current in zip(district.technician_ids, district.current, strict=True):
        route = [number[one] for one in routes.get(technician, ()) if one in number]
        stays = [one for one in current if district.facts[one].order_id not in known]
        warm.append((*route, *stays))
    return tuple(warm)


def start_of(district: District) -> Plan:
    """Give the plan to begin with, with everybody's leave in it, so that no search can lack it.

    Leave stands where the day holds with it; where it does so nowhere, it comes first, and what
    does not fit beside it waits for a place.
    """
    problem, limits = district.problem, bounds(district.problem)
    plan = [list(route) for route in (district.warm or district.current)]
    for block in range(district.orders, problem.n):
        technician = int(problem.visits.pinned[block])
        fixed = problem.frozen_of(technician)
        route = [*fixed, *(visit for visit in plan[technician] if visit not in fixed)]
        for place in range(len(fixed), len(route) + 1):
            tried = (*route[:place], block, *route[place:])
            if not follow(problem, limits, technician, tried)[1]:
                plan[technician] = list(tried)
                break
        else:
            blocks = [block, *(visit for visit in route if visit >= district.orders)]
            blocks.sort(key=lambda visit: int(problem.visits.opens[visit]))
            others = [visit for visit in route if visit not in fixed and visit not in blocks]
            plan[technician] = [*fixed, *blocks, *others]
    return tuple(tuple(route) for route in plan)
