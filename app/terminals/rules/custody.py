"""Where a terminal can be, and how it may come from one place to another.

Every change of place is a handling, every handling is a move in the terminal's chain, and the last
move says where the terminal is. What may follow what stands in one table.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from app.core.errors import Conflict
from app.core.i18n import Words


class TerminalKind(StrEnum):
    """What stands in the customer's home."""

    ONT_GATEWAY = "ont_gateway"
    SET_TOP_BOX = "set_top_box"
    WIFI_REPEATER = "wifi_repeater"
    CAMERA = "camera"


class Pool(StrEnum):
    """Where a serial number is booked.

    `recovered` is taken back and not yet looked at, in a technician's hands or at the depot;
    `void` is a number that was taken in by mistake and stands for no device.
    """

    WAREHOUSE = "warehouse"
    VAN = "van"
    CUSTOMER = "customer"
    RECOVERED = "recovered"
    REFURBISH = "refurbish"
    SCRAP = "scrap"
    LOST = "lost"
    VOID = "void"


class Handling(StrEnum):
    """What is done with a terminal.

    `take_in` is for what stands at a customer's and is not known to be there; `rebook` puts right
    what was booked wrongly, `load` takes over what a file says.
    """

    LOAD = "load"
    ISSUE = "issue"
    RETURN = "return"
    TRANSFER = "transfer"
    FIT = "fit"
    TAKE = "take"
    TAKE_IN = "take_in"
    HAND_IN = "hand_in"
    REFURBISH = "refurbish"
    RESTOCK = "restock"
    SCRAP = "scrap"
    LOSE = "lose"
    FIND = "find"
    REBOOK = "rebook"
    UNDO = "undo"


class Why(StrEnum):
    """Why a terminal was moved."""

    LOADED = "loaded"
    STOCK_UP = "stock_up"
    NOT_NEEDED = "not_needed"
    LENT = "lent"
    INSTALLED = "installed"
    SERVICE_ENDED = "service_ended"
    FAULTY = "faulty"
    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"
    WRONG_MODEL = "wrong_model"
    FOUND_AT_CUSTOMER = "found_at_customer"
    HANDED_IN = "handed_in"
    TESTED_GOOD = "tested_good"
    BEYOND_REPAIR = "beyond_repair"
    OUTDATED = "outdated"
    LOST = "lost"
    CUSTOMER_LOST_IT = "customer_lost_it"
    FOUND = "found"
    MISBOOKED = "misbooked"
    MISTAKE = "mistake"


