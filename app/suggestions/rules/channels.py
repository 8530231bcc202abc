"""Through whom and on which channels a kind of business is spoken of, beside the door itself.

What a technician may do at the door is `catalog.rules.ON_SITE`. Here stands what the others may:
where an offer may be handed to, and who may ask for a contact about it.
"""

from collections.abc import Mapping
from typing import NamedTuple

from app.catalog.rules import BusinessType
from app.core.errors import Conflict
from app.core.i18n import Words
from app.customers.rules import Channel
from app.suggestions.rules.leads import LeadTo


class Through(NamedTuple):
    """To whom offers of a business type are handed over, and on which channels they are made.

    `manager_only` is for what nobody but the customer's account manager may speak of.
    """

    handed_to: frozenset[LeadTo]
    channels: frozenset[Channel]
    manager_only: bool = False


_ANYBODY = Through(frozenset(LeadTo), frozenset(Channel))

THROUGH: Mapping[BusinessType, Through] = {
    BusinessType.SALES: _ANYBODY,
    BusinessType.INCENTIVE: _ANYBODY,
    BusinessType.SERVICE: _ANYBODY,
    # Important customers are the account manager's, on whatever channel they like.
    BusinessType.STRATEGIC: Through(
        frozenset({LeadTo.ACCOUNT_MANAGER}), frozenset(Channel), manager_only=True
    ),
    # Special terms to keep somebody are talked over by a person and not sent around.
    BusinessType.RETENTION: Through(
        frozenset({LeadTo.ACCOUNT_MANAGER, LeadTo.SHOP, LeadTo.PHONE}),
        frozenset({Channel.VISIT, Channel.PHONE, Channel.SHOP}),
    ),
    # Customer data is handled face to face, with the identity checked: no call, message or link.
    BusinessType.SENSITIVE: Through(
        frozenset({LeadTo.SHOP}), frozenset({Channel.VISIT, Channel.SHOP})
    ),
}

# Who speaks on a channel, as leads name them; a message comes from nobody whom a lead was given.
_SPEAKER: Mapping[Channel, LeadTo] = {
    Channel.PHONE: LeadTo.PHONE,
    Channel.SHOP: LeadTo.SHOP,
    Channel.APP: LeadTo.APP,
}


class ChannelNotForOffer(Conflict):
    slug = "channel-not-for-offer"
    title = Words(zh="该渠道不能办理此类业务", en="This kind of offer does not go that way")
    advice = Words(
        zh="{offering} 属于 {business_type} 类业务，只能通过 {allowed}。",
        en="{offering} is {business_type} business, which goes through {allowed} alone.",
    )


def speaker(channel: Channel, *, by_account_manager: bool = False) -> LeadTo | None:
    """Say as whom a channel speaks, in the words of leads; None is nobody a lead is given to."""
    return LeadTo.ACCOUNT_MANAGER if by_account_manager else _SPEAKER.get(channel)


def may_speak(business_type: BusinessType, channel: Channel, *, by_account_manager: bool) -> bool:
    """Tell whether a kind of business may be spoken of on a channel, by whoever asks."""
    through = THROUGH[business_type]
    return channel in through.channels and (by_account_manager or not through.manager_only)


def check_speaker(
    offering: str, business_type: BusinessType, channel: Channel, *, by_account_manager: bool
) -> None:
    """Check that an offering may be spoken of on a channel. Raises ChannelNotForOffer."""
    if not may_speak(business_type, channel, by_account_manager=by_account_manager):
        through = THROUGH[business_type]
        allowed = [LeadTo.ACCOUNT_MANAGER] if through.manager_only else sorted(through.channels)
        raise ChannelNotForOffer(offering=offering, business_type=business_type, allowed=allowed)


def check_receiver(offering: str, business_type: BusinessType, handed_to: LeadTo) -> None:
    """Check that an offering may be handed over to somebody. Raises ChannelNotForOffer."""
    allowed = THROUGH[business_type].handed_to
    if handed_to not in allowed:
        raise ChannelNotForOffer(
            offering=offering, business_type=business_type, allowed=sorted(allowed)
        )
