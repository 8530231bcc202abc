"""The made province is the same by its seed, and published instances are read as published."""

import numpy as np

from app.dispatch.solver import judge
from benchmarks.dispatch import province, vrptw

# The first lines of Solomon's format, with customers of our own.
INSTANCE = """TINY

VEHICLE
NUMBER     CAPACITY
  3         20

CUSTOMER
CUST NO.   XCOORD.   YCOORD.    DEMAND   READY TIME  DUE DATE   SERVICE TIME

    0      0         0          0          0        100          0
    1      3         4          7         10         20          5
    2      1         1         14          0         90          5
"""


def test_a_branch_is_the_same_by_its_seed_and_number():
    one, again, other = province.branch(3, 7), province.branch(3, 7), province.branch(3, 8)
    for name in one.visits.__dataclass_fields__:
        assert np.array_equal(getattr(one.visits, name), getattr(again.visits, name))
    assert np.array_equal(one.travel, again.travel)
    assert not np.array_equal(one.travel[:20, :20], other.travel[:20, :20])


def test_every_grid_of_a_branch_has_one_primary_and_backups():
    classes = province.branch(3, 7).owner_class
    assert ((classes == 0).sum(axis=1) == 1).all()
    assert ((classes == 1).sum(axis=1) >= 2).all()


def test_an_instance_is_read_in_tenths_with_distances_cut_off(tmp_path):
    (tmp_path / "R101.txt").write_text(INSTANCE)
    (tmp_path / "best-known.csv").write_text("R101,12.8\n")
    [(path, best)] = vrptw.chosen(tmp_path, 2)[100]
    problem = vrptw.load(path)
    assert (best, problem.n, problem.v) == (128, 2, 2)
    assert problem.travel.tolist() == [[0, 50, 14], [50, 0, 36], [14, 36, 0]]
    verdict = judge(problem, ((0,), (1,)))
    assert verdict.breaches == ()
    assert verdict.bill.total == 2 * 50 + 2 * 14
    assert judge(problem, ((0, 1), ())).breaches  # 21 pieces in a van of 20
