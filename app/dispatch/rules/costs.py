"""What is thought worth how many seconds of travel, for placing one order and for planning a day.

Both read the same terms, so that an order placed at noon does not fight the plan of the morning.
All of them are dated numbers of the org unit.
"""

from dataclasses import dataclass
from datetime import datetime

from app.core.i18n import Words
from app.core.parameters import Parameter, Parameters

BACKUP = Parameter(
    name="dispatch.backup_minutes",
    default=3,
    unit="min",
    words=Words(
        zh="派给第一备岗视同增加的路途时间",
        en="What a visit by the first backup counts as more than one by the primary",
    ),
    most=480,
)
NEXT_BACKUP = Parameter(
    name="dispatch.next_backup_minutes",
    default=1,
    unit="min",
    words=Words(
        zh="每靠后一位备岗再增加的时间",
        en="What a visit by each further backup counts as more than one by the backup before",
    ),
    most=480,
)
SAME_BRANCH = Parameter(
    name="dispatch.same_branch_minutes",
    default=12,
    unit="min",
    words=Words(
        zh="派给同一组织的其他人员视同增加的路途时间",
        en="What a visit by somebody else of the grid's org unit counts as more",
    ),
    most=480,
)
OTHER = Parameter(
    name="dispatch.other_minutes",
    default=25,
    unit="min",
    words=Words(
        zh="派给相邻网格主责或其他组织人员视同增加的路途时间",
        en="What a visit by a neighbouring grid's primary or by another unit's people counts as"
        " more",
    ),
    most=480,
)
UNPLACED: dict[int, Parameter] = {
    priority: Parameter(
        name=f"dispatch.unplaced_minutes.{priority}",
        default=minutes,
        unit="min",
        words=Words(
            zh=f"优先级 {priority} 的工单未派出视同多少路途时间",
            en=f"What leaving an order of priority {priority} without anybody counts as",
        ),
        most=10_080,
    )
    for priority, minutes in ((1, 480), (2, 240), (3, 150), (4, 100))
}
LATE_WEIGHT: dict[int, Parameter] = {
    priority: Parameter(
        name=f"dispatch.late_weight.{priority}",
        default=weight,
        unit="times",
        words=Words(
            zh=f"优先级 {priority} 的工单每超时一秒视同几秒路途",
            en=f"What a second after the promise counts as, for priority {priority}",
        ),
        most=100,
    )
    for priority, weight in ((1, 4), (2, 2), (3, 1), (4, 1))
}
LATE_CAP = Parameter(
    name="dispatch.late_cap_minutes",
    default=120,
    unit="min",
    words=Words(
        zh="计划超时最多多久，超过则视为派不出",
        en="How much later than promised a visit may be planned; beyond that it counts as unplaced",
    ),
    most=10_080,
)
MOVED = Parameter(
    name="dispatch.moved_minutes",
    default=10,
    unit="min",
    words=Words(
        zh="重新规划时换人视同增加的路途时间",
        en="What giving a visit to somebody else than published counts as",
    ),
    most=480,
)
UNEVEN = Parameter(
    name="dispatch.uneven_permille",
    default=100,
    unit="permille",
    words=Words(
        zh="超出合理工作量的每一千秒视同多少秒路途",
        en="What a thousand seconds of work beyond a fair share count as",
    ),
    most=10_000,
)
FAIR_SHARE = Parameter(
    name="dispatch.fair_share_percent",
    default=70,
    unit="%",
    words=Words(
        zh="一天中上门作业占工时多少以内为合理工作量",
        en="Which part of the minutes at work may be work at doors before it counts as uneven",
    ),
    most=100,
)
LUNCH_SLACK = Parameter(
    name="dispatch.lunch_slack_minutes",
    default=60,
    unit="min",
    words=Words(
        zh="午休可提前或推迟多久", en="How much earlier or later than its time a lunch may begin"
    ),
    most=240,
)
FROZEN_NEXT = Parameter(
    name="dispatch.frozen_next",
    default=1,
    unit="visits",
    words=Words(
        zh="每人接下来的几单不再变动",
        en="How many of the next visits of each technician a plan leaves where they are",
    ),
    most=20,
)
ASKED_OF_BRANCH = Parameter(
    name="dispatch.asked_of_branch",
    default=20,
    unit="people",
    words=Words(
        zh="除网格人员外最多考虑本组织多少人（住处最近者）",
        en="How many of the org unit's other people are asked at most, those who live nearest",
    ),
    most=1_000,
)
DISPLACE = Parameter(
    name="dispatch.urgent_displaces",
    default=1,
    unit="yes/no",
    words=Words(
        zh="优先级 1 的工单当天无人可派时是否可挤掉次要工单（1 是，0 否）",
        en="Whether an order of priority 1 that nobody can do today may displace lesser work"
        " (1 yes, 0 no)",
    ),
    most=1,
)

PRIMARY, BACKUP_CLASS, SAME, ELSEWHERE = range(4)
"""How somebody belongs to an order's grid, as places in `Terms.ownership`. Whoever is lent to the
grid counts as its primary, whoever is lent to its org unit as one of that unit."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of one org unit at one moment, in seconds of travel.

    `ownership` is what a visit costs by its technician's class: primary, backup, same branch,
    other. `late_weight` and `unplaced` are by priority from 1 to 4. `uneven_permille` is of seconds
    of work beyond `fair_percent` of the seconds at work. `moved` and `frozen_next` concern plans
    that are made anew.
    """

    ownership: tuple[int, int, int, int]
    next_backup: int
    late_weight: tuple[int, int, int, int]
    late_cap: int
    unplaced: tuple[int, int, int, int]
    moved: int
    uneven_permille: int
    fair_percent: int
    lunch_slack: int
    frozen_next: int
    displaces: bool

    def owned(self, belongs: int, rank: int = 1) -> int:
        """What a visit by somebody of a class costs; backups cost more the later they are asked."""
        cost = self.ownership[belongs]
        if belongs == BACKUP_CLASS and rank > 1:
            return cost + (rank - 1) * self.next_backup
        return cost

    def fair_share(self, at_work: int) -> int:
        """Seconds of work at doors that are fair on a day with so many seconds at work."""
        return at_work * self.fair_percent // 100

    def uneven(self, work: int, share: int) -> int:
        """What so many seconds of work cost, given a fair share of them."""
        return max(0, work - share) * self.uneven_permille // 1000


def costs_of(numbers: Parameters, now: datetime, org_path: str) -> Terms:
    """Read the terms in force at a moment for an org unit, given by its path."""

    def seconds(minutes: Parameter) -> int:
        return round(numbers.number(minutes, now, org_path) * 60)

    late = [numbers.whole(LATE_WEIGHT[priority], now, org_path) for priority in (1, 2, 3, 4)]
    unplaced = [seconds(UNPLACED[priority]) for priority in (1, 2, 3, 4)]
    return Terms(
        ownership=(0, seconds(BACKUP), seconds(SAME_BRANCH), seconds(OTHER)),
        next_backup=seconds(NEXT_BACKUP),
        late_weight=(late[0], late[1], late[2], late[3]),
        late_cap=seconds(LATE_CAP),
        unplaced=(unplaced[0], unplaced[1], unplaced[2], unplaced[3]),
        moved=seconds(MOVED),
        uneven_permille=numbers.whole(UNEVEN, now, org_path),
        fair_percent=numbers.whole(FAIR_SHARE, now, org_path),
        lunch_slack=seconds(LUNCH_SLACK),
        frozen_next=numbers.whole(FROZEN_NEXT, now, org_path),
        displaces=numbers.whole(DISPLACE, now, org_path) > 0,
    )
