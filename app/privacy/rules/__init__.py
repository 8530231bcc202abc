"""Privacy's words and refusals: what is asked for, who agrees, and what stands against it."""

from collections.abc import Sequence
from enum import StrEnum
from uuid import UUID

from app.core.errors import Conflict, Invalid
from app.core.i18n import Words
from app.core.parameters import Parameter


class RequestKind(StrEnum):
    """What is asked for: everything that is kept of a customer, or that it be made nobody's."""

    EXPORT = "export"
    ERASURE = "erasure"


class RequestState(StrEnum):
    """How far a request is; of several customers it waits for a second person."""

    WAITING = "waiting"
    AGREED = "agreed"
    DONE = "done"


# So many customers one request may name.
MOST_CUSTOMERS = 200
# So many rows of one table an export holds; whoever has more is no household.
MOST_ROWS = 10_000

DOCUMENT_DAYS = Parameter(
    "privacy.document_days",
    default=7,
    unit="days",
    words=Words(
        "客户数据导出文件可下载的天数", "For how many days what was exported can be fetched"
    ),
    least=1,
    most=31,
)


class StillServed(Conflict):
    slug = "still-served"
    title = Words(zh="该客户仍在网，暂不能删除", en="This customer is still served")
    advice = Words(
        zh="请先处理完这些业务再删除：{reasons}。",
        en="What is kept is still needed for: {reasons}. Erase when that is over.",
    )


class SecondPersonNeeded(Conflict):
    slug = "second-person-needed"
    title = Words(zh="须由另一位管理员批准", en="A second person has to agree")
    advice = Words(
        zh="涉及多名客户的申请不能由申请人本人批准。",
        en="Of several customers nobody both asks and agrees; another administrator can.",
    )


class Against(StrEnum):
    """What stands against erasing a customer."""

    OPEN_ORDERS = "open_orders"
    RUNNING_SERVICES = "running_services"
    OPEN_SALES = "open_sales"
    DUE_BACK = "due_back"


def needs_second_person(customer_ids: Sequence[UUID]) -> bool:
    """Tell whether a request is for so many that somebody else has to agree to it."""
    return len(customer_ids) > 1


def check_asked(customer_ids: Sequence[UUID]) -> None:
    """Check that a request names each customer once. Raises Invalid."""
    if len(set(customer_ids)) < len(customer_ids):
        raise Invalid(errors=[{"field": "customer_ids", "message": "names a customer twice"}])


def check_agreeing(asked_by: UUID, agreeing: UUID) -> None:
    """Check that nobody agrees to what they asked for. Raises SecondPersonNeeded."""
    if asked_by == agreeing:
        raise SecondPersonNeeded()
