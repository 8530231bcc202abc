"""Whether what is offered can be installed in the same visit, and if not, why. Pure."""

from collections.abc import Set
from dataclasses import dataclass
from enum import StrEnum

from app.catalog.rules import OnSite
from app.core.i18n import Words


class NotNow(StrEnum):
    """Why something cannot be installed in this visit."""

    NOT_SOLD_HERE = "not_sold_here"
    NO_FREE_PORT = "no_free_port"
    SKILL_MISSING = "skill_missing"
    NOT_IN_THE_VAN = "not_in_the_van"
    NO_TIME_LEFT = "no_time_left"


NOT_NOW: dict[NotNow, Words] = {
    NotNow.NOT_SOLD_HERE: Words("该业务不能上门办理", "It is not sold at the door"),
    NotNow.NO_FREE_PORT: Words("该地址无空闲端口", "There is no free port at this address"),
    NotNow.SKILL_MISSING: Words("您暂无安装所需技能", "You do not have the skill it needs"),
    NotNow.NOT_IN_THE_VAN: Words(
        "车上没有可用的终端", "The device it needs is not in your van, or promised to another order"
    ),
    NotNow.NO_TIME_LEFT: Words(
        "今天剩余时间不够，会影响已约定的工单",
        "There is not enough time left today without breaking promises",
    ),
}


@dataclass(frozen=True)
class Hands:
    """What a technician has for it now: skills, minutes that nothing promised takes, and kinds of
    devices in the van that no order waits for."""

    skills: Set[str]
    free_minutes: float
    in_van: Set[str]


@dataclass(frozen=True)
class ToInstall:
    """What installing an offer takes. No minutes: there is nothing to install."""

    on_site: OnSite
    skill: str | None
    minutes: int | None
    terminal: str | None
    needs_port: bool


@dataclass(frozen=True)
class InstallNow:
    """Whether it has to be installed at all, and what keeps it from being done now."""

    needed: bool
    minutes: int | None
    why_not: NotNow | None

    @property
    def possible(self) -> bool:
        """Whether the customer can have it with this visit."""
        return self.why_not is None


def install_now(wanted: ToInstall, hands: Hands | None, *, port_free: bool | None) -> InstallNow:
    """Say whether an offer can be had with this visit; a port that nobody has checked may be free.

    `hands` may be missing where nothing has to be installed.
    """
    why = None
    if wanted.on_site is OnSite.LEAD_ONLY:
        why = NotNow.NOT_SOLD_HERE
    elif wanted.minutes is not None and hands is not None:
        why = _lacking(wanted, hands, wanted.minutes, port_free)
    return InstallNow(wanted.minutes is not None, wanted.minutes, why)


def _lacking(
    wanted: ToInstall, hands: Hands, minutes: int, port_free: bool | None
) -> NotNow | None:
    if wanted.needs_port and port_free is False:
        return NotNow.NO_FREE_PORT
    if wanted.skill is not None and wanted.skill not in hands.skills:
        return NotNow.SKILL_MISSING
    if wanted.terminal is not None and wanted.terminal not in hands.in_van:
        return NotNow.NOT_IN_THE_VAN
    if minutes > hands.free_minutes:
        return NotNow.NO_TIME_LEFT
    return None
