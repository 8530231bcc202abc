"""The engines: each takes a problem and processor time, and gives a plan.

What an engine cannot say is said as near as it can, and the judge's rules are applied afterwards to
all alike (`mended`). Lateness has a price in the kernel and in OR-Tools; PyVRP and VROOM know only
windows, so for them due times are windows, and what finds no place is put in late afterwards. Lunch
is a break in the kernel, VROOM and OR-Tools; for PyVRP noon is cut out of the day.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.dispatch.solver import FAR, Plan, Problem
from app.dispatch.solver.model import binding
from app.dispatch.solver.solve import Budget, solve

Engine = Callable[[Problem, float, int], Plan]

NOON = 12 * 3_600
FORBIDDEN = 10_000_000


def kernel(problem: Problem, cpu_seconds: float, seed: int) -> Plan:
    """Our own."""
    return solve(problem, Budget(seconds=cpu_seconds), seed=seed, clock=time.process_time).plan


def mended(problem: Problem, plan: Plan) -> Plan:
    """What keeps every rule of a plan, with the rest put in greedily where it pays."""
    return solve(problem, Budget(iterations=0), warm=plan).plan


def _windows(problem: Problem) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Windows of the start, with due times as their ends."""
    visits = problem.visits
    closes = np.where(
        visits.due < FAR, np.minimum(visits.closes, visits.due - visits.duration), visits.closes
    )
    latest = int(problem.technicians.shift_end.max())
    opens = visits.opens.astype(np.int64)
    return opens, np.maximum(opens, np.minimum(closes, latest))


def pyvrp(problem: Problem, cpu_seconds: float, seed: int) -> Plan:
    """Iterated local search with prizes; a profile of distances for each technician."""
    import pyvrp as engine

    n, v = problem.n, problem.v
    visits, staff = problem.visits, problem.technicians
    lunch = int(staff.lunch_length.max(initial=0))

    def squeezed(times: NDArray[np.integer]) -> NDArray[np.int64]:
        """Times with the lunch hour cut out of the day."""
        return np.where(times > NOON, np.maximum(NOON, times - lunch), times)

    opens, closes = (squeezed(times) for times in _windows(problem))
    start, end = squeezed(staff.shift_start), squeezed(staff.shift_end)
    cost = binding(problem)
    alike = bool((cost == 0).all())
    travel = problem.travel.astype(np.int64)
    capacity = [int(problem.visits.needs[:, k].sum()) for k in range(staff.stock.shape[1])]
    distances = []
    for technician in range(1 if alike else v):
        matrix = travel.copy()
        into = np.zeros(len(travel), np.int64)
        into[visits.place] = np.where(cost[:, technician] >= FAR, FORBIDDEN, cost[:, technician])
        matrix += into[None, :]
        np.fill_diagonal(matrix, 0)
        distances.append(matrix)
    places = sorted({*staff.start_place.tolist(), *staff.end_place.tolist()})
    depot = {place: number for number, place in enumerate(places)}
    data = engine.ProblemData(
        locations=[engine.Location(0, 0) for _ in range(len(travel))],
        clients=[
            engine.Client(
                int(visits.place[i]),
                delivery=[int(x) for x in visits.needs[i]],
                service_duration=int(visits.duration[i]),
                tw_early=int(opens[i]),
                tw_late=int(closes[i]),
                prize=int(visits.unplaced[i]),
                required=False,
            )
            for i in range(n)
        ],
        depots=[engine.Depot(place) for place in places],
        vehicle_types=[
            engine.VehicleType(
                v if alike else 1,
                capacity=[int(x) for x in np.minimum(staff.stock[t], capacity)],
                start_depot=depot[int(staff.start_place[t])],
                end_depot=depot[int(staff.end_place[t])],
                tw_early=int(start[t]),
                tw_late=int(end[t]),
                profile=0 if alike else t,
                name=str(t),
            )
            for t in range(1 if alike else v)
        ],
        distance_matrices=distances,
        duration_matrices=[travel for _ in distances],
    )
    began = time.process_time()
    result = engine.solve(
        data,
        stop=lambda _cost: time.process_time() - began >= cpu_seconds,
        seed=seed,
        collect_stats=False,
        display=False,
    )
    routes: list[list[int]] = [[] for _ in range(v)]
    for number, route in enumerate(result.best.routes()):
        technician = number if alike else route.vehicle_type()
        routes[technician] = [a.idx for a in route if a.is_client()]
    return tuple(map(tuple, routes))


