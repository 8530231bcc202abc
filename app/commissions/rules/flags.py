"""When a sale, or a technician's sales, should be looked at by a person; nothing is cut by it."""

from dataclasses import dataclass

from app.core.i18n import Words
from app.core.parameters import Parameter

RESOLD_DAYS = Parameter(
    "commissions.resold_days",
    default=60.0,
    unit="days",
    words=Words(
        zh="撤单或退订后多少天内再办理同一业务即提示复核",
        en="How soon after it was cancelled or returned the same sale is flagged",
    ),
    most=365,
)
LEAST_MINUTES = Parameter(
    "commissions.least_minutes_on_site",
    default=2.0,
    unit="min",
    words=Words(
        zh="签到后不足多少分钟的销售即提示复核",
        en="A sale made sooner than this after the check-in is flagged",
    ),
    most=60,
)
LEAST_SALES = Parameter(
    "commissions.returns_least_sales",
    default=10.0,
    unit="sales",
    words=Words(
        zh="本人至少多少笔销售才比较退订率", en="The fewest sales of one's own that are compared"
    ),
    least=1,
)
LEAST_PEER_SALES = Parameter(
    "commissions.returns_least_peer_sales",
    default=50.0,
    unit="sales",
    words=Words(
        zh="同事合计至少多少笔销售才比较退订率", en="The fewest sales of the peers to compare with"
    ),
    least=1,
)
LEAST_RETURNS = Parameter(
    "commissions.returns_least",
    default=3.0,
    unit="sales",
    words=Words(zh="至少多少笔退订才提示复核", en="The fewest returns that are flagged"),
    least=1,
)
TIMES_PEERS = Parameter(
    "commissions.returns_times_peers",
    default=2.0,
    unit="times",
    words=Words(
        zh="退订率达到同事的多少倍即提示复核", en="How many times the peers' share is flagged"
    ),
    least=1,
)


@dataclass(frozen=True)
class Returns:
    """Sales and how many of them were taken back: one's own, and those of the peers."""

    sold: int
    returned: int
    peers_sold: int
    peers_returned: int


@dataclass(frozen=True)
class Limits:
    """From when on returns are flagged."""

    least_sales: float
    least_peer_sales: float
    least_returns: float
    times_peers: float


def above_peers(found: Returns, limits: Limits) -> bool:
    """Tell whether more comes back than of the peers' sales; few sales say nothing."""
    if found.sold < limits.least_sales or found.peers_sold < limits.least_peer_sales:
        return False
    if found.returned < limits.least_returns:
        return False
    # The shares compared crosswise, so that nothing is divided.
    own = found.returned * found.peers_sold
    return own > limits.times_peers * found.peers_returned * found.sold
