"""The households of the field: rows of a published set of telecom customers, or made ones.

The set lies in `../shared/data` beside the project (its README names the sources). Where that
folder is missing, rows of the same columns are drawn, and the figures then say less about people.
"""

import csv
import gzip
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.stand import ROOT

SHARED = ROOT.parent / "shared" / "data"
TELCO, BANK, COMPLAINTS = "telco_customers_*.csv.gz", "bank_contacts_*.csv.gz", "comcast_*.csv"

Row = dict[str, str]

# A household of today loads so many times as much as one of the published set.
USAGE_TIMES = 8
# What a month costs, in fen, for one unit of the set's money.
FEN = 150


@dataclass
class Household:
    """One customer of the field as the operator's systems know it, and the row it comes from.

    `held` has the codes and categories of running services; speeds are in Mbit/s and usage is in
    GB a month. None is "not known". `leaves` is the chance of leaving as a fitted card foretells
    it, and `twin` the number of another customer at the same address.
    """

    number: int
    row: Row
    activated_on: date
    business: bool
    elderly: bool
    tier: str
    do_not_disturb: bool
    arrears_fen: int | None
    usage_gb: int | None
    speed_mbps: int | None
    contract_ends_on: date | None
    line_max_mbps: int | None
    port_free: bool | None
    price_fen: int
    leaves: float
    held: set[str] = field(default_factory=set)
    twin: int | None = None


def rows_of(folder: Path, pattern: str) -> list[Row]:
    """Read a published file of a folder, or nothing when it is not there."""
    for path in sorted(folder.glob(pattern)):
        written = path.read_bytes()
        text = (gzip.decompress(written) if path.suffix == ".gz" else written).decode()
        return list(csv.DictReader(text.splitlines()))
    return []


def made_rows(count: int, seed: int) -> list[Row]:
    """Draw rows with the columns of the published set that the field reads."""
    dice = np.random.default_rng((seed, 1))
    made = []
    for n in range(count):
        internet = str(dice.choice(["Fiber optic", "DSL", "No"], p=[0.44, 0.34, 0.22]))
        contract = str(
            dice.choice(["Month-to-month", "One year", "Two year"], p=[0.55, 0.21, 0.24])
        )
        tenure = int(dice.integers(0, 73))
        leaving = -1.2 - 0.035 * tenure + 1.1 * (contract == "Month-to-month")
        leaving += 0.8 * (internet == "Fiber optic")
        row = {
            "customerID": f"made-{n}",
            "tenure": str(tenure),
            "InternetService": internet,
            "Internettype": {"DSL": "DSL", "No": ""}.get(internet, "Fiber Optic"),
            "Contract": contract,
            "PaymentMethod": str(dice.choice(["Electronic check", "Mailed check"])),
            "PaperlessBilling": str(dice.choice(["Yes", "No"])),
            "MonthlyCharges": f"{18 + 90 * dice.random():.2f}",
            "Avgmonthlygbdownload": "0" if internet == "No" else f"{dice.gamma(2, 12):.1f}",
            "CLTV": str(int(dice.integers(2000, 6500))),
            "Age": str(int(dice.integers(19, 81))),
            "Numberofreferrals": str(int(dice.integers(0, 11) * (dice.random() < 0.4))),
            "Churn": "Yes" if dice.random() < 1 / (1 + np.exp(-leaving)) else "No",
            "Churncategory": "",
        }
        for name in ("Partner", "Dependents", "PhoneService"):
            row[name] = str(dice.choice(["Yes", "No"], p=[0.5, 0.5]))
        row["SeniorCitizen"] = str(int(dice.random() < 0.16))
        for name in SERVICES:
            row[name] = "Yes" if internet != "No" and dice.random() < 0.4 else "No"
        made.append(row)
    return made


# Which service of ours a column of the set stands for: its category and the code that is held.
SERVICES = {
    "StreamingTV": ("tv", "IPTV-4K"),
    "StreamingMovies": ("tv_pack", "TV-FAMILY"),
    "DeviceProtection": ("wifi", "WIFI-MESH"),
    "OnlineSecurity": ("camera", "CAM-HOME"),
    "OnlineBackup": ("cloud", "CLOUD-30"),
    "MultipleLines": ("mobile_sub", "MOBILE-SUB"),
    "TechSupport": ("care_plan", "CARE-PLAN"),
}


