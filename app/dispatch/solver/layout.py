"""The arrays that the search works in, column by column.

A route is a chain of nodes: visits are 0..n-1, technician t leaves from node n+t and ends the day
at node n+v+t. Rows of one node lie together, since they are read together.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.dispatch.solver.model import FAR, Ints, Longs

__all__ = ["FAR", "Ints", "Longs", "Routes", "Scratch", "Terms"]

# Columns of `nodes`: a visit, or where and when a technician's day begins (and ends).
PLACE, DURATION, OPENS, CLOSES, DUE, LATE_WEIGHT, UNPLACED, LOCKED = range(8)
# Columns of `staff`.
KIND, LUNCH_FROM, LUNCH_UNTIL, LUNCH_LENGTH, SHARE = range(5)
# Columns of `ring`, the routes node by node: neighbours in the route, technician (-1: unplaced),
# earliest start, latest start that leaves the rest possible, latest start that makes nothing more
# expensive by lateness than it is, and the travel from PREV.
NEXT, PREV, OF, BEGIN, LATEST, FREE, WAY = range(7)
# Columns of `tours`, the routes technician by technician; LUNCH_AFTER is a node, -1: no lunch.
SIZE, WORK, COST, TRAVEL, LUNCH_AFTER = range(5)
# Columns of `marks`: iteration in which a route was kept, and torn; where it was kept.
KEPT_IN, TORN_IN, KEPT_AT = range(3)
# Places of `counts`.
TOUCHED, ABSENT, KEPT, BLINK, STAMP = range(5)
# Columns of `known`: what a visit costs in a route at the least, and the node after which it costs
# that, -1: perhaps nowhere.
AT_LEAST, AFTER = range(2)
# Places of `totals`: cost now, least cost, iterations done.
NOW, LEAST, ITERATIONS = range(3)


class Terms(NamedTuple):
    """What does not change during a search. Nodes N = n + 2v, places P, kinds of technician K."""

    n: int
    v: int
    soft: bool  # is any lateness priced?
    by_choice: bool  # look through technicians by what they cost, not through neighbouring visits
    uneven: int  # cost of work beyond the share, in thousandths
    nodes: Ints  # (N, 8)
    staff: Ints  # (v, 5)
    travel: Ints  # (P, P)
    fit: Ints  # (n, K) cost of this visit with this kind of technician, FAR: never
    choice: Ints  # (n, v) technicians by `fit`, best first (by_choice, where K = v)
    needs: Ints  # (n, S)
    stock: Ints  # (v, S)
    near: Ints  # (n, A) visits by distance, nearest first: what is torn out together
    before: Ints  # (n, B) visits after which one may go well
    after: Ints  # (n, B) visits before which one may go well


class Routes(NamedTuple):
    """The routes as they are now."""

    ring: Ints  # (N, 7)
    tours: Longs  # (v, 5)
    load: Ints  # (v, S)


class Scratch(NamedTuple):
    """Room to work in; chance, what has no place and what is known outlive an iteration."""

    rng: NDArray[np.uint64]  # (1,)
    counts: Longs  # (5,)
    marks: Longs  # (v, 3)
    touched: Ints  # (v,)
    old_ring: Ints  # (N, 5): node, BEGIN, LATEST, FREE, WAY of what was kept
    old_tours: Longs  # (v, 5)
    old_load: Ints  # (v, S)
    old_stamps: Longs  # (v,)
    stamps: Longs  # (v,) a number of its own for each state of a route
    known_at: Longs  # (n, v) state of a route in which a visit was tried there, by `choice`
    known: Ints  # (n, v, 2) what came of it
    loose: Ints  # (n,) visits to be put back
    keys: NDArray[np.float64]  # (n,) what they are sorted by
    absent: Ints  # (n,) visits without a place
    absent_next: Ints  # (n,)
    spare: Ints  # (K,) an empty route of each kind, -1: none
