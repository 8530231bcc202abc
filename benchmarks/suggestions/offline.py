"""What can be told without playing: who leaves, and who buys, foretold for rows not seen before.

The fitting is that of `app.policies`. Leaving has no order of time in the published set, so rows
are held out by seeded folds; sales calls have one, and are only ever foretold from earlier calls.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from app.policies.rules import churn, measures
from app.policies.rules.fitting import Belief, learned, predicted
from benchmarks.suggestions.numbers import Floats, logistic, sigmoid
from benchmarks.suggestions.people import Row

Flags = NDArray[np.bool_]
FOLDS = 5

# What people would write on a card for who leaves, from (included), to (not), points; the fields
# are those of the published set.
NO_END = float("inf")
CARD: Mapping[str, Sequence[tuple[float, float, float]]] = {
    "tenure_months": ((0, 4, 40), (4, 13, 27), (13, 37, 15)),
    "contract_months": ((0, 12, 30), (12, 24, 10)),
    "fibre": ((1, 2, 20),),
    "no_internet": ((1, 2, -15),),
    "pays_by_hand": ((1, 2, 10),),
    "paper_free": ((1, 2, 5),),
    "security": ((1, 2, -7),),
    "support": ((1, 2, -7),),
    "referrals": ((0, 1, 5), (3, NO_END, -15)),
}

# Calls: the windows of a fit, each weighed by how it foretold the days before, where what lies so
# many calls back counts half; and how many calls come before the first fit.
WINDOWS, HALVES, FIRST = (500, 1_000, 2_000, 4_000, 8_000), 1_000, 5_000
# A sale in twenty, as sure as fifty calls; and how far a field's weight may lie from nothing.
RATE, EVIDENCE, SPREAD = 0.05, 50.0, 1.0


@dataclass(frozen=True)
class Foretold:
    """How well something was foretold of rows that were not learned from."""

    name: str
    rows: int
    auc: float
    lift: float
    calibration_error: float


def leaving(rows: Sequence[Row], seed: int) -> list[Foretold]:
    """Foretell who leaves, by points that people wrote and by the fitted card."""
    left = np.array([row["Churn"] == "Yes" for row in rows])
    by_points, by_fit = leaving_foretold(rows, seed)
    return [
        measured("points card", left, by_points),
        measured("fitted card", left, by_fit),
    ]


def leaving_foretold(rows: Sequence[Row], seed: int) -> tuple[Floats, Floats]:
    """Return each row's chance of leaving, by the points and by the fit of the other folds."""
    columns = leaving_columns(rows)
    left = np.array([row["Churn"] == "Yes" for row in rows])
    fold = np.random.default_rng((seed, 6)).permutation(len(rows)) % FOLDS
    points = points_of(columns)
    by_points, by_fit = np.zeros(len(rows)), np.zeros(len(rows))
    for n in range(FOLDS):
        seen, held = fold != n, fold == n
        # Points rank; what share of whom leaves is a line through the log odds.
        line = logistic(np.column_stack([points[seen] / 10, np.ones(seen.sum())]), left[seen] * 1.0)
        by_points[held] = sigmoid(line[0] * points[held] / 10 + line[1])
        model = churn.fitted({name: of[seen] for name, of in columns.items()}, left[seen])
        by_fit[held] = model.predicted({name: of[held] for name, of in columns.items()})
    return by_points, by_fit


def leaving_columns(rows: Sequence[Row]) -> dict[str, Floats]:
    """Write what is known of customers before they leave, a column a field; no age, no sex."""

    def numbers(name: str) -> Floats:
        return np.array([float(row.get(name) or "nan") for row in rows])

    def told(name: str, value: str) -> Floats:
        return np.array([float(row.get(name) == value) for row in rows])

    months = {"Month-to-month": 1.0, "One year": 12.0, "Two year": 24.0}
    return {
        "tenure_months": numbers("tenure"),
        "monthly_charge": numbers("MonthlyCharges"),
        "usage": numbers("Avgmonthlygbdownload"),
        "referrals": numbers("Numberofreferrals"),
        "contract_months": np.array([months[row["Contract"]] for row in rows]),
        "fibre": told("InternetService", "Fiber optic"),
        "no_internet": told("InternetService", "No"),
        "pays_by_hand": told("PaymentMethod", "Electronic check"),
        "paper_free": told("PaperlessBilling", "Yes"),
        "security": told("OnlineSecurity", "Yes"),
        "support": told("TechSupport", "Yes"),
        "backup": told("OnlineBackup", "Yes"),
        "phone": told("PhoneService", "Yes"),
    }


