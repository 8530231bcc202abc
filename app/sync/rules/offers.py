"""What a phone is told of an offer, so that it can be made where there is no network."""

from collections.abc import Mapping
from typing import Any

import orjson

from app.catalog.rules import ON_SITE, BusinessType, filled
from app.core.i18n import LANGS, Lang
from app.suggestions.rules import talk, words
from app.suggestions.rules.ahead import show_when


def offer_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Write a suggestion for a phone: since when and until when it may be shown, why it fits and
    what to say, in both languages. `row` has it with its decision, its order's type of work and the
    version of its offering, under `offering` and `reasons` in JSON."""
    offering, reasons = orjson.loads(row["offering"]), orjson.loads(row["reasons"])
    told = {name: value for name, value in row.items() if name not in ("offering", "work_type")}
    said = [(part["code"], words.reason(part)) for part in reasons]
    tracks = {lang: _talk_track(row["work_type"], offering, lang) for lang in LANGS}
    return {
        **told,
        "show_when": show_when(row["visit_id"], row["work_type"]),
        "on_site": ON_SITE[BusinessType(offering["business_type"])],
        "reasons": _json(
            [{"code": code, **each._asdict()} for code, each in said if each is not None]
        ),
        "talk_track": _json(tracks),
    }


def _talk_track(work_type: str, offering: Mapping[str, Any], lang: Lang) -> dict[str, str]:
    named = {**offering, "name": offering[f"name_{lang}"]}
    return {
        "opening": talk.opening(work_type, lang),
        "benefit": filled(offering[f"talk_track_{lang}"], named),
        "price": talk.price(
            offering["monthly_price_fen"],
            offering["one_off_price_fen"],
            offering["contract_months"],
            lang,
        ),
        "exit_line": talk.EXIT.say(lang),
    }


def _json(said: Any) -> str:
    return orjson.dumps(said).decode()