class HandoverState(StrEnum):
    """How far it has come that one technician gives a terminal to another."""

    OFFERED = "offered"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a terminal is: the pool, the org unit that answers for it, and who has it.

    A technician has what is in their van and what they have recovered and not handed in. At a
    customer's, the customer or the number of their line may be unknown. Raises ValueError when
    holder and pool do not go together.
    """

    pool: Pool
    org_unit_id: UUID
    technician_id: UUID | None = None
    customer_id: UUID | None = None
    service_number: str | None = None

    def __post_init__(self) -> None:
        held = self.technician_id is not None
        at_home = self.customer_id is not None or self.service_number is not None
        if (
            (self.pool is Pool.VAN and not held)
            or (held and self.pool not in (Pool.VAN, Pool.RECOVERED))
            or (at_home and self.pool is not Pool.CUSTOMER)
        ):
            raise ValueError(f"nobody can have a terminal in that way: {self}")

    def of_customer(self, customer_id: UUID | None, service_number: str | None) -> bool:
        """Tell whether it stands at a customer's, who is known by id or by a line's number."""
        if self.pool is not Pool.CUSTOMER:
            return False
        if customer_id is not None and self.customer_id is not None:
            return customer_id == self.customer_id
        return service_number is not None and service_number == self.service_number


# Where a terminal can come from a pool by a handling; None is a serial number nobody knows yet.
# Loading takes over what another system says, and undoing goes back to where it was, so they stand
# in no line.
MOVES: dict[tuple[Pool | None, Handling], frozenset[Pool]] = {
    (Pool.WAREHOUSE, Handling.ISSUE): frozenset({Pool.VAN}),
    (Pool.VAN, Handling.RETURN): frozenset({Pool.WAREHOUSE}),
    (Pool.VAN, Handling.TRANSFER): frozenset({Pool.VAN}),
    (Pool.VAN, Handling.FIT): frozenset({Pool.CUSTOMER}),
    (Pool.CUSTOMER, Handling.TAKE): frozenset({Pool.RECOVERED}),
    (None, Handling.TAKE_IN): frozenset({Pool.RECOVERED}),
    (Pool.LOST, Handling.TAKE_IN): frozenset({Pool.RECOVERED}),
    (Pool.VOID, Handling.TAKE_IN): frozenset({Pool.RECOVERED}),
    # What was recovered stays so when it changes from the technician's hands to the depot.
    (Pool.RECOVERED, Handling.HAND_IN): frozenset({Pool.RECOVERED}),
    (Pool.RECOVERED, Handling.REFURBISH): frozenset({Pool.REFURBISH}),
    (Pool.REFURBISH, Handling.RESTOCK): frozenset({Pool.WAREHOUSE}),
    (Pool.WAREHOUSE, Handling.SCRAP): frozenset({Pool.SCRAP}),
    (Pool.RECOVERED, Handling.SCRAP): frozenset({Pool.SCRAP}),
    (Pool.REFURBISH, Handling.SCRAP): frozenset({Pool.SCRAP}),
    (Pool.WAREHOUSE, Handling.LOSE): frozenset({Pool.LOST}),
    (Pool.VAN, Handling.LOSE): frozenset({Pool.LOST}),
    (Pool.CUSTOMER, Handling.LOSE): frozenset({Pool.LOST}),
    (Pool.RECOVERED, Handling.LOSE): frozenset({Pool.LOST}),
    (Pool.REFURBISH, Handling.LOSE): frozenset({Pool.LOST}),
    (None, Handling.FIND): frozenset({Pool.VAN}),
    (Pool.LOST, Handling.FIND): frozenset({Pool.VAN, Pool.WAREHOUSE}),
    (Pool.VOID, Handling.FIND): frozenset({Pool.VAN}),
    (Pool.WAREHOUSE, Handling.REBOOK): frozenset({Pool.VAN}),
    (Pool.VAN, Handling.REBOOK): frozenset({Pool.VAN, Pool.WAREHOUSE}),
    (Pool.RECOVERED, Handling.REBOOK): frozenset({Pool.VAN, Pool.RECOVERED}),
    (Pool.REFURBISH, Handling.REBOOK): frozenset({Pool.VAN}),
    # Booked at a customer's and found in a van: it was taken away and not scanned.
    (Pool.CUSTOMER, Handling.REBOOK): frozenset({Pool.RECOVERED}),
    (Pool.SCRAP, Handling.REBOOK): frozenset({Pool.RECOVERED}),
}

# What somebody at a door can take back while the visit goes on.
UNDOABLE = frozenset({Handling.FIT, Handling.TAKE, Handling.TAKE_IN})


class MoveNotAllowed(Conflict):
    slug = "terminal-move-not-allowed"
    title = Words(zh="终端现在不能这样流转", en="This terminal cannot be moved like that now")
    advice = Words(
        zh="{serial_number} 目前登记在 {pool}，可做：{allowed}。",
        en="{serial_number} is booked in {pool}; it can be handled by: {allowed}.",
    )


class MovedSince(Conflict):
    slug = "terminal-moved-since"
    title = Words(zh="终端之后又有流转，不能撤销", en="This terminal has been moved since")
    advice = Words(
        zh="{serial_number} 在此之后又有流转（现在 {pool}），请先撤销或改正后面的操作。",
        en="{serial_number} was moved again (now {pool}); undo or put right what came later.",
    )


def allowed(pool: Pool | None) -> list[Handling]:
    """List what can be done with a terminal that is in a pool."""
    return [handling for (at, handling) in MOVES if at is pool]


def moved(serial: str, before: Place | None, handling: Handling, after: Place) -> Place:
    """Give the place a terminal comes to. Raises MoveNotAllowed with what can be done instead.

    `before` is None for a serial number that nobody knows yet.
    """
    pool = before.pool if before else None
    there = MOVES.get((pool, handling), frozenset())
    same = handling is Handling.HAND_IN and (before is None or before.technician_id is None)
    if handling is Handling.LOAD or (after.pool in there and not same):
        return after
    raise MoveNotAllowed(
        serial_number=serial, handling=handling, pool=pool or "unknown", allowed=allowed(pool)
    )


class Link(NamedTuple):
    """One move in a terminal's chain; its moves are numbered from 1 without gaps."""

    number: int
    handling: Handling
    before: Place | None
    after: Place


def undone(serial: str, links: Sequence[Link], number: int) -> Place:
    """Give the place a terminal goes back to when one of its moves is undone.

    `links` are its moves, or the last of them, oldest first. Only the last can be undone, and only
    what is done at a door; a serial number that was taken in by mistake stands for nothing then.
    Raises MovedSince.
    """
    last = links[-1]
    if last.number != number or last.handling not in UNDOABLE:
        raise MovedSince(serial_number=serial, pool=last.after.pool, number=last.number)
    return last.before or replace(last.after, pool=Pool.VOID, technician_id=None)
