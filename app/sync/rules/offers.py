"""What a phone is told of an offer, so that it can be made where there is no network."""

from collections.abc import Mapping
from typing import Any

import orjson

from app.catalog.rules import BusinessType, filled
from app.core.i18n import LANGS, Lang
from app.suggestions.rules import talk, words
from app.suggestions.rules.ahead import show_when
from app.suggestions.rules.levers import Levers, at_the_door, manager_tiers_of

# What a row is written from, and not told itself.
_UNTOLD = frozenset({"offering", "work_type", "tier", "agreed"})


def offer_of(row: Mapping[str, Any], levers: Levers) -> dict[str, Any]:
    """Write a suggestion for a phone: since when and until when it may be shown, why it fits and
    what to say, in both languages. `row` has it with its decision, its order's type of work, its
    customer's tier, whether special terms for it are `agreed`, and the version of its offering,
    under `offering` and `reasons` in JSON; `levers` are those in force."""
    offering, reasons = orjson.loads(row["offering"]), orjson.loads(row["reasons"])
    told = {name: value for name, value in row.items() if name not in _UNTOLD}
    said = [(part["code"], words.reason(part)) for part in reasons]
    tracks = {lang: _talk_track(row["work_type"], offering, lang) for lang in LANGS}
    return {
        **told,
        "show_when": show_when(row["visit_id"], row["work_type"]),
        "on_site": at_the_door(
            BusinessType(offering["business_type"]),
            managers=row["tier"] in manager_tiers_of(offering["levers"], levers),
            agreed=row["agreed"],
        ),
        "reasons": _json(
            [{"code": code, **each._asdict()} for code, each in said if each is not None]
        ),
        "talk_track": _json(tracks),
    }


def nothing_of(row: Mapping[str, Any], work_type: str) -> str:
    """Write for a phone, in JSON, that nothing is offered for an order, and why, in both languages;
    `row` has the decision, and it is shown by the same moments as an offer would be."""
    code = row["held_back"]
    return _json(
        {
            "code": code,
            **words.nothing_because(code)._asdict(),
            "at": row["at"],
            "valid_until": row["valid_until"],
            "show_when": show_when(row["visit_id"], work_type),
        }
    )


def managers(levers: Levers) -> str:
    """Write for which tiers which levers are the account manager's, the same in the same words."""
    named = {lever.value: sorted(rule.manager_tiers) for lever, rule in levers.items()}
    theirs = {lever: tiers for lever, tiers in named.items() if tiers}
    return orjson.dumps(theirs, option=orjson.OPT_SORT_KEYS).decode()


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