def vroom(problem: Problem, cpu_seconds: float, seed: int) -> Plan:
    """Its own constructions and local search at the highest level.

    It knows wall time alone, so it is run again with more where others took the processor.
    """
    import vroom as engine

    n, v = problem.n, problem.v
    visits, staff = problem.visits, problem.technicians
    opens, closes = _windows(problem)
    cost = binding(problem)
    model = engine.Input()
    travel = problem.travel.astype(np.uint32)
    for technician in range(v):
        profile = f"t{technician}"
        priced = problem.travel.astype(np.int64)
        into = np.zeros(len(travel), np.int64)
        into[visits.place] = np.where(cost[:, technician] >= FAR, 0, cost[:, technician])
        priced = priced + into[None, :]
        np.fill_diagonal(priced, 0)
        model.set_durations_matrix(profile, travel)
        model.set_costs_matrix(profile, priced.astype(np.uint32))
        lunch = int(staff.lunch_length[technician])
        breaks = (
            [
                engine.Break(
                    technician,
                    [
                        engine.TimeWindow(
                            int(staff.lunch_from[technician]), int(staff.lunch_until[technician])
                        )
                    ],
                    lunch,
                )
            ]
            if lunch
            else []
        )
        model.add_vehicle(
            engine.Vehicle(
                technician,
                start=int(staff.start_place[technician]),
                end=int(staff.end_place[technician]),
                profile=profile,
                capacity=[int(x) for x in staff.stock[technician]],
                skills={i for i in range(n) if cost[i, technician] < FAR},
                time_window=engine.TimeWindow(
                    int(staff.shift_start[technician]), int(staff.shift_end[technician])
                ),
                breaks=breaks,
            )
        )
    most = int(visits.unplaced.max(initial=1))
    for i in range(n):
        model.add_job(
            engine.Job(
                i,
                location=int(visits.place[i]),
                default_service=int(visits.duration[i]),
                delivery=engine.Amount([int(x) for x in visits.needs[i]]),
                skills={i},
                priority=int(100 * int(visits.unplaced[i]) // most),
                time_windows=[engine.TimeWindow(int(opens[i]), int(closes[i]))],
            )
        )
    del seed  # it draws nothing
    most_s, limit = cpu_seconds, cpu_seconds
    for _ in range(4):
        began = time.process_time()
        solution = model.solve(5, nb_threads=1, timeout=timedelta(seconds=limit))
        used = time.process_time() - began
        if used >= 0.9 * most_s:
            break
        limit *= min(8.0, most_s / used)
    frame = solution.routes
    routes: list[tuple[int, ...]] = []
    for technician in range(v):
        mine = frame[(frame.vehicle_id == technician) & (frame.type == "job")]
        routes.append(tuple(int(x) for x in mine.id))
    return tuple(routes)


def ortools(problem: Problem, cpu_seconds: float, seed: int) -> Plan:
    """Guided local search after parallel cheapest insertion, with soft due times and breaks."""
    from ortools.constraint_solver import pywrapcp, routing_enums_pb2

    n, v = problem.n, problem.v
    visits, staff = problem.visits, problem.technicians
    cost = binding(problem)
    began = time.process_time()
    nodes = n + 2 * v
    place = np.concatenate([visits.place, staff.start_place, staff.end_place])
    manager = pywrapcp.RoutingIndexManager(
        nodes, v, list(range(n, n + v)), list(range(n + v, nodes))
    )
    routing = pywrapcp.RoutingModel(manager)
    way = problem.travel[np.ix_(place, place)].astype(np.int64)
    service = np.zeros(nodes, np.int64)
    service[:n] = visits.duration
    time_callback = routing.RegisterTransitMatrix((way + service[:, None]).tolist())
    for t in range(v):
        into = np.zeros(nodes, np.int64)
        into[:n] = np.where(cost[:, t] >= FAR, FORBIDDEN, cost[:, t])
        callback = routing.RegisterTransitMatrix((way + into[None, :]).tolist())
        routing.SetArcCostEvaluatorOfVehicle(callback, t)
    latest = int(staff.shift_end.max())
    routing.AddDimension(time_callback, latest, latest, False, "time")
    clock = routing.GetDimensionOrDie("time")
    solver = routing.solver()
    for i in range(n):
        index = manager.NodeToIndex(i)
        allowed = [t for t in range(v) if cost[i, t] < FAR]
        solver.Add(solver.MemberCt(routing.VehicleVar(index), [-1, *allowed]))
        routing.AddDisjunction([index], int(visits.unplaced[i]))
        closes = int(min(visits.closes[i], latest))
        due = int(visits.due[i]) - int(visits.duration[i])
        if visits.due[i] < FAR:
            closes = max(0, min(closes, due + problem.costs.late_cap))
            clock.SetCumulVarSoftUpperBound(index, max(0, due), int(visits.late_weight[i]))
        clock.CumulVar(index).SetRange(int(min(visits.opens[i], closes)), closes)
    for t in range(v):
        for index in (routing.Start(t), routing.End(t)):
            clock.CumulVar(index).SetRange(int(staff.shift_start[t]), int(staff.shift_end[t]))
        if staff.lunch_length[t]:
            rest = solver.FixedDurationIntervalVar(
                int(staff.lunch_from[t]),
                int(staff.lunch_until[t]),
                int(staff.lunch_length[t]),
                False,
                f"lunch{t}",
            )
            clock.SetBreakIntervalsOfVehicle([rest], t, [int(x) for x in service])
    for kind in range(staff.stock.shape[1]):
        amounts = np.zeros(nodes, np.int64)
        amounts[:n] = visits.needs[:, kind]
        callback = routing.RegisterUnaryTransitVector(amounts.tolist())
        stock = [int(x) for x in staff.stock[:, kind]]
        routing.AddDimensionWithVehicleCapacity(callback, 0, stock, True, f"stock{kind}")
    routing.AddSearchMonitor(solver.CustomLimit(lambda: time.process_time() - began >= cpu_seconds))
    settings: Any = pywrapcp.DefaultRoutingSearchParameters()
    settings.first_solution_strategy = (
        routing_enums_pb2.FirstSolutionStrategy.PARALLEL_CHEAPEST_INSERTION
    )
    settings.local_search_metaheuristic = (
        routing_enums_pb2.LocalSearchMetaheuristic.GUIDED_LOCAL_SEARCH
    )
    # Of wall time, as a net: the processor time above ends the search.
    settings.time_limit.FromTimedelta(timedelta(seconds=20 * cpu_seconds + 10))
    del seed
    assignment = routing.SolveWithParameters(settings)
    if assignment is None:
        return ((),) * v
    routes = []
    for t in range(v):
        route, index = [], assignment.Value(routing.NextVar(routing.Start(t)))
        while not routing.IsEnd(index):
            route.append(manager.IndexToNode(index))
            index = assignment.Value(routing.NextVar(index))
        routes.append(tuple(route))
    return tuple(routes)


ENGINES: dict[str, Engine] = {
    "kernel": kernel,
    "PyVRP": pyvrp,
    "VROOM": vroom,
    "OR-Tools": ortools,
}
