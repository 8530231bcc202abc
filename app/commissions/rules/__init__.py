"""The words of commissions: entries, flags and what becomes of them.

`reckoning` says how much a sale is worth and when, `flags` what a person should look at.
"""

from enum import StrEnum

# Its numbers can be set wherever the room is served, also where nobody flags anything.
from app.commissions.rules import flags  # noqa: F401
from app.core.errors import Conflict
from app.core.i18n import Words


class EntryKind(StrEnum):
    """What an entry is for."""

    EARNED = "earned"
    KEPT = "kept"
    TAKEN_BACK = "taken_back"
    GIVEN_BACK = "given_back"


class FlagKind(StrEnum):
    """What looks odd about a sale, or about a technician's sales."""

    RESOLD = "resold"
    NO_TIME_ON_SITE = "no_time_on_site"
    RETURNS_ABOVE_PEERS = "returns_above_peers"

    @property
    def words(self) -> Words:
        """What it means."""
        return _FLAGS[self]


class FlagState(StrEnum):
    """What a person has made of a flag."""

    OPEN = "open"
    CLEARED = "cleared"
    UPHELD = "upheld"


_FLAGS = {
    FlagKind.RESOLD: Words(
        zh="同一客户撤单或退订后又办理同一业务", en="Sold again to a customer who had cancelled it"
    ),
    FlagKind.NO_TIME_ON_SITE: Words(
        zh="签到后过短时间即办理，缺少现场时间", en="Sold with hardly any time at the door"
    ),
    FlagKind.RETURNS_ABOVE_PEERS: Words(
        zh="退订率明显高于同区同事", en="More of the sales come back than of the peers'"
    ),
}


class ReviewedOtherwise(Conflict):
    slug = "flag-reviewed-otherwise"
    title = Words(zh="该提示已有处理结论", en="This flag has been reviewed already")
    advice = Words(
        zh="已于 {reviewed_at} 判为 {state}，结论不再更改。",
        en="It was {state} at {reviewed_at}; a verdict stays.",
    )
