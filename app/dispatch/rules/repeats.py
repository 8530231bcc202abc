"""Who should have a repeat fault: whoever worked there before, or somebody who can do it better."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from enum import IntEnum
from typing import NamedTuple
from uuid import UUID

from app.core.i18n import Words
from app.core.parameters import Parameter


class Prefers(IntEnum):
    """Whom placing prefers for a repeat fault."""

    NOBODY = 0
    SAME = 1
    BETTER = 2


REPEAT_PREFERS = Parameter(
    "dispatch.repeat_prefers",
    default=Prefers.SAME,
    unit="choice",
    words=Words(
        zh="重复障碍优先派给谁：0 不区分，1 上次处理的人员，2 技能等级更高的人员",
        en="Who is preferred for a repeat fault: 0 nobody, 1 whoever worked there before, 2 anybody"
        " of a higher level",
    ),
    most=Prefers.BETTER,
)
REPEAT_MINUTES = Parameter(
    "dispatch.repeat_minutes",
    default=15,
    unit="min",
    words=Words(
        zh="重复障碍派给其他人员视同增加的路途时间",
        en="What a repeat fault counts as more with anybody who is not preferred for it",
    ),
    most=480,
)

Levels = Mapping[str, int]


class Repeat(NamedTuple):
    """A fault that came back: who worked there before, and the seconds of travel that it counts as
    more with anybody else; `levels` are theirs where a better one is wanted, else None."""

    technician_id: UUID
    seconds: int
    levels: Levels | None = None

    def cost(self, technician_id: UUID, levels: Levels, skills: AbstractSet[str]) -> int:
        """Say what it costs that somebody of these levels gets it, given the skills it asks for.

        Better is who has more levels in these skills together, or in all where it names none.
        """
        if self.levels is None:
            return 0 if technician_id == self.technician_id else self.seconds
        return 0 if _added(levels, skills) > _added(self.levels, skills) else self.seconds


def _added(levels: Levels, skills: AbstractSet[str]) -> int:
    return sum(level for skill, level in levels.items() if not skills or skill in skills)
