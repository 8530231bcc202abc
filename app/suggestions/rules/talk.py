"""What a technician may say: an opening tied to the visit, the benefit, the price, and a way out.

Nothing is written by a machine: each sentence is from here or from the catalogue, and its slots are
filled with what the catalogue says.
"""

from app.core.i18n import Lang, Words
from app.suggestions.rules.facts import INSTALL, REPAIR

# Before a repair is restored nothing is offered. Anything else may be offered at any time, such as
# while the technician is still at it, so its opening has to be true before the work is done.
OPENINGS: dict[str, Words] = {
    REPAIR: Words("网络已经恢复，您先试用一下。", "Your line works again; please try it first."),
    INSTALL: Words(
        "我今天来给您装新业务，顺便跟您说一件事。",
        "I came to fit what you ordered; there is one more thing.",
    ),
}
OPENING = Words(
    "我今天上门为您服务，顺便跟您说一件事。", "I came for today's work; there is one more thing."
)

PRICE = Words("每月 {monthly} 元", "{monthly} yuan a month")
ONE_OFF = Words("一次性费用 {one_off} 元", "{one_off} yuan once")
NOTHING_EXTRA = Words("不另收费", "Nothing extra to pay")
CONTRACT = Words("合约 {months} 个月", "with a contract of {months} months")
COMMA = Words("，", ", ")
END = Words("。", ".")

EXIT = Words(
    "不需要也没关系，不影响您现在的服务。",
    "If you do not need it, that is fine; nothing changes for you.",
)


def opening(work_type: str, lang: Lang) -> str:
    """Say how to begin, by the kind of work one came for."""
    return OPENINGS.get(work_type, OPENING).say(lang)


def yuan(fen: int) -> str:
    """Write an amount of fen in yuan, without needless noughts: 12900 is 129, 990 is 9.9."""
    return f"{fen / 100:.2f}".rstrip("0").rstrip(".")


def price(monthly_fen: int, one_off_fen: int, contract_months: int, lang: Lang) -> str:
    """Say the whole price: by the month, once, and for how long one is bound.

    What costs nothing by the month is said so only where it costs nothing at all: a renewal leaves
    the bill as it is, and would sound like a line for nothing.
    """
    said = []
    if monthly_fen:
        said.append(PRICE.say(lang).format(monthly=yuan(monthly_fen)))
    if one_off_fen:
        said.append(ONE_OFF.say(lang).format(one_off=yuan(one_off_fen)))
    said = said or [NOTHING_EXTRA.say(lang)]
    if contract_months:
        said.append(CONTRACT.say(lang).format(months=contract_months))
    return COMMA.say(lang).join(said) + END.say(lang)
