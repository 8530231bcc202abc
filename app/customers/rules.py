"""Customers' words: segments, channels, kinds of contact; and how personal data is masked."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.core.errors import Conflict, Forbidden, Invalid
from app.core.i18n import Words

# How the moment of a customer's word is described wherever it is sent.
WHEN_SAID = (
    "When the customer said so, by the phone's clock; now when left out. A later word of theirs"
    " stays, whichever arrives first."
)


class SetSince(Conflict):
    slug = "set-since"
    title = Words(zh="此后已有新的设置", en="It was set anew since then")
    advice = Words(
        zh="该项已于 {since} 更改，晚于本机操作时间，未予覆盖。请核对后重新设置。",
        en="It was set at {since}, after this phone did so, and stays so: look at it again.",
    )


# Whoever has something to sell at the door is not the one to say that a customer may be sold to.
class KeptUndisturbed(Forbidden):
    slug = "kept-undisturbed"
    title = Words(
        zh="上门人员不能解除免打扰", en="Do-not-disturb is not lifted by who is at the door"
    )
    advice = Words(
        zh="免打扰只能由客户本人在自助渠道解除，或由班组长受理客户要求后解除。",
        en="The customer lifts it themselves where they serve themselves, or a supervisor does so"
        " when they ask for it.",
    )


class Segment(StrEnum):
    """Who the customer is."""

    HOUSEHOLD = "household"
    BUSINESS = "business"


class Channel(StrEnum):
    """Where a contact took place."""

    VISIT = "visit"
    PHONE = "phone"
    SMS = "sms"
    SHOP = "shop"
    APP = "app"


class InteractionKind(StrEnum):
    """What a contact was about. Only `sales` counts against the contact cap.

    The outcome of a `follow_up` is the mark that the customer gave. In a `cancellation` they asked
    about leaving.
    """

    SALES = "sales"
    SERVICE = "service"
    FAULT = "fault"
    COMPLAINT = "complaint"
    FOLLOW_UP = "follow_up"
    CANCELLATION = "cancellation"


class ConsentState(StrEnum):
    """What a customer said of being spoken to about offers on a channel."""

    GIVEN = "given"
    WITHDRAWN = "withdrawn"


class ConsentProof(StrEnum):
    """What shows that it was the customer who said so."""

    SIGNATURE = "signature"
    SMS_REPLY = "sms_reply"
    ONE_TIME_CODE = "one_time_code"
    RECORDING = "recording"
    APP = "app"
    PAPER = "paper"


# Where silence is taken as refusal: the rules for calls and messages want consent first.
ASKED_FIRST = frozenset({Channel.PHONE, Channel.SMS})


@dataclass(frozen=True)
class Said:
    """One thing a customer said of one or several channels, and when they said it."""

    channels: Collection[Channel]
    state: ConsentState
    said_at: datetime


def consents_of(said: Iterable[Said]) -> dict[Channel, Said]:
    """Give what was said last of each channel; of two said at one moment, the withdrawal.

    What arrives late takes its place by when it was said, so it undoes nothing that is newer.
    """
    last: dict[Channel, Said] = {}
    for one in said:
        for channel in one.channels:
            before = last.get(channel)
            if (
                before is None
                or one.said_at > before.said_at
                or (one.said_at == before.said_at and one.state is ConsentState.WITHDRAWN)
            ):
                last[channel] = one
    return last


def may_offer_on(
    channel: Channel,
    *,
    allowed: Collection[Channel],
    refused: Collection[Channel],
    do_not_disturb: bool,
) -> bool:
    """Tell whether a customer may be spoken to about offers on a channel."""
    if do_not_disturb or channel in refused:
        return False
    return channel in allowed or channel not in ASKED_FIRST


def check_proof(state: ConsentState, proof: ConsentProof | None, reference: str | None) -> None:
    """Check that consent comes with what shows it; to withdraw it nobody has to show anything.

    Raises Invalid.
    """
    if state is ConsentState.GIVEN and (proof is None or not reference):
        missing = "proof" if proof is None else "reference"
        raise Invalid(
            errors=[{"field": missing, "message": "needed to show that consent was given"}]
        )


def change_percent(usage_gb: Sequence[int]) -> int | None:
    """Compare the newest month with the mean of up to three before it; the newest comes first.

    None where fewer than two months are known, or nothing was used before.
    """
    before = usage_gb[1:4]
    if not before or not sum(before):
        return None
    return round((usage_gb[0] * len(before) / sum(before) - 1) * 100)


# Fewer contacts than these say nothing of the hours somebody likes.
_CONTACTS_THAT_TELL = 3
_BAND_HOURS = 3


def mostly_at(hours: Sequence[int]) -> tuple[int, int, int] | None:
    """Find the three hours of the day in which most contacts lay, and how many; the earliest of
    several. `hours` are local hours, 0 to 23. None when there were too few to tell."""
    if len(hours) < _CONTACTS_THAT_TELL:
        return None
    bands = {
        begins: sum(begins <= hour < begins + _BAND_HOURS for hour in hours)
        for begins in range(24 - _BAND_HOURS + 1)
    }
    begins = max(bands, key=lambda each: (bands[each], -each))
    return begins, begins + _BAND_HOURS, bands[begins]


# Where a fact about a customer comes from, as it stands beside each block of the door card.
FROM_CRM = "crm"
FROM_HERE = "yingwei"


def masked_name(name: str) -> str:
    """Reduce a name to what may be shown without a reason: 王小明 becomes 王**, Ann Lee A**."""
    return f"{name[:1]}**" if name else ""


def masked_phone(phone: str) -> str:
    """Mask a telephone number to its ends: 13812341234 becomes 138****1234; short ones wholly."""
    return f"{phone[:3]}****{phone[-4:]}" if len(phone) >= 11 else "****"


# What may be a telephone number within words that people wrote.
_NUMBER = re.compile(r"\d[\d\- ]{5,}\d")


def masked_words(words: str) -> str:
    """Mask what may be a telephone number within words."""
    return _NUMBER.sub(lambda found: masked_phone(re.sub(r"\D", "", found.group())), words)


def masked_address(locality: str, building: str | None) -> str:
    """Say where somebody lives down to the building, without unit and room."""
    return f"{locality}{building or ''}"
