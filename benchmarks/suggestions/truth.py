"""The hidden truth: who accepts what, who keeps it, who would leave, whom a pitch annoys.

No policy is told any of it. Who would take a service follows who of the published set has the like
of it, by a regression over all fields of the set, also those that no policy may use (age, family),
and a taste of each household's own. How often an offer is taken differs from the expert's guess by
a seeded factor. How contacts wear off is measured on published sales calls.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from benchmarks.suggestions.numbers import Floats, logistic, sigmoid
from benchmarks.suggestions.offers import Offering
from benchmarks.suggestions.people import Household, Row

Flags = NDArray[np.bool_]

# Which column of the published set tells who would take a category, and the value that says so.
LIKE = {
    "wifi": "DeviceProtection",
    "tv": "StreamingTV",
    "tv_pack": "StreamingMovies",
    "mobile_sub": "MultipleLines",
    "bundle": "MultipleLines",
    "camera": "OnlineSecurity",
    "cloud": "OnlineBackup",
    "renewal": "TechSupport",
}

# How strongly fields and a household's own taste move the logit; how wrong experts are (log scale).
FIELDS, TASTE, EXPERTS = 0.7, 0.35, 0.4
AFTER_A_FAULT, WHILE_INSTALLING, CONTRACT_ENDS = -0.25, 0.2, 0.5
SOON_DAYS = 30
# Without the published calls: what one more contact in 30 days does to the logit.
WEAR = -0.1

CONTACT_COST_FEN, CANCELLED_COST_FEN, COMPLAINT_COST_FEN = 300, 3_000, 20_000
ANNOYED, ANNOYED_IF_UNHAPPY = 0.003, 0.012
# A renewal keeps so many of those who would leave; the line earns so much of its price; the gift.
KEEPS, EARNS, GIFT_FEN = 0.6, 0.45, 6_000
LEAVES_IF_LABELLED, LEAVES_OTHERWISE = 0.7, 0.06


@dataclass(frozen=True)
class Truth:
    """The truth about each household (row) and offering (column)."""

    logits: Floats
    worth_fen: Floats
    annoyed: Floats
    wear: float
    renewal: Flags
    soon: Flags

    def chances(self, home: int, work_type: str, contacts: int, mood: float = 0.0) -> Floats:
        """Return the chance that a household accepts each offering, were it pitched now."""
        context = {"repair": AFTER_A_FAULT, "install": WHILE_INSTALLING}.get(work_type, 0.0)
        ends = CONTRACT_ENDS * (self.renewal & self.soon[home])
        return sigmoid(self.logits[home] + context + self.wear * contacts + mood + ends)

    def values(self, home: int, chances: Floats) -> Floats:
        """Return what pitching each offering is worth, in fen, by the chances it is accepted."""
        cost = CONTACT_COST_FEN + self.annoyed[home] * COMPLAINT_COST_FEN
        values: Floats = chances * self.worth_fen[home] - cost
        return values


def truth_of(
    homes: Sequence[Household],
    offers: Sequence[Offering],
    calls: Sequence[Row],
    today: date,
    seed: int,
) -> Truth:
    """Draw the truth about a field by its seed; `calls` are the published sales calls, if any."""
    dice = np.random.default_rng((seed, 3))
    rows = {id(home.row): home.row for home in homes}
    place = {key: at for at, key in enumerate(rows)}
    of_home = np.array([place[id(home.row)] for home in homes])
    design = design_of(list(rows.values()))
    categories = sorted({offer.category for offer in offers})
    taste = {name: dice.normal(0, TASTE, len(homes)) for name in categories}
    logits = np.zeros((len(homes), len(offers)))
    worth = np.zeros_like(logits)
    leaves = np.array(
        [LEAVES_IF_LABELLED if home.row["Churn"] == "Yes" else LEAVES_OTHERWISE for home in homes]
    )
    price = np.array([home.price_fen for home in homes])
    for at, offer in enumerate(offers):
        leaning = _leaning(list(rows.values()), design, offer)[of_home]
        rate = float(np.clip(offer.expert_rate * np.exp(dice.normal(0, EXPERTS)), 0.01, 0.7))
        could = np.array(
            [offer.requires <= home.held and not offer.excludes & home.held for home in homes]
        )
        moved = FIELDS * leaning + taste[offer.category]
        logits[:, at] = moved + _intercept(moved[could] if could.any() else moved, rate)
        kept = sigmoid(2.2 + 0.5 * leaning + taste[offer.category])
        if offer.business_type == "retention":
            worth[:, at] = KEEPS * leaves * 12 * price * EARNS - GIFT_FEN
        else:
            worth[:, at] = kept * offer.margin_fen - (1 - kept) * CANCELLED_COST_FEN
    return Truth(
        logits=logits,
        worth_fen=worth,
        annoyed=np.array([ANNOYED_IF_UNHAPPY if unhappy(home) else ANNOYED for home in homes]),
        wear=wear_of(calls),
        renewal=np.array([offer.business_type == "retention" for offer in offers]),
        soon=np.array(
            [
                home.contract_ends_on is not None
                and abs((home.contract_ends_on - today).days) <= SOON_DAYS
                for home in homes
            ]
        ),
    )


def unhappy(home: Household) -> bool:
    """Tell whether a household has reason to complain: it left for how it was served."""
    return home.row["Churncategory"] in ("Attitude", "Dissatisfaction")


def design_of(rows: Sequence[Row]) -> Floats:
    """Write what the set tells of people as columns about zero, and a column of ones."""
    columns = [
        np.minimum(_number(rows, "tenure"), 72) / 24,
        np.log1p(_number(rows, "Avgmonthlygbdownload")),
        _number(rows, "Age") / 15,
        np.minimum(_number(rows, "Numberofreferrals"), 5) / 2,
        _is(rows, "InternetService", "Fiber optic"),
        _is(rows, "InternetService", "No"),
        _is(rows, "Contract", "Month-to-month"),
        _is(rows, "Contract", "Two year"),
        _is(rows, "PaymentMethod", "Electronic check"),
        _is(rows, "PaperlessBilling", "Yes"),
        _is(rows, "SeniorCitizen", "1"),
        _is(rows, "Partner", "Yes"),
        _is(rows, "Dependents", "Yes"),
        _is(rows, "PhoneService", "Yes"),
    ]
    design = np.array(columns).T
    design = design - design.mean(axis=0)
    return np.hstack([design, np.ones((len(rows), 1))])


def _number(rows: Sequence[Row], name: str) -> Floats:
    return np.array([float(row[name] or 0) for row in rows])


def _is(rows: Sequence[Row], name: str, value: str) -> Floats:
    return np.array([float(row[name] == value) for row in rows])


def _leaning(rows: Sequence[Row], design: Floats, offer: Offering) -> Floats:
    """Tell how much each row leans to an offering: mean zero, deviation one."""
    if offer.category == "broadband" or offer.category not in LIKE:
        has = _is(rows, "InternetService", "Fiber optic")
        asked = np.delete(design, (4, 5), axis=1)
        raw = asked @ logistic(asked, has)
        if offer.speed_mbps is not None and "broadband" in offer.requires:
            raw = _standard(raw) + _standard(np.log1p(_number(rows, "Avgmonthlygbdownload")))
        return _standard(raw)
    has = _is(rows, LIKE[offer.category], "Yes")
    return _standard(design @ logistic(design, has))


def _standard(values: Floats) -> Floats:
    spread = float(values.std())
    return (values - values.mean()) / spread if spread else values * 0


def _intercept(moved: Floats, rate: float) -> float:
    """Find what must be added so that the mean chance is the rate, by halving."""
    low, high = -12.0, 12.0
    for _ in range(50):
        middle = (low + high) / 2
        if float(sigmoid(moved + middle).mean()) < rate:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def wear_of(calls: Sequence[Row]) -> float:
    """Measure what one more contact does to the logit of a sale, apart from how times change.

    The calls are in the order of time; a level for each tenth of them stands for the times. What
    is left of the sixth contact on is counted as six. A contact is never taken to help.
    """
    if not calls:
        return WEAR
    contacts = np.minimum([float(row["campaign"]) for row in calls], 6.0) - 1
    tenth = np.arange(len(calls)) * 10 // len(calls)
    levels = [(tenth == n).astype(float) for n in range(1, 10)]
    design = np.array([contacts, *levels, np.ones(len(calls))]).T
    sold = np.array([float(row["y"] == "yes") for row in calls])
    return min(0.0, float(logistic(design, sold)[0]))
