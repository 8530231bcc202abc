"""Wire shapes of hand-overs between technicians."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from app.core.http import Answer, Code, DeviceTime, Input
from app.terminals.rules import HandoverState, TerminalKind
from app.terminals.schemas.stock import SerialNumber

Text = Annotated[str, Field(max_length=300)]


class GiveIn(Input):
    """A terminal of one's own van that is given to a colleague; the phone makes the id."""

    id: UUID
    serial_number: SerialNumber
    technician_code: Code = Field(description="Whom it is given to.", examples=["T1001"])
    device_at: DeviceTime = Field(
        description="By the phone's clock; kept beside the server's time."
    )


class AnswerIn(Input):
    """Accepting, declining and withdrawing need nothing but their time."""

    device_at: DeviceTime = Field(
        description="By the phone's clock; kept beside the server's time."
    )


class HandoverOut(Answer):
    """A terminal that changes hands; it is in the giver's van until it is accepted."""

    id: UUID
    serial_number: Text
    kind: TerminalKind
    model: Text
    state: HandoverState
    from_technician_id: UUID
    from_technician: Text
    to_technician_id: UUID
    to_technician: Text
    device_at: datetime
    offered_at: datetime
    answered_at: datetime | None


class HandoversOut(Answer):
    """What the caller gives or is given and nobody has answered yet, oldest first."""

    handovers: Annotated[list[HandoverOut], Field(max_length=1000)]
