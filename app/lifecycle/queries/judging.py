"""The statement that tells where customers stand, and writes down who stands otherwise than before.

It says in SQL what `rules/standing.py` says plainly. One statement reads what is known, tells the
tier, the risk and the stage from it, writes the rows that differ and every change with its rule and
inputs. A customer of whom nothing changed is not written, so a second run of a day writes nothing.

Each step ends in `OFFSET 0`: PostgreSQL would otherwise put a step's expressions into every place
of the next that names them, and work out the score a hundred times for each customer. Only what is
read twice is materialized, which writes each row with all its columns into memory.
"""

from functools import lru_cache
from typing import Any

from app.lifecycle.queries.facts import facts
from app.lifecycle.rules import FARTHEST, FIELDS, REASONS_TOLD, Card, Signal, Term


def _holds(nth: int, term: Term) -> str:
    """Write when a term of the card speaks of a customer; its bounds are handed over as values."""
    assert term.field in FIELDS
    if term.of_missing:
        return f"f.{term.field} IS NULL"
    bounds = []
    if term.from_ is not None:
        bounds.append(f"f.{term.field} >= %(from_{nth})s::float8")
    if term.to is not None:
        bounds.append(f"f.{term.field} < %(to_{nth})s::float8")
    return " AND ".join(bounds)


def _points(nth: int, term: Term) -> str:
    return f"CASE WHEN {_holds(nth, term)} THEN %(points_{nth})s::float8 ELSE 0 END"


def _score(card: Card | None) -> str:
    """Write the probability to leave as one expression, its terms added in the card's order."""
    if card is None:
        return "NULL::float8"
    added = " + ".join(
        ["%(intercept)s::float8", *(_points(nth, term) for nth, term in enumerate(card.terms))]
    )
    place = f"greatest(-{FARTHEST}, least({FARTHEST}, ({added}) / %(scale)s::float8))"
    return f"1 / (1 + exp(-({place})))"


def _reasons(card: Card | None) -> str:
    """Write the heaviest reasons as JSON; worked out only for rows that are written."""
    speaking = sorted(
        ((nth, term) for nth, term in enumerate(card.terms if card else ()) if term.points > 0),
        key=lambda one: (-one[1].points, one[0]),
    )
    if not speaking:
        return "'[]'::jsonb"
    # The card's points are known here, so that nothing is left to sort for each customer.
    rows = ", ".join(
        f"CASE WHEN {_holds(nth, term)} THEN jsonb_build_object('field', '{term.field}',"
        f" 'points', %(points_{nth})s::float8, 'value', f.{term.field}, 'term', {nth}) END"
        for nth, term in speaking
    )
    return f"""
        CASE WHEN f.churn_score IS NULL THEN '[]'::jsonb
            ELSE to_jsonb((array_remove(ARRAY[{rows}], NULL))[1:{REASONS_TOLD}]) END"""


def _tier(value: str) -> str:
    """Write the tier of an income of twelve months: 1 is A and 4 is D, null is not known."""
    return f"""
        CASE WHEN {value} IS NULL OR k.a_from_fen IS NULL THEN NULL ELSE greatest(1, least(4,
            CASE WHEN {value} >= k.a_from_fen THEN 1 WHEN {value} >= k.b_from_fen THEN 2
                WHEN {value} >= k.c_from_fen THEN 3 ELSE 4 END
            - (f.new_services >= f.new_services_from)::int
            + (coalesce(f.arrears_fen, 0) >= f.arrears_from_fen)::int)) END"""


def _letter(place: str) -> str:
    return f"substr('ABCD', {place}, 1)"


_KEPT = [
    "org_unit_id",
    "stage",
    "stage_since",
    "stage_rule",
    "tier",
    "tier_before",
    "tier_since",
    "tier_forecast",
    "hidden_high_value",
    "value_12m_fen",
    "churn_score",
    "churn_class",
    "signals",
    "last_signal_on",
    "card_version",
    "rules_version",
]
# What of the steps is needed to tell what is new; the rest of a row is not carried further.
_READY = dict.fromkeys(
    [
        "customer_id",
        *(name for name in _KEPT if name != "hidden_high_value"),
        *FIELDS,
        "dissatisfied",
        "day",
        "left_on",
        "back_on",
        "gone",
        "owes",
        "has_new",
        "seen",
        "sample_percent",
    ]
)
_WRITTEN = ["customer_id", *_KEPT, "churn_reasons", "computed_at"]


