"""The dials: how the platform behaves, and the draws that follow from them. Pure."""

from typing import Self

from pydantic import Field, model_validator

from app.core.simulating import FaultDials, Seconds, Share, luck


class Dials(FaultDials):
    """All dials; the defaults are a fast and faultless platform. Shares are 0 to 1."""

    seconds_to_finish: Seconds = Field(
        default=0, description="From taking an ask to its end; meanwhile it is in progress."
    )
    loid_unknown: Share = 0
    serial_taken: Share = Field(
        default=0, description="Beside those that really are on another line."
    )
    no_light: Share = 0
    profile_missing: Share = 0
    platform_busy: Share = Field(default=0, description="Turned down for now, and not kept.")
    error_on_read: Share = Field(default=0, description="500 on looking an ask up.")
    forgets_keys: bool = Field(
        default=False, description="Takes the same key a second time as a new ask."
    )
    offline: Share = Field(default=0, description="Of lines whose terminal is offline.")
    line_unknown: Share = Field(default=0, description="Of lines that a test does not find.")

    @model_validator(mode="after")
    def _one_end_each(self) -> Self:
        if sum(share for _, share in self._ends()) > 1 + 1e-9:
            raise ValueError("the shares of codes are more than 1 together")
        return self

    def _ends(self) -> tuple[tuple[str, float], ...]:
        names = ("loid_unknown", "serial_taken", "no_light", "profile_missing", "platform_busy")
        return tuple((name, getattr(self, name)) for name in names)

    def code_of(self, key: str, nth: int) -> str | None:
        """Draw the code with which the nth POST of a key ends; None is provisioned."""
        drawn = luck(self.seed, "code", key, nth)
        for code, share in self._ends():
            drawn -= share
            if drawn < 0:
                return code
        return None
