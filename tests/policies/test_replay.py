"""What another policy would have earned, where the truth is known."""

import csv
import gzip

import numpy as np
import pytest

from app.policies.rules.replay import (
    SURE,
    Log,
    Method,
    compared,
    direct,
    effective_size,
    replay,
    weighted_mean,
)

ACTIONS = 3


def simulated(seed, decisions=4_000):
    """A log of a policy with known probabilities, rewards that depend on one feature, and another
    policy with what it is truly worth."""
    chance = np.random.default_rng(seed)
    kind = chance.random(decisions)
    rate = np.stack([0.1 + 0 * kind, 0.4 * kind, 0.3 * (1 - kind)], axis=1)
    logged = np.stack([0.6 - 0.2 * kind, 0.2 + 0.1 * kind, 0.2 + 0.1 * kind], axis=1)
    wanted = np.stack([0.1 + 0 * kind, 0.1 + 0.8 * (kind > 0.5), 0.8 - 0.8 * (kind > 0.5)], axis=1)
    place = (chance.random((decisions, 1)) > np.cumsum(logged, axis=1)[:, :-1]).sum(1)
    reward = (chance.random(decisions) < rate[np.arange(decisions), place]).astype(float)
    log = Log(
        decision=np.repeat(np.arange(decisions), ACTIONS),
        action=np.tile(np.arange(ACTIONS), decisions),
        features=np.repeat(kind[:, None], ACTIONS, axis=0),
        logged=logged.ravel(),
        taken=(np.arange(ACTIONS) == place[:, None]).ravel(),
        reward=reward,
    )
    return log, wanted.ravel(), float((wanted * rate).sum(1).mean()), logged.ravel()


@pytest.mark.parametrize("method", list(Method))
def test_intervals_hold_the_truth_as_often_as_they_say(method):
    logs = [simulated(seed, 1_500) for seed in range(60)]
    found = [(replay(log, wanted).estimates[method], true) for log, wanted, true, _ in logs]
    inside = sum(one.low <= true <= one.high for one, true in found)
    assert inside >= 52  # 57 are expected of 60, and fewer than 52 in one of a thousand tries
    mean = np.mean([one.value for one, _ in found])
    assert mean == pytest.approx(np.mean([true for _, true in found]), abs=0.005)


def test_a_direct_model_narrows_the_interval_and_pairs_narrow_it_more():
    log, wanted, true, logged = simulated(1)
    estimates = replay(log, wanted).estimates
    width = {name: one.high - one.low for name, one in estimates.items()}
    assert width[Method.DR] < width[Method.IPS]
    # What both would have done alike tells nothing of the difference between them.
    nearly = 0.9 * logged + 0.1 * wanted
    gain = compared(log, nearly, logged)
    assert gain.high - gain.low < 0.2 * (estimates[Method.DR].high - estimates[Method.DR].low)
    now = float(np.mean(log.reward))
    assert gain.low <= 0.1 * (true - now) <= gain.high


def test_the_log_judged_by_its_own_policy_is_its_mean():
    log, _, _, logged = simulated(2)
    own = replay(log, logged)
    mean = pytest.approx(log.reward.mean())
    assert own.estimates[Method.IPS].value == mean
    assert own.estimates[Method.SNIPS].value == mean
    assert own.effective == pytest.approx(log.decisions)
    assert own.heaviest == pytest.approx(1)
    same = compared(log, logged, logged)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_small_cases_by_hand():
    assert effective_size(np.array([1.0, 1, 1, 1])) == 4
    assert effective_size(np.array([4.0, 0, 0, 0])) == 1
    assert effective_size(np.zeros(3)) == 0
    mean = weighted_mean(np.array([1.0, 3.0]), np.array([0.0, 1.0]))
    error = np.sqrt(0.75**2 + 9 * 0.25**2) / 4
    assert mean.value == 0.75
    assert mean.high - mean.value == pytest.approx(SURE * error)
    assert weighted_mean(np.zeros(2), np.ones(2)).value == 0


def test_no_decisions_are_worth_nothing_and_say_so():
    empty = Log(*(np.zeros(0, int),) * 2, np.zeros((0, 1)), np.zeros(0), np.zeros(0, bool),
                np.zeros(0))  # fmt: skip
    assert replay(empty, np.zeros(0)).effective == 0
    assert compared(empty, np.zeros(0), np.zeros(0)).value == 0


def test_the_direct_model_has_never_seen_what_it_judges():
    """The reward of one decision is nowhere in what is predicted of it."""
    log, *_ = simulated(4, 500)
    before = direct(log)
    reward = log.reward.copy()
    reward[7] = 1_000
    changed = direct(Log(log.decision, log.action, log.features, log.logged, log.taken, reward))
    of_seven = log.decision == 7
    assert np.array_equal(before[of_seven], changed[of_seven])
    assert not np.array_equal(before, changed)


# --- public logs with known probabilities, where they lie beside the project ----------------------


def rows_of(path, columns=None):
    """A table's rows, or the first columns of them where the others would take longest to read."""
    if not path.exists():
        pytest.skip(f"no {path.name} beside the project")
    with gzip.open(path, "rt") as lines:
        if columns is None:
            return list(csv.DictReader(lines))
        return list(csv.DictReader(",".join(line.split(",", columns)[:columns]) for line in lines))


def test_a_real_trial_says_what_its_arms_brought(shared_dir):
    """Each of three e-mails went to a third of the customers, so each arm's own mean is true."""
    rows = rows_of(shared_dir / "data" / "hillstrom_trial_dev.csv.gz")[:12_000]
    arms = ["No E-Mail", "Mens E-Mail", "Womens E-Mail"]
    taken = np.array([arms.index(row["segment"]) for row in rows])
    known = np.array(
        [[float(row[name]) for name in ("recency", "history", "newbie")] for row in rows]
    )
    log = Log(
        decision=np.repeat(np.arange(len(rows)), 3),
        action=np.tile(np.arange(3), len(rows)),
        features=np.repeat(known, 3, axis=0),
        logged=np.full(3 * len(rows), 1 / 3),
        taken=(np.arange(3) == taken[:, None]).ravel(),
        reward=np.array([float(row["visit"]) for row in rows]),
    )
    for arm in range(3):
        found = replay(log, (log.action == arm).astype(float))
        own = log.reward[taken == arm].mean()
        assert found.estimates[Method.SNIPS].value == pytest.approx(own)
        assert found.estimates[Method.DR].low < own < found.estimates[Method.DR].high
        assert found.effective == pytest.approx((taken == arm).sum())
    gain = compared(log, (log.action == 1).astype(float), (log.action == 0).astype(float))
    assert gain.low > 0  # a letter brings more visits than none


def test_open_bandit_logs_agree_about_the_random_policy(shared_dir):
    """The clicks of random recommendations, estimated from what a learning policy recommended."""
    folder = shared_dir / "data"
    learning = rows_of(folder / "obd_bts_men_10k.csv.gz", 5)
    random = rows_of(folder / "obd_random_men_10k.csv.gz", 5)
    truth = np.array([float(row["click"]) for row in random])
    items = sorted({row["item_id"] for row in learning})
    weight = np.array([1 / len(items) / float(row["propensity_score"]) for row in learning])
    clicks = np.array([float(row["click"]) for row in learning])
    found = weighted_mean(weight, clicks)
    assert found.low < truth.mean() < found.high
    assert 100 < effective_size(weight) < len(learning)
