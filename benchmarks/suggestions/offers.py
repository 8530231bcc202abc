"""The offers of the seed's catalogue, read from its YAML file and not by the catalogue's code."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

import yaml

from benchmarks.stand import ROOT

CATALOGUE = ROOT / "seed" / "catalog.yaml"


@dataclass(frozen=True)
class Offering:
    """What the field and its judge must know of an offering; money in fen, speed in Mbit/s."""

    code: str
    category: str
    business_type: str
    price_fen: int
    margin_fen: int
    expert_rate: float
    speed_mbps: int | None
    requires: frozenset[str]
    excludes: frozenset[str]
    levers: frozenset[str]
    install_minutes: int | None
    least_usage_gb: int | None
    most_usage_gb: int | None
    prepaid: bool


def offerings(day: date) -> list[Offering]:
    """Read what is sold on a day, what is sold longest first, then by code.

    So what comes into the catalogue later is drawn for last, and the truth about the rest stays
    what it was. What costs nothing and binds nobody is left out: no published row tells who would
    take it.
    """
    document = yaml.safe_load(CATALOGUE.read_text(encoding="utf-8"))
    newest: dict[str, tuple[date, dict[str, Any]]] = {}
    for entry in document["offerings"]:
        since = entry.get("valid_from", document["valid_from"])
        known = newest.get(entry["code"])
        if since <= day and (known is None or known[0] < since):
            newest[entry["code"]] = since, entry
    since = {code: first for code, (first, _) in newest.items()}
    return [
        Offering(
            code=code,
            category=entry["category"],
            business_type=entry["business_type"],
            price_fen=entry["monthly_price_fen"],
            margin_fen=entry["margin_12m_fen"],
            expert_rate=entry["expert_rate"],
            speed_mbps=entry.get("speed_mbps"),
            requires=frozenset(entry.get("requires", ())),
            excludes=frozenset(entry.get("excludes", ())),
            levers=frozenset(entry.get("levers", ())),
            install_minutes=entry.get("install_minutes"),
            least_usage_gb=entry.get("least_usage_gb"),
            most_usage_gb=entry.get("most_usage_gb"),
            prepaid=entry.get("prepaid", False),
        )
        for code, (_, entry) in sorted(newest.items(), key=lambda one: (since[one[0]], one[0]))
        if entry["monthly_price_fen"] or entry.get("contract_months")
    ]


def catalogue_of(offers: Iterable[Offering]) -> str:
    """Write the seed's catalogue with nothing in it but these offerings, for the service to load:
    what the field leaves out must not be offered in it either."""
    document = yaml.safe_load(CATALOGUE.read_text(encoding="utf-8"))
    known = {offer.code for offer in offers}
    document["offerings"] = [one for one in document["offerings"] if one["code"] in known]
    return yaml.safe_dump(document, allow_unicode=True)
