"""Whether anything was pitched against a guard, told afterwards from what was written down.

The statement shares nothing with the gates that should have held it back: a mistake of theirs must
not hide here. It asks about what is beyond doubt afterwards, as it was when the offer was decided:

- from the ledger of contacts, counted for everybody at the address: the month, the year, the gap;
- from what was heard: complaints, who is not satisfied, faults that came back, refused channels,
  refusals and their silence about an offer, a category, or until a day, and the third refusal,
  which stops selling for so many days from its own day on;
- from orders and visits: a fault that was not repaired yet, and a second pitch in one visit;
- from the facts that the decision kept, since the customer's row only says how it is now: arrears
  and blacklist, for what is not paid for beforehand. Do-not-disturb is looked for in both; of one
  that the CRM set nobody knows since when, so it counts from the day on which the CRM said so.

What arrived late counts as well, for the customer does not know who knew what. Not judged are the
gates of what fits and what is worth it, whose facts nobody keeps a history of, who held the slot at
that moment, whom another channel was about to ask, outages, and a service contact of the same day.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.parameter_values import parameters_in_force
from app.core.parameters import Parameters
from app.suggestions.queries import LAST_WORD, gates
from app.suggestions.rules.gating import GateVersion, switched_off
from app.suggestions.rules.limits import PARAMETERS, limits_in_force

# By which numbers a pitch is judged: those of the technician's unit at that moment. A guard that
# was switched off for the unit is `off`.
_NUMBERS = (
    "pitched_per_visit",
    "contacts_month",
    "contacts_year",
    "contact_gap_days",
    "declined_days",
    "declined_group_days",
    "refusals",
    "refusal_days",
    "complaint_days",
    "repeat_fault_days",
)
_BOUND = f"""
    SELECT * FROM jsonb_to_recordset(CAST(:bounds AS jsonb)) AS bound (
        unit uuid, begins timestamptz, ends timestamptz, zone text, off text[],
        {", ".join(f"{name} float8" for name in _NUMBERS)}
    )
"""  # noqa: S608 - names of our own

# Who lives where a customer lives; where an address names no room it is a house with many homes.
_HOME = """
    SELECT placed.customer_id UNION
    SELECT near.customer_id FROM service_address AS own
    JOIN service_address AS near
        ON replace(near.standard_address, ' ', '') = replace(own.standard_address, ' ', '')
    WHERE own.customer_id = placed.customer_id AND own.room IS NOT NULL
"""

# One visit is one contact, however much was said in it, and none before itself.
_SOLD = f"""
    SELECT count(DISTINCT (contact, day)) FILTER (
            WHERE at > placed.decided_at - interval '30 days'
        ) AS month,
        count(DISTINCT (contact, day)) AS year, max(day) AS last_day
    FROM (
        SELECT coalesce(work_order_id, id) AS contact, at, timezone(placed.zone, at)::date AS day
        FROM interaction
        WHERE customer_id IN ({_HOME}) AND kind = 'sales' AND at < placed.decided_at
        AND at > placed.decided_at - interval '365 days'
        AND (work_order_id = placed.work_order_id
            AND timezone(placed.zone, at)::date = placed.today) IS NOT TRUE
    ) AS contacts
"""  # noqa: S608 - text of our own

# What they had said before to what was offered in a visit: the newest answer to each suggestion.
_HEARD = f"""
    SELECT bool_or(said.answer = 'declined' AND offering_code = placed.offering_code
            AND placed.today - day < placed.declined_days) AS offer,
        bool_or(said.answer = 'declined' AND category = placed.category
            AND placed.today - day < placed.declined_group_days) AS category,
        (array_agg(later_on ORDER BY said.at DESC) FILTER (
            WHERE offering_code = placed.offering_code AND later_on IS NOT NULL
        ))[1] > placed.today AS later,
        array_agg(day) FILTER (WHERE said.answer = 'declined') AS refused,
        bool_or(said.reason = 'dissatisfied' AND placed.today - day < placed.complaint_days)
            AS unhappy
    FROM (
        SELECT DISTINCT ON (suggestion_id) suggestion_id, answer, reason, later_on, at,
            timezone(placed.zone, at)::date AS day
        FROM suggestion_answer
        WHERE customer_id = placed.customer_id AND at < placed.decided_at
        AND at > placed.decided_at - interval '1 day' * greatest(365, 2 * placed.refusal_days,
            placed.declined_days, placed.declined_group_days)
        ORDER BY suggestion_id, {LAST_WORD.format("suggestion_answer")}
    ) AS said
    JOIN suggestion ON suggestion.id = said.suggestion_id
    JOIN suggestion_decision AS decision ON decision.id = suggestion.decision_id
    JOIN product_offering ON product_offering.id = suggestion.offering_id
    WHERE NOT (decision.work_order_id = placed.work_order_id AND day = placed.today)
