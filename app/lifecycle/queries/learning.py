"""What can be learned from: what was known of customers on a day, and whether they left then."""

from datetime import date, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import fetched
from app.lifecycle.rules import FIELDS

# What a score speaks of: whether somebody leaves within so many days.
HORIZON_DAYS = 90


class Labelled(NamedTuple):
    """A customer on a day: the card's fields as they were known, and whether they left in time."""

    customer_id: UUID
    org_unit_id: UUID
    day: date
    fields: dict[str, float | None]
    left: bool


# Who left is told by the CRM, or by the last of their services.
_LABELLED = """
    SELECT k.customer_id, k.org_unit_id, k.day, k.fields,
        coalesce(c.disconnected_on > k.day AND c.disconnected_on <= k.day + %(horizon)s::int, false)
        OR coalesce(s.ended_on > k.day AND s.ended_on <= k.day + %(horizon)s::int, false)
    FROM churn_sample k JOIN customer c ON c.id = k.customer_id
    LEFT JOIN LATERAL (
        SELECT max(ended_on) AS ended_on FROM subscription s WHERE s.customer_id = k.customer_id
        HAVING bool_and(s.ended_on IS NOT NULL)
    ) AS s ON true
    WHERE k.day >= %(first)s AND k.day < %(until)s
    ORDER BY k.day, k.customer_id
"""


async def labelled(session: AsyncSession, first: date, until: date) -> list[Labelled]:
    """Read the customers kept to learn from on the days from `first` to `until`, the last excluded.

    Whether they left within `HORIZON_DAYS` is known only of days that lie so far back: whoever asks
    leaves later ones out, as `latest_labelled` says.
    """
    asked = {"first": first, "until": until, "horizon": HORIZON_DAYS}
    return [
        Labelled(each, unit, day, {name: fields.get(name) for name in FIELDS}, left)
        for each, unit, day, fields, left in await fetched(session, _LABELLED, asked)
    ]


def latest_labelled(today: date) -> date:
    """Return the first day of which it cannot be known yet who left."""
    return today - timedelta(days=HORIZON_DAYS)