@lru_cache(maxsize=16)
def statement(choice: str, card: Card | None) -> str:
    """Write the statement for a choice of customers and a card.

    It takes what `facts.given` makes, `run_id`, `made_at` (with what the ids of changes begin, so
    that they say when they were made), `card_version` and what `of_card` gives. It answers how many
    customers were looked at, rows written, changes found and warnings among them.
    """
    held = choice.format(id="b.customer_id")
    inputs = ", ".join(f"'{field}', f.{field}" for field in FIELDS)
    return f"""
    WITH {facts(choice)},
    valued AS (
        SELECT f.*, b.customer_id IS NOT NULL AS seen,
            {", ".join(f"b.{name} AS b_{name}" for name in _KEPT)},
            CASE WHEN f.months_known >= f.least_months
                THEN floor(f.year_income_fen * 12 + 0.5)::bigint END AS value_12m_fen,
            CASE WHEN f.months_known >= f.least_months AND f.recent_known >= 2
                THEN floor(f.recent_income_fen * 12 + 0.5)::bigint END AS recent_12m_fen,
            (f.back_on IS NULL AND f.left_on IS NOT NULL) OR f.removing
                OR coalesce(f.day - f.back_on <= f.returned_days, false) AS gone,
            coalesce(
                f.day > (f.began_on + make_interval(months => f.build_up_months::int))::date, false
            ) AS mature
        FROM facts f
        LEFT JOIN customer_lifecycle b ON b.customer_id = f.customer_id AND {held}
        OFFSET 0
    ),
    tiered AS (
        SELECT f.*, k.mean_fen, k.usage_high_gb,
            coalesce({_letter(_tier("f.value_12m_fen"))}, f.b_tier) AS tier,
            {_letter(_tier("f.recent_12m_fen"))} AS tier_forecast,
            coalesce(f.arrears_fen, 0) >= f.arrears_from_fen AS owes,
            f.new_services >= f.new_services_from AS has_new,
            CASE WHEN f.gone THEN NULL ELSE {_score(card)} END AS churn_score
        FROM valued f LEFT JOIN lifecycle_cut k ON k.org_unit_id = f.org_unit_id
        OFFSET 0
    ),
    moved AS (
        SELECT f.*,
            CASE WHEN f.b_tier <> f.tier THEN f.b_tier ELSE f.b_tier_before END AS tier_before,
            CASE WHEN f.tier IS DISTINCT FROM f.b_tier THEN f.day ELSE f.b_tier_since END
                AS tier_since,
            CASE WHEN f.churn_score IS NULL THEN NULL
                WHEN f.churn_score >= f.churn_high_from THEN 'high'
                WHEN f.churn_score >= f.churn_mid_from THEN 'mid' ELSE 'low' END AS churn_class
        FROM tiered f OFFSET 0
    ),
    signalled AS (
        SELECT f.*,
            NOT f.gone AND f.mature AND coalesce(f.churn_class = 'high', false) AS is_high,
            NOT f.gone AND coalesce(f.usage_percent <= 100 - f.usage_down_percent, false)
                AS is_down,
            CASE WHEN NOT f.gone AND f.tier > f.tier_before
                AND f.day - f.tier_since < f.quiet_days THEN f.tier_since END AS fell_on,
            NOT f.gone AND coalesce(f.contract_days_left <= f.contract_days, false) AS is_ending,
            NOT f.gone AND f.complaints + f.repeat_faults + f.dissatisfied >= f.complaints_from
                AS is_complaining,
            CASE WHEN NOT f.gone AND f.day - f.asked_on < f.quiet_days THEN f.asked_on END
                AS is_asking_on
        FROM moved f OFFSET 0
    ),
    dated AS (
        SELECT f.*,
            array_remove(ARRAY[
                CASE WHEN f.is_high THEN '{Signal.CHURN_HIGH}' END,
                CASE WHEN f.is_down THEN '{Signal.USAGE_DOWN}' END,
                CASE WHEN f.fell_on IS NOT NULL THEN '{Signal.TIER_FELL}' END,
                CASE WHEN f.is_ending THEN '{Signal.CONTRACT_ENDING}' END,
                CASE WHEN f.is_complaining THEN '{Signal.COMPLAINTS}' END,
                CASE WHEN f.is_asking_on IS NOT NULL THEN '{Signal.ASKED_TO_LEAVE}' END
            ]::text[], NULL) AS signals,
            CASE WHEN f.gone THEN NULL ELSE greatest(
                f.b_last_signal_on, f.fell_on, f.is_asking_on,
                CASE WHEN f.is_high OR f.is_down OR f.is_ending OR f.is_complaining
                    THEN f.day END) END AS last_signal_on
        FROM signalled f OFFSET 0
    ),
    staged AS (
        SELECT f.*,
            CASE WHEN f.back_on IS NULL AND f.left_on IS NOT NULL THEN 'exit.disconnected'
                WHEN f.removing THEN 'exit.removal_ordered'
                WHEN f.gone THEN 'exit.returned'
                WHEN f.began_on IS NOT NULL AND f.day - f.last_signal_on < f.quiet_days
                    THEN 'decline.' || coalesce(f.signals[1], 'lately')
                WHEN f.mature THEN 'climax.mature'
                WHEN f.day - f.began_on > f.acquisition_days THEN 'build_up.settled'
                ELSE 'acquisition.new' END AS stage_rule
        FROM dated f OFFSET 0
    ),
    named AS (
        SELECT f.*, split_part(f.stage_rule, '.', 1) AS stage FROM staged f OFFSET 0
    ),
    told AS (
        SELECT f.*,
            CASE WHEN f.stage = f.b_stage THEN f.b_stage_since
                WHEN f.stage = 'exit' THEN coalesce(f.left_on, f.day)
                WHEN f.seen OR f.began_on IS NULL OR f.stage = 'decline' THEN f.day
                WHEN f.stage = 'climax'
                    THEN (f.began_on + make_interval(months => f.build_up_months::int))::date + 1
                WHEN f.stage = 'build_up' THEN f.began_on + f.acquisition_days::int + 1
                ELSE least(f.began_on, f.day) END AS stage_since,
            f.tier IN ('C', 'D') AND f.value_12m_fen IS NOT NULL AND NOT f.owes
                AND NOT coalesce(f.blacklisted, false)
                AND (coalesce(f.value_12m_fen < f.mean_fen, false)
                    OR coalesce(f.recent_income_fen < f.year_income_fen, false))
                AND (f.has_new OR coalesce(f.usage_gb >= f.usage_high_gb, false))
                AS is_hidden,
            CASE WHEN f.churn_score IS NULL THEN NULL ELSE %(card_version)s::text END
                AS card_version,
            f.version AS rules_version
        FROM named f
    ),
    ready AS MATERIALIZED (
        SELECT {", ".join(f"f.{name}" for name in _READY)},
            {", ".join(f"f.b_{name}" for name in _KEPT)},
            coalesce(f.is_hidden, false) AS hidden_high_value
        FROM told f
    ),
    news AS MATERIALIZED (
        SELECT f.* FROM ready f
        WHERE NOT f.seen OR ROW({", ".join(f"f.{name}" for name in _KEPT)})
            IS DISTINCT FROM ROW({", ".join(f"f.b_{name}" for name in _KEPT)})
    ),
    written AS (
        INSERT INTO customer_lifecycle ({", ".join(_WRITTEN)})
        SELECT f.customer_id, {", ".join(f"f.{name}" for name in _KEPT)},
            {_reasons(card)}, %(now)s
        FROM news f
        ON CONFLICT (customer_id) DO UPDATE SET
            {", ".join(f"{name} = excluded.{name}" for name in _WRITTEN[1:])}
        RETURNING 1
    ),
    changed AS (
        INSERT INTO lifecycle_change
            (id, run_id, customer_id, org_unit_id, kind, before, after, rule, warns, inputs, at)
        SELECT overlay(gen_random_uuid()::text PLACING %(made_at)s FROM 1)::uuid,
            %(run_id)s, f.customer_id, f.org_unit_id, v.kind, v.before, v.after, v.rule,
            coalesce(v.warns, false) AND f.stage <> 'exit',
            jsonb_strip_nulls(jsonb_build_object({inputs}, 'value_12m_fen', f.value_12m_fen,
                'churn_score', f.churn_score, 'signals', f.signals, 'day', f.day,
                'dissatisfied', f.dissatisfied, 'left_on', f.left_on, 'back_on', f.back_on)),
            %(now)s
        FROM news f CROSS JOIN LATERAL (VALUES
            ('stage', f.b_stage, f.stage, f.stage_rule, f.stage = 'decline'),
            ('tier', f.b_tier, f.tier,
                CASE WHEN f.owes THEN 'tier.arrears' WHEN f.has_new THEN 'tier.new_services'
                    ELSE 'tier.income' END, f.tier > f.b_tier),
            ('tier_forecast', f.b_tier_forecast, f.tier_forecast, 'tier.three_months',
                f.tier_forecast > f.tier),
            ('churn_class', f.b_churn_class, f.churn_class, 'churn.card', f.churn_class = 'high')
        ) AS v (kind, before, after, rule, warns)
        WHERE f.seen AND v.before IS DISTINCT FROM v.after
        RETURNING warns
    ),
    kept AS (
        INSERT INTO churn_sample (customer_id, month, day, org_unit_id, fields)
        SELECT f.customer_id, date_trunc('month', f.day)::date, f.day, f.org_unit_id,
            jsonb_strip_nulls(jsonb_build_object({inputs}))
        FROM ready f
        WHERE %(sampling)s AND NOT f.gone AND f.services > 0
            AND ('x' || substr(md5(f.customer_id::text), 1, 6))::bit(24)::int
                < f.sample_percent / 100 * 16777216
        ON CONFLICT DO NOTHING
    )
    SELECT (SELECT count(*) FROM chosen), (SELECT count(*) FROM written),
        (SELECT count(*) FROM changed), (SELECT count(*) FROM changed WHERE warns)
    """  # noqa: S608 - names of our own; whatever the card says is handed over as values


def of_card(card: Card | None) -> dict[str, Any]:
    """Make what the statement takes of a card: its bounds and points."""
    if card is None:
        return {}
    told: dict[str, Any] = {"intercept": card.intercept, "scale": card.scale}
    for nth, term in enumerate(card.terms):
        told[f"points_{nth}"] = term.points
        if term.from_ is not None:
            told[f"from_{nth}"] = term.from_
        if term.to is not None:
            told[f"to_{nth}"] = term.to
    return told
