"""Campaigns: for a time, somebody who answers for it lets an offer weigh more or less."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple
from uuid import UUID

from app.catalog.rules import ValueLever
from app.core.errors import Conflict
from app.core.i18n import Words
from app.suggestions.rules.facts import Offer

# What campaigns may come to together, so that none can outweigh what a customer needs.
LEAST, MOST = 0.5, 2.0


class CampaignCodeTaken(Conflict):
    slug = "campaign-code-taken"
    title = Words(zh="该活动编码已被使用", en="Another campaign has this code")
    advice = Words(zh="编码 {code} 已有活动，请换一个。", en="Give it another code than {code}.")


class CampaignOver(Conflict):
    slug = "campaign-over"
    title = Words(zh="该活动已结束", en="This campaign is over")
    advice = Words(
        zh="{code} 已于 {valid_to} 结束，不能再改。",
        en="{code} ended on {valid_to} and is not changed any more.",
    )


class Campaign(NamedTuple):
    """A factor for one offer or for all offers of a lever, from a local day to another (the last
    excluded), for an org unit's subtree. `owner` is who answers for it."""

    id: UUID
    code: str
    org_path: str
    lever: ValueLever | None
    offering_code: str | None
    factor: float
    valid_from: date
    valid_to: date
    owner: str

    def runs(self, org_path: str, day: date) -> bool:
        """Tell whether it counts for an org unit on a local day."""
        return self.valid_from <= day < self.valid_to and org_path.startswith(self.org_path)

    def pushes(self, offer: Offer) -> bool:
        """Tell whether it is about an offer."""
        return self.offering_code == offer.code or self.lever in offer.levers


def push_of(offer: Offer, running: Sequence[Campaign]) -> float:
    """Multiply the factors of the campaigns that are about an offer, within their bounds."""
    factor = 1.0
    for campaign in running:
        if campaign.pushes(offer):
            factor *= campaign.factor
    return min(max(factor, LEAST), MOST)