"""  # noqa: S608 - text of our own

# With what they refused on other channels: whether some day is that of the third refusal within
# the time, and selling stops for as long from it on.
_REFUSED_OFTEN = """
    WITH refused AS (
        SELECT day, row_number() OVER (ORDER BY day) AS place
        FROM (
            SELECT unnest(heard.refused) AS day
            UNION ALL
            SELECT timezone(placed.zone, at)::date FROM interaction
            WHERE customer_id = placed.customer_id AND kind = 'sales' AND outcome = 'declined'
            AND work_order_id IS NULL AND at < placed.decided_at
            AND at > placed.decided_at - interval '1 day' * 2 * placed.refusal_days
        ) AS days
    )
    SELECT FROM refused AS third JOIN refused AS first
        ON first.place = third.place - ceil(placed.refusals) + 1
    WHERE third.day - first.day < placed.refusal_days
    AND placed.today - third.day < placed.refusal_days
"""

# Reports that lie no farther apart than a day may all be about one fault.
_FAULT_CAME_BACK = """
    SELECT max(at) - min(at) > interval '1 day' FROM (
        SELECT at FROM interaction
        WHERE customer_id = placed.customer_id AND kind = 'fault' AND at <= placed.decided_at
        AND at > placed.decided_at - interval '1 day' * placed.repeat_fault_days
        AND work_order_id IS DISTINCT FROM placed.work_order_id
        UNION ALL
        SELECT reported_at FROM work_order
        WHERE customer_id = placed.customer_id AND work_type = 'repair' AND state <> 'cancelled'
        AND reported_at <= placed.decided_at
        AND (id = placed.work_order_id
            OR reported_at > placed.decided_at - interval '1 day' * placed.repeat_fault_days)
    ) AS reports
"""

# What was taken ahead is shown once the phone knows the repair done, whose clock tells both.
_NOT_RESTORED = """
    placed.work_type = 'repair' AND CASE
        WHEN placed.visit IS NOT NULL THEN NOT EXISTS (
            SELECT FROM visit WHERE visit.id = placed.visit AND restored_at <= placed.decided_at
        )
        ELSE NOT EXISTS (
            SELECT FROM visit
            WHERE visit.work_order_id = placed.work_order_id AND restored_at IS NOT NULL
        ) OR (
            SELECT min(event.device_at) FROM work_order_event AS event
            WHERE event.work_order_id = placed.work_order_id AND event.step = 'restore'
        ) > placed.device_at
    END
"""

_COMPLAINT = """
    SELECT FROM interaction
    WHERE customer_id = placed.customer_id AND kind = 'complaint' AND at < placed.decided_at
    AND (
        closed_at IS NULL OR closed_at > placed.decided_at
        OR placed.today - timezone(placed.zone, closed_at)::date < placed.complaint_days
    )
"""

# Of two words said at one moment the withdrawal counts.
_CHANNEL_REFUSED = """
    SELECT state = 'withdrawn' FROM contact_consent
    WHERE customer_id = placed.customer_id AND 'visit' = ANY(channels)
    AND said_at < placed.decided_at
    ORDER BY said_at DESC, state = 'withdrawn' DESC LIMIT 1
