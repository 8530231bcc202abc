"""The dials: how the simulator behaves, and the draws that follow from them. Pure."""

from enum import StrEnum
from typing import NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.core.simulating import Seconds, Share, luck


class Dials(BaseModel):
    """All dials; the defaults are a fast and faultless ordering system. Shares are 0 to 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = 1

    # Of POST and PATCH: an order placed, amended or cancelled.
    delay_seconds: Seconds = Field(default=0, description="Between taking it and its effect.")
    error_before: Share = Field(default=0, description="500, nothing was stored.")
    error_after: Share = Field(default=0, description="500, yet it is stored.")
    hang_after: Share = Field(default=0, description="Stored, but no answer ever comes.")
    cut_after: Share = Field(default=0, description="Stored, the connection breaks before a byte.")
    cut_midway: Share = Field(default=0, description="Stored, the connection breaks in the body.")
    cut_in_head: Share = Field(default=0, description="Stored, it breaks amid the headers.")
    conflict_before: Share = Field(default=0, description="409, nothing was stored.")
    conflict_after: Share = Field(default=0, description="409, yet it is stored.")
    slow: Share = Field(default=0, description="Answered only after `slow_seconds`.")
    slow_seconds: Seconds = Field(default=1)
    too_many: Share = Field(default=0, description="429 with Retry-After, nothing was stored.")
    retry_after_seconds: int = Field(default=1, ge=0, le=86_400)
    accepted: Share = Field(default=0, description="An order answered with 202, not 201.")
    absolute_href: bool = True

    # Of GET.
    error_on_read: Share = Field(default=0, description="500 on reading and searching.")

    # Of POST /cancelProductOrder.
    cancel_refused: Share = Field(default=0, description="A cancellation that is turned down.")
    seconds_to_cancel: Seconds = Field(default=0.5, description="From the wish to its end.")

    # What becomes of an order.
    seconds_to_start: Seconds = Field(default=0.2, description="From its arrival to inProgress.")
    seconds_to_complete: Seconds = Field(default=1, description="From its arrival to its end.")
    held: Share = Field(default=0, description="Goes by way of held.")
    rejected: Share = 0
    cancelled: Share = 0
    failed: Share = 0
    partial: Share = Field(default=0, description="Ends partial; an order of one item fails.")

    # What makes the two sides differ.
    forgotten: Share = Field(default=0, description="Taken, and then not known any more.")
    price_changed: Share = Field(default=0, description="Stored with one yuan more for each item.")
    unasked: Share = Field(default=0, description="Beside it an order that nobody has sent.")

    # Of callbacks.
    callback_lost: Share = 0
    callback_duplicate: Share = 0
    callback_late: Share = 0
    callback_late_seconds: Seconds = 5
    callback_out_of_order: Share = Field(default=0, description="Sent after the event after it.")
    callback_tries: int = Field(default=3, ge=1, le=20)
    callback_retry_seconds: Seconds = Field(default=1, description="Doubles with each try.")

    @model_validator(mode="after")
    def _one_fate_each(self) -> Self:
        """Shares of which one order can meet only one may not exceed the whole together."""
        if sum(share for _, share in self.faults()) > 1 + 1e-9:
            raise ValueError("the shares of faults of a POST are more than 1 together")
        if sum(share for _, share in self.ends()) > 1 + 1e-9:
            raise ValueError("the shares of rejected, cancelled, failed, partial exceed 1")
        return self

    def faults(self) -> tuple[tuple["Fault", float], ...]:
        """List the faults a POST can meet, with their shares."""
        return (
            (Fault.TOO_MANY, self.too_many),
            (Fault.ERROR_BEFORE, self.error_before),
            (Fault.ERROR_AFTER, self.error_after),
            (Fault.HANG_AFTER, self.hang_after),
            (Fault.CUT_AFTER, self.cut_after),
            (Fault.CUT_MIDWAY, self.cut_midway),
            (Fault.CUT_IN_HEAD, self.cut_in_head),
            (Fault.CONFLICT_BEFORE, self.conflict_before),
            (Fault.CONFLICT_AFTER, self.conflict_after),
        )

    def ends(self) -> tuple[tuple[str, float], ...]:
        """List the ends of an order other than completed, with their shares."""
        return (
            ("rejected", self.rejected),
            ("cancelled", self.cancelled),
            ("failed", self.failed),
            ("partial", self.partial),
        )


class Fault(StrEnum):
    """What can go wrong with one POST or PATCH; the names are those of the dials."""

    TOO_MANY = "too_many"
    ERROR_BEFORE = "error_before"
    ERROR_AFTER = "error_after"
    HANG_AFTER = "hang_after"
    CUT_AFTER = "cut_after"
    CUT_MIDWAY = "cut_midway"
    CUT_IN_HEAD = "cut_in_head"
    CONFLICT_BEFORE = "conflict_before"
    CONFLICT_AFTER = "conflict_after"


class Step(NamedTuple):
    """A state the order will take, and when (epoch seconds)."""

    state: str
    due: float


def fault_of(dials: Dials, key: str, nth: int) -> Fault | None:
    """Draw the fault that the nth request about one thing meets; None is none."""
    drawn = luck(dials.seed, "fault", key, nth)
    for fault, share in dials.faults():
        drawn -= share
        if drawn < 0:
            return fault
    return None


def steps_of(dials: Dials, key: str, nth: int, items: int, now: float) -> list[Step]:
    """Plan what becomes of an order taken at `now` (epoch seconds) with that many items."""
    start = now + dials.seconds_to_start
    finish = max(start, now + dials.seconds_to_complete)
    end = "completed"
    drawn = luck(dials.seed, "end", key, nth)
    for state, share in dials.ends():
        drawn -= share
        if drawn < 0:
            end = state
            break
    if end == "rejected":
        return [Step(end, start)]
    if end == "partial" and items < 2:
        end = "failed"
    steps = [Step("inProgress", start)]
    if luck(dials.seed, "held", key, nth) < dials.held:
        third = (finish - start) / 3
        steps += [Step("held", start + third), Step("inProgress", start + 2 * third)]
    return [*steps, Step(end, finish)]