def households(
    rows: Sequence[Row],
    leaves: Sequence[float] | NDArray[np.float64],
    copies: int,
    today: date,
    seed: int,
) -> list[Household]:
    """Let each row stand for so many households, which differ in what the set does not tell.

    `leaves` has the foretold chance of leaving for each row.
    """
    dice = np.random.default_rng((seed, 2))
    worth = np.array([float(row["CLTV"] or 0) for row in rows])
    cuts = np.quantile(worth, [0.2, 0.5, 0.8])
    made: list[Household] = []
    for _ in range(copies):
        for at, row in enumerate(rows):
            tier = "DCBA"[int(np.searchsorted(cuts, worth[at], side="right"))]
            made.append(_household(len(made), row, leaves[at], tier, today, dice))
    # In three homes of a hundred two customers live at one address.
    for first in range(0, len(made) - 1, 2):
        if dice.random() < 0.015:
            made[first].twin, made[first + 1].twin = first + 1, first
    return made


def _household(
    n: int, row: Row, leaves: float, tier: str, today: date, dice: np.random.Generator
) -> Household:
    months = int(float(row["tenure"]))
    activated = today - timedelta(days=30 * months + int(dice.integers(1, 30)))
    fibre_here = bool(dice.random() < 0.8)
    made = Household(
        number=n,
        row=row,
        activated_on=activated,
        business=bool(dice.random() < 0.03),
        elderly=row["SeniorCitizen"] == "1",
        tier=tier,
        do_not_disturb=bool(dice.random() < 0.06),
        arrears_fen=int(dice.choice([0, 0, 8_000])) if dice.random() < 0.12 else 0,
        usage_gb=_usage(row, dice),
        speed_mbps=None,
        contract_ends_on=_contract_end(row["Contract"], months, activated, today, dice),
        line_max_mbps=None if dice.random() < 0.05 else _line(fibre_here, dice),
        port_free=None if dice.random() < 0.08 else bool(dice.random() < 0.93),
        price_fen=int(FEN * float(row["MonthlyCharges"])),
        leaves=float(leaves),
    )
    _subscribe(made, fibre_here, dice)
    return made


# From which foretold chance on a risk of leaving is called so.
HIGH, MID = 0.5, 0.2


def risk_of(home: Household) -> str:
    """Name the class of risk of a household."""
    return "high" if home.leaves >= HIGH else "mid" if home.leaves >= MID else "low"


def stage_of(home: Household, day: date) -> str:
    """Name the stage of the lifecycle a household is in on a day."""
    days = (day - home.activated_on).days
    if days <= 90:
        return "acquisition"
    if days <= 365:
        return "build_up"
    return "decline" if risk_of(home) == "high" else "climax"


def _usage(row: Row, dice: np.random.Generator) -> int | None:
    if dice.random() < 0.08:
        return None
    return int(USAGE_TIMES * float(row["Avgmonthlygbdownload"] or 0) * dice.uniform(0.7, 1.4))


def _line(fibre_here: bool, dice: np.random.Generator) -> int:
    return int(dice.choice([300, 500, 1000, 2000], p=[0.1, 0.2, 0.5, 0.2])) if fibre_here else 50


def _contract_end(
    contract: str, months: int, activated: date, today: date, dice: np.random.Generator
) -> date | None:
    """Say when a contract ends; without one it was over long ago, or there never was one."""
    if contract == "Month-to-month":
        return activated + timedelta(days=365) if months > 12 and dice.random() < 0.5 else None
    return today + timedelta(days=int(dice.integers(0, 365 if contract == "One year" else 730)))


def _subscribe(home: Household, fibre_here: bool, dice: np.random.Generator) -> None:
    internet = home.row["InternetService"]
    if internet == "Fiber optic":
        speed = int(dice.choice([100, 200, 300, 500], p=[0.3, 0.3, 0.3, 0.1]))
        home.speed_mbps = min(speed, home.line_max_mbps or speed) if fibre_here else 50
        home.held |= {"broadband", f"PLAN-{home.speed_mbps}"}
    elif internet == "DSL" and home.row["Internettype"] == "DSL":
        home.speed_mbps = 8
        home.held |= {"copper", "PLAN-ADSL-8"}
    elif internet == "DSL":
        home.speed_mbps = 50
        home.held |= {"broadband", "PLAN-50"}
    if home.row["PhoneService"] == "Yes":
        home.held |= {"mobile", "PLAN-5G-79"}
    if home.business:
        home.held |= {"business", "BIZ-VOICE"}
    for column, (category, code) in SERVICES.items():
        if home.row[column] == "Yes":
            home.held |= {category, code}