"""

# What was pitched in a time, each suggestion once, and whether any guard spoke against it.
PITCHED_AGAINST = f"""
WITH bound AS MATERIALIZED ({_BOUND}),
answered AS MATERIALIZED (
    SELECT suggestion_id, customer_id, at, device_at FROM suggestion_answer
    WHERE at > :since AND at <= :until AND pitched
),
pitched AS (
    SELECT DISTINCT ON (answer.suggestion_id) answer.suggestion_id, answer.at, answer.device_at,
        answer.customer_id, suggestion.offering_code, suggestion.held_back, offering.category,
        offering.prepaid,
        decision.visit_id AS visit, decision.work_order_id, decision.technician_id,
        decision.at AS decided_at, decision.facts, work_order.work_type,
        coalesce(decision.model_version, decision.policy) AS version
    FROM answered AS answer
    -- The bounds say in which months of the log they lie, so that no other is read.
    JOIN suggestion ON suggestion.id = answer.suggestion_id
        AND suggestion.id >= (SELECT suggestion_id FROM answered ORDER BY 1 LIMIT 1)
        AND suggestion.id <= (SELECT suggestion_id FROM answered ORDER BY 1 DESC LIMIT 1)
    JOIN suggestion_decision AS decision ON decision.id = suggestion.decision_id
    JOIN product_offering AS offering ON offering.id = suggestion.offering_id
    JOIN work_order ON work_order.id = decision.work_order_id
    ORDER BY answer.suggestion_id, answer.at
),
placed AS (
    SELECT pitched.*, bound.*, timezone(bound.zone, decided_at)::date AS today,
        row_number() OVER (
            PARTITION BY coalesce(visit, work_order_id), timezone(bound.zone, at)::date
            ORDER BY at, suggestion_id
        ) AS place
    FROM pitched
    JOIN technician ON technician.id = pitched.technician_id
    JOIN bound ON bound.unit = technician.org_unit_id
        AND bound.begins <= decided_at AND decided_at < bound.ends
),
judged AS (
    SELECT placed.suggestion_id, placed.at, placed.customer_id, placed.version, EXISTS (
        SELECT FROM (VALUES
            ('held_back', placed.held_back IS NOT NULL),
            ('not_restored', {_NOT_RESTORED}),
            ('do_not_disturb', (placed.facts ->> 'do_not_disturb')::boolean
                OR customer.do_not_disturb AND placed.decided_at
                    > coalesce(customer.do_not_disturb_since, customer.as_of)),
            ('no_consent', ({_CHANNEL_REFUSED})),
            ('repeat_fault', ({_FAULT_CAME_BACK})),
            ('complaint_recent', EXISTS ({_COMPLAINT})),
            -- Decisions from before this was asked name no such fact, and broke nothing.
            ('dissatisfied', heard.unhappy AND jsonb_exists(placed.facts, 'dissatisfied_on')),
            ('arrears', NOT placed.prepaid AND (placed.facts ->> 'arrears_fen')::bigint > 0),
            ('blacklisted', NOT placed.prepaid AND (placed.facts ->> 'blacklisted')::boolean),
            ('pitched_in_this_visit', placed.place - 1 >= placed.pitched_per_visit),
            ('contacts_month', sold.month >= placed.contacts_month),
            ('contacts_year', sold.year >= placed.contacts_year),
            ('contact_gap', placed.today - sold.last_day < placed.contact_gap_days),
            ('refused_often', EXISTS ({_REFUSED_OFTEN})),
            ('declined_recently', heard.offer),
            ('declined_group', heard.category),
            ('asked_for_later', heard.later)
        ) AS guard (code, broken)
        WHERE broken AND code <> ALL (placed.off)
    ) AS against
    FROM placed
    JOIN customer ON customer.id = placed.customer_id
    CROSS JOIN LATERAL ({_SOLD}) AS sold
    CROSS JOIN LATERAL ({_HEARD}) AS heard
)
"""  # noqa: S608 - text of our own

_VIOLATIONS = text(
    f"""{PITCHED_AGAINST}
SELECT count(*) AS pitched, count(*) FILTER (WHERE against) AS against FROM judged
WHERE CAST(:version AS text) IS NULL OR version = :version
"""  # noqa: S608 - text of our own
)

_UNITS = text(
    "SELECT id, path, time_zone FROM org_unit WHERE EXISTS"
    " (SELECT FROM technician WHERE technician.org_unit_id = org_unit.id)"
)


async def judging(session: AsyncSession, since: datetime, until: datetime) -> dict[str, Any]:
    """Return what the statement takes to judge a time (UTC): the numbers of each org unit, and
    which guards were switched off for it, from each moment on at which any of them changed."""
    parameters, versions = await parameters_in_force(session), await gates(session)
    bounds = [
        bound
        for unit, path, zone in await session.execute(_UNITS)
        for bound in _bounds_of(unit, path, ZoneInfo(zone), parameters, versions, since, until)
    ]
    return {"since": since, "until": until, "bounds": orjson.dumps(bounds).decode()}


def _bounds_of(
    unit: UUID,
    path: str,
    zone: ZoneInfo,
    parameters: Parameters,
    versions: Sequence[GateVersion],
    since: datetime,
    until: datetime,
) -> list[dict[str, Any]]:
    """Give the numbers of one org unit, one after the other."""
    moments = [
        *(
            at
            for name in _NUMBERS
            for (known, scope), dated in parameters.rows.items()
            if known == PARAMETERS[name].name and path.startswith(scope)
            for at, _ in dated
        ),
        *(
            datetime.combine(one.valid_from, time(), zone)
            for one in versions
            if path.startswith(one.org_path)
        ),
    ]
    changes = sorted({since, *(at.astimezone(UTC) for at in moments if since < at <= until)})
    begins = [None, *changes[1:]]
    found = []
    for begin, at, end in zip(begins, changes, [*changes[1:], None], strict=True):
        limits = limits_in_force(parameters, at, path)
        off = switched_off(versions, path, at.astimezone(zone).date())
        found.append(
            {
                "unit": unit,
                "begins": begin or "-infinity",
                "ends": end or "infinity",
                "zone": zone.key,
                "off": sorted(off),
                **{name: getattr(limits, name) for name in _NUMBERS},
            }
        )
    return found


class Pitches(NamedTuple):
    """How much was pitched, and how much of that against a guard."""

    pitched: int
    against: int


async def violations(
    session: AsyncSession, since: datetime, until: datetime, version: str | None = None
) -> Pitches:
    """Count what was pitched after `since` and until `until` (UTC), by one model or by all, and
    what of it was pitched against a guard."""
    given = await judging(session, since, until)
    row = (await session.execute(_VIOLATIONS, given | {"version": version})).one()
    return Pitches(row.pitched, row.against)
