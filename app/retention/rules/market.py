"""What an org unit's customers bring in a month: who is kept, what they leave over, what is new.

What is left over of a customer is no full EBITDA: what the network, the shops and the house cost,
nobody tells us by the customer. It is what can be known: the margin of what they paid, less what it
cost to serve them, less gifts and commissions. A discount is in what they paid already.
"""

from enum import StrEnum
from typing import NamedTuple

from app.core.i18n import Words
from app.core.parameters import Parameter
from app.retention.rules.levers import Figure, Unit

TARGET_TIERS = Parameter(
    "retention.target_tiers",
    default=2,
    unit="tiers",
    words=Words(
        zh="目标市场为最高的几个价值层级",
        en="How many value tiers, from the best down, are the target market",
    ),
    least=1,
    most=4,
)
VISIT_COST_FEN = Parameter(
    "retention.visit_cost_fen",
    default=5000,
    unit="fen",
    words=Words(zh="一次上门服务的成本", en="What a visit for service costs"),
    most=1_000_000,
)
SPOKEN_COST_FEN = Parameter(
    "retention.spoken_cost_fen",
    default=600,
    unit="fen",
    words=Words(
        zh="一次人工服务（电话、营业厅）的成本",
        en="What serving a customer by telephone or in a shop costs",
    ),
    most=1_000_000,
)


class MarketFigure(StrEnum):
    """What is told of a month."""

    TARGET_KEPT = "target_kept"
    INCOME = "income"
    MARGIN = "margin"
    COST_TO_SERVE = "cost_to_serve"
    INCENTIVES = "incentives"
    CONTRIBUTION = "contribution"
    NEW_SERVICE_SHARE = "new_service_share"
    NEW_SERVICE_INCOME = "new_service_income"
    NEW_SERVICE_COLLECTED = "new_service_collected"


class Costs(NamedTuple):
    """What things cost, in fen, and what part of the income is margin."""

    margin_share: float
    visit_fen: float
    spoken_fen: float
    sales_contact_fen: float
    gift_fen: float


class Market(NamedTuple):
    """What was counted over a month, money in fen.

    `target` customers of the target market had a service on its first day, and `kept` of them have
    one on the day after it; of `tier_unknown` nobody knows which market they are. `paying` are
    customers whose income is known, and what follows is theirs alone: visits and talks that served
    them, sales contacts, gifts they were given, commissions for what they bought. New services are
    counted where their income is known, and as `collected` where nothing is owed at the month's
    end; of `owing_unknown` that is not known.
    """

    target: int = 0
    kept: int = 0
    tier_unknown: int = 0
    paying: int = 0
    income_unknown: int = 0
    income_fen: int = 0
    visits: int = 0
    talks: int = 0
    sales_contacts: int = 0
    gifts: int = 0
    commissions_fen: int = 0
    new_known: int = 0
    new_fen: int = 0
    new_of_fen: int = 0
    owing_known: int = 0
    owing_unknown: int = 0
    collected_fen: int = 0


def figures(market: Market, costs: Costs) -> dict[MarketFigure, Figure]:
    """Work out the figures of a month."""
    margin = round(market.income_fen * costs.margin_share)
    served = round(
        market.visits * costs.visit_fen
        + market.talks * costs.spoken_fen
        + market.sales_contacts * costs.sales_contact_fen
    )
    given = round(market.gifts * costs.gift_fen) + market.commissions_fen

    def each(zh: str, en: str, fen: int) -> Figure:
        words = Words(zh, en)
        return Figure(words, fen, market.paying, market.income_unknown, Unit.FEN_PER_CUSTOMER)

    return {
        MarketFigure.TARGET_KEPT: Figure(
            Words("目标市场保有率", "kept of the target market"),
            market.kept,
            market.target,
            market.tier_unknown,
        ),
        MarketFigure.INCOME: each("户均收入", "income of a customer", market.income_fen),
        MarketFigure.MARGIN: each("户均毛利", "margin of a customer", margin),
        MarketFigure.COST_TO_SERVE: each("户均服务成本", "cost to serve a customer", served),
        MarketFigure.INCENTIVES: each(
            "户均礼品与佣金", "gifts and commissions for a customer", given
        ),
        MarketFigure.CONTRIBUTION: each(
            "户均贡献（毛利减服务成本、礼品与佣金；不含网络与管理费用，非完整EBITDA）",
            "left over of a customer: margin less cost to serve, gifts and commissions (no full "
            "EBITDA: without network and overheads)",
            margin - served - given,
        ),
        MarketFigure.NEW_SERVICE_SHARE: Figure(
            Words("新业务收入占比", "part of the income that new services bring"),
            market.new_fen,
            market.new_of_fen,
        ),
        MarketFigure.NEW_SERVICE_INCOME: Figure(
            Words("户均新业务收入", "income of new services of a customer"),
            market.new_fen,
            market.new_known,
            unit=Unit.FEN_PER_CUSTOMER,
        ),
        MarketFigure.NEW_SERVICE_COLLECTED: Figure(
            Words(
                "户均实收新业务收入（月末不欠费客户）",
                "collected income of new services of a customer (of who owes nothing at the "
                "month's end)",
            ),
            market.collected_fen,
            market.owing_known,
            market.owing_unknown,
            Unit.FEN_PER_CUSTOMER,
        ),
    }
