"""For how long rows are kept: each period is a number with a date, at least what the law asks for.

Pictures (`evidence.kept_days`), telephone numbers of messages (`messaging.kept_days`) and what
plans were made from (`planning.inputs_kept_days`) are forgotten by their own rooms.
"""

from dataclasses import dataclass
from enum import StrEnum

from app.core.i18n import Words
from app.core.parameters import Parameter


class What(StrEnum):
    """What ends with its period."""

    ROWS = "rows"
    COLUMNS = "columns"
    MONTHS = "months"


@dataclass(frozen=True)
class Period:
    """What of a table ends after how many days.

    `change` is what is done to the rows that are old enough: a DELETE, or the SET of an UPDATE.
    `only` says which of them it concerns. Their ids carry the time at which they were made, so
    that a round reads what has just come of age and nothing else.
    """

    table: str
    what: What
    days: Parameter
    change: str = ""
    only: str = "true"

    @property
    def name(self) -> str:
        """What the period is called, in reports and among the nights."""
        return self.days.name.removeprefix("privacy.").removesuffix("_days")


def _days(name: str, default: float, least: float, zh: str, en: str) -> Parameter:
    return Parameter(
        f"privacy.{name}_days",
        default=default,
        unit="days",
        words=Words(zh, en),
        least=least,
        most=3650,
    )


PERIODS: tuple[Period, ...] = (
    Period(
        "sync_action",
        What.COLUMNS,
        _days(
            "offline",
            365,
            90,
            "手机离线操作原文保存天数",
            "How long what phones sent from offline keeps its text",
        ),
        change="payload = '{}', facts = NULL",
        only="t.payload <> '{}'",
    ),
    Period(
        "interaction",
        What.ROWS,
        _days("contacts", 1095, 365, "客户接触记录保存天数", "How long contacts are kept"),
        # What is open is not over, however old.
        only="t.kind <> 'complaint' OR t.closed_at IS NOT NULL",
    ),
    Period(
        "contact_consent",
        What.ROWS,
        _days(
            "consents",
            1095,
            150,
            "已被更新的营销同意记录保存天数",
            "How long consent that was said anew is kept",
        ),
        # The last word on a channel holds for as long as there is a customer.
        only="EXISTS (SELECT FROM contact_consent n WHERE n.customer_id = t.customer_id"
        " AND n.said_at > t.said_at AND n.channels @> t.channels)",
    ),
    Period(
        "suggestion_answer",
        What.ROWS,
        _days("answers", 1095, 183, "推荐答复保存天数", "How long answers to offers are kept"),
    ),
    Period(
        "suggestion_decision",
        What.MONTHS,
        _days("decisions", 730, 183, "推荐决策保存天数", "How long decisions are kept"),
    ),
    Period(
        "suggestion",
        What.MONTHS,
        _days("candidates", 730, 183, "推荐候选保存天数", "How long what was weighed is kept"),
    ),
    Period(
        "lifecycle_change",
        What.ROWS,
        _days(
            "lifecycle_changes",
            1095,
            183,
            "客户生命周期变化记录保存天数",
            "How long it is kept how customers moved through the stages",
        ),
    ),
    Period(
        "audit_entry",
        What.ROWS,
        _days("audit", 1095, 183, "审计记录保存天数", "How long the audit trail is kept"),
    ),
    Period(
        "visit",
        What.COLUMNS,
        _days("positions", 30, 1, "签到位置保存天数", "How long positions of check-ins are kept"),
        change="check_in_point = NULL",
        only="t.check_in_point IS NOT NULL AND t.ended_at IS NOT NULL",
    ),
    Period(
        "work_order",
        What.COLUMNS,
        _days(
            "order_contacts",
            730,
            90,
            "已结工单联系人信息保存天数",
            "How long closed orders keep name, number and room",
        ),
        change="contact_name = NULL, contact_phone = NULL, address = coalesce(t.locality, '')",
        only="t.state IN ('completed', 'archived', 'cancelled')"
        " AND (t.contact_name IS NOT NULL OR t.contact_phone IS NOT NULL)",
    ),
    Period(
        "prospect",
        What.COLUMNS,
        _days(
            "prospects",
            180,
            1,
            "非客户商机（姓名、号码、地址）保存天数",
            "How long it is kept who was met that is no customer",
        ),
        change="name = NULL, phone = NULL, address = ''",
        only="t.address <> ''",
    ),
    Period(
        "consent_request",
        What.COLUMNS,
        _days(
            "sale_consents",
            1095,
            150,
            "销售确认证据（号码、短信原文与回复）保存天数",
            "How long it is kept which number agreed to a sale, what it was asked and replied",
        ),
        change="recipient = NULL, asked_text = NULL, reply_text = NULL",
        only="(t.recipient IS NOT NULL OR t.asked_text IS NOT NULL OR t.reply_text IS NOT NULL)",
    ),
    Period(
        "real_name_check",
        What.COLUMNS,
        _days(
            "real_names",
            1095,
            150,
            "实名核验的证件摘要保存天数",
            "How long the hash and the end of a checked document's number are kept",
        ),
        change="id_hash = NULL, id_last4 = NULL",
        only="t.id_hash IS NOT NULL",
    ),
    Period(
        "order_callback",
        What.COLUMNS,
        _days(
            "callbacks", 365, 30, "订购系统回调内容保存天数", "How long callbacks keep their text"
        ),
        change="body = '{}'",
        only="t.body <> '{}'",
    ),
    Period(
        "order_attempt",
        What.ROWS,
        _days(
            "order_attempts",
            365,
            30,
            "订单同步失败记录保存天数",
            "How long failed attempts are kept",
        ),
    ),
    Period(
        "alert_delivery",
        What.ROWS,
        _days(
            "alert_deliveries", 90, 7, "告警推送记录保存天数", "How long it is kept who was told"
        ),
        only="t.state <> 'waiting'",
    ),
    Period(
        "alert",
        What.ROWS,
        _days("alerts", 365, 30, "告警保存天数", "How long alerts are kept that are over"),
        only="t.ended_at IS NOT NULL"
        " AND NOT EXISTS (SELECT FROM alert_delivery d WHERE d.alert_id = t.id)",
    ),
    Period(
        "reconciliation_case",
        What.ROWS,
        _days("reconciliations", 1095, 365, "对账差异保存天数", "How long differences are kept"),
        only="t.state NOT IN ('open', 'resolving')",
    ),
)
