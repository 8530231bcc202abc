"""What customers have answered, at the door and on every other channel."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import fetched
from app.suggestions.queries.outcomes import LAST_WORD
from app.suggestions.rules.ahead import Door
from app.suggestions.rules.contacts import YEAR
from app.suggestions.rules.limits import Limits
from app.suggestions.rules.silence import Spoken

# What was said last to each suggestion counts. Which days matter is for the rules to say, so
# everything within the longest of their times is read: few rows, for a customer hears few offers.
# The contact that an answer at the door has left in the ledger is of the very same moment.
_ANSWERS = f"""
    SELECT said.customer_id, said.answer, said.pitched, said.later_on, said.at,
        suggestion.offering_code, product_offering.category, suggestion_decision.visit_id,
        suggestion_decision.work_order_id, said.reason, said.id
    FROM (
        SELECT DISTINCT ON (suggestion_id) *
        FROM suggestion_answer
        WHERE customer_id = ANY(%(customer_ids)s) AND at > %(since)s
        ORDER BY suggestion_id, {LAST_WORD.format("suggestion_answer")}
    ) AS said
    JOIN suggestion ON suggestion.id = said.suggestion_id
    JOIN suggestion_decision ON suggestion_decision.id = suggestion.decision_id
    JOIN product_offering ON product_offering.id = suggestion.offering_id
    UNION ALL
    SELECT contact.customer_id, contact.outcome, true, contact.later_on, contact.at,
        contact.offering_code, offering.category, NULL, contact.work_order_id, NULL, contact.id
    FROM interaction AS contact
    LEFT JOIN LATERAL (
        SELECT category FROM product_offering
        WHERE code = contact.offering_code ORDER BY valid_from DESC LIMIT 1
    ) AS offering ON true
    WHERE contact.customer_id = ANY(%(customer_ids)s) AND contact.at > %(since)s
    AND contact.kind = 'sales' AND contact.outcome IN ('accepted', 'declined', 'later')
    AND NOT EXISTS (
        SELECT FROM suggestion_answer AS told
        WHERE told.customer_id = contact.customer_id AND told.at = contact.at AND told.pitched
    )
    ORDER BY at, id
"""  # noqa: S608 - text of our own


class Heard(NamedTuple):
    """What a customer last said to a suggestion, or in a contact of another channel.

    `code` and `category` are null where such a contact named no offering. `visit_id` null was
    taken ahead of a visit, or not said in one at all; then `work_order_id` may be null, too.
    `reason` is why they declined at the door.
    """

    answer: str | None
    pitched: bool
    later_on: date | None
    at: datetime
    code: str | None
    category: str | None
    visit_id: UUID | None
    work_order_id: UUID | None
    reason: str | None

    def in_visit(self, door: Door) -> bool:
        """Tell whether it was said at this door, in the visit that goes on."""
        if self.visit_id is None or door.visit_id is None:
            return self.visit_id is None and self.work_order_id == door.work_order_id
        return self.visit_id == door.visit_id

    def spoken(self, zone: ZoneInfo) -> Spoken:
        """Say it as the rules of silence take it, on its local day."""
        day = self.at.astimezone(zone).date()
        return Spoken(day, self.answer, self.code, self.category, self.later_on, self.reason)


async def answers_of(
    session: AsyncSession, customer_ids: Sequence[UUID], limits: Limits, now: datetime
) -> Mapping[UUID, Sequence[Heard]]:
    """List what customers last said of each offer on all channels, each customer's oldest first."""
    longest = max(limits.declined_days, 2 * limits.refusal_days, limits.accepted_days, YEAR.days)
    # A day more, for what is counted are local days.
    since = now - timedelta(days=longest + 1)
    given = {"customer_ids": list(customer_ids), "since": since}
    heard: dict[UUID, list[Heard]] = {customer_id: [] for customer_id in customer_ids}
    for customer_id, *row in await fetched(session, _ANSWERS, given):
        heard[customer_id].append(Heard(*row[:-1]))
    return heard