def points_of(columns: Mapping[str, Floats]) -> Floats:
    """Add up the points that people wrote."""
    total = np.zeros(len(next(iter(columns.values()))))
    for name, ranges in CARD.items():
        for start, end, points in ranges:
            total += points * ((columns[name] >= start) & (columns[name] < end))
    return total


def measured(name: str, happened: Flags, chance: Floats) -> Foretold:
    """Measure predictions against what happened."""

    def known(value: float | None) -> float:
        return float("nan") if value is None else value

    return Foretold(
        name,
        len(chance),
        known(measures.auc(happened, chance)),
        known(measures.lift(happened, chance)),
        known(measures.calibration_error(happened, chance)),
    )


def buying(calls: Sequence[Row]) -> list[Foretold]:
    """Foretell who buys in the order of time: refitted every day, and frozen.

    The last is what random folds would make of the same fields, which is how one deceives
    oneself: it shows how much there is to be known of these rows at the most.
    """
    fields = calls_fields(calls)
    bought = np.array([call["y"] == "yes" for call in calls])
    days = _days(calls)
    first = next(day.start for day in days if day.start >= min(FIRST, len(calls) // 3))
    by_window = {size: np.zeros(len(calls)) for size in WINDOWS}
    mixed, weight = np.zeros(len(calls)), np.zeros(len(WINDOWS))
    for day in days:
        if day.start < first:
            continue
        for size, foretold in by_window.items():
            # What was said today is learned from at night, as in the service.
            window = slice(max(0, day.start - size), day.start)
            belief = learned(_before(fields), fields[window], bought[window])
            foretold[day] = predicted(belief, fields[day])
        each = np.array([foretold[day] for foretold in by_window.values()])
        share = np.exp(weight - weight.max())
        mixed[day] = share / share.sum() @ each
        said = np.where(bought[day], each, 1 - each)
        weight = weight * 0.5 ** (each.shape[1] / HALVES) + np.log(said).sum(1)
    frozen = predicted(learned(_before(fields), fields[:first], bought[:first]), fields[first:])
    folds = np.zeros(len(calls))
    fold = np.random.default_rng(7).permutation(len(calls)) % FOLDS
    for n in range(FOLDS):
        belief = learned(_before(fields), fields[fold != n], bought[fold != n])
        folds[fold == n] = predicted(belief, fields[fold == n])
    late = bought[first:]
    return [
        measured("refitted daily, windows by merit", late, mixed[first:]),
        *(
            measured(f"refitted daily on {size:,} calls", late, foretold[first:])
            for size, foretold in by_window.items()
        ),
        measured("frozen after the first calls", late, frozen),
        measured("random folds (no order of time)", bought, folds),
    ]


def _days(calls: Sequence[Row]) -> list[slice]:
    """Cut the calls, which are in the order of time, where the day of the week changes."""
    cuts = [
        at
        for at in range(1, len(calls))
        if calls[at]["day_of_week"] != calls[at - 1]["day_of_week"]
    ]
    return [slice(*ends) for ends in pairwise([0, *cuts, len(calls)])]


def calls_fields(calls: Sequence[Row]) -> Floats:
    """Write what is known before a call and means the same next year: no economy, no duration."""
    columns = [
        [float(call["contact"] == "cellular") for call in calls],
        [float(call["default"] == "no") for call in calls],
        [float(call["housing"] == "yes") for call in calls],
        [float(call["loan"] == "yes") for call in calls],
        [float(call["poutcome"] == "success") for call in calls],
        [float(call["poutcome"] == "failure") for call in calls],
        [float(int(call["pdays"]) < 10) for call in calls],
        [min(int(call["previous"]), 3) / 3 for call in calls],
        [min(int(call["campaign"]) - 1, 5) / 5 for call in calls],
        *(
            [float(call["job"] == job) for call in calls]
            for job in ("student", "retired", "blue-collar", "services")
        ),
        *(
            [float(call["month"] == month) for call in calls]
            for month in ("mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
        ),
    ]
    return np.array(columns).T


def _before(fields: Floats) -> Belief:
    mean = np.zeros(fields.shape[1] + 1)
    mean[0] = np.log(RATE / (1 - RATE))
    spread = [1 / (EVIDENCE * RATE * (1 - RATE)), *([SPREAD**2] * fields.shape[1])]
    return Belief(mean, np.diag(spread))
