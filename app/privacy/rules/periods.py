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
    DAYS = "days"


@dataclass(frozen=True)
class Period:
    """What of a table ends after how many days.

    `change` is what is done to the rows that are old enough: a DELETE, or the SET of an UPDATE.
    `only` says which of them may go by now; the others are looked at again every night.

    How old a row is says `created_at`, the database's own clock, where phones make the ids, where
    the table's trigger judges by it, and of all columns: an index by it has the rows of which
    `holds` is true and no others, so that whoever was emptied is out of the way of the next night.
    Elsewhere the time in ids that this system makes, in the column `key`, says the same without
    one more index. Rows of `DAYS` belong to a customer and a day, which is their `key`: once a
    month the customers are gone through. `part` tells periods of one number apart.
    """

    table: str
    what: What
    days: Parameter
    change: str = ""
    only: str = "true"
    key: str = "id"
    holds: str = ""
    by_created_at: bool = False
    part: str = ""

    @property
    def name(self) -> str:
        """What the period is called, in reports and among the nights."""
        return self.days.name.removeprefix("privacy.").removesuffix("_days") + self.part


def _days(name: str, default: float, least: float, zh: str, en: str) -> Parameter:
    return Parameter(
        f"privacy.{name}_days",
        default=default,
        unit="days",
        words=Words(zh, en),
        least=least,
        most=3650,
    )


_CONTACTS = _days("contacts", 1095, 365, "客户接触记录保存天数", "How long contacts are kept")
_SPECIAL_TERMS = _days(
    "special_terms",
    1095,
    365,
    "已结特殊优惠申请理由保存天数",
    "How long special terms that ended keep their reason",
)
# What is open is not over, however old.
_CONTACT_OVER = "(t.kind <> 'complaint' OR t.closed_at IS NOT NULL)"

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
        holds="payload <> '{}' OR facts IS NOT NULL",
    ),
    Period(
        "interaction",
        What.ROWS,
        _CONTACTS,
        only=f"{_CONTACT_OVER} AND t.external_id IS NOT NULL",
    ),
    # Of what the CRM has not told of, phones have made some ids; that is little beside the rest.
    Period(
        "interaction",
        What.ROWS,
        _CONTACTS,
        only=_CONTACT_OVER,
        holds="external_id IS NULL",
        by_created_at=True,
        part="_written_here",
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
        by_created_at=True,
    ),
    Period(
        "suggestion_answer",
        What.ROWS,
        _days("answers", 1095, 183, "推荐答复保存天数", "How long answers to offers are kept"),
        by_created_at=True,
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
        "former_customer",
        What.COLUMNS,
        # Whoever died or owed is kept from the longest win-back list there can be.
        _days(
            "leavers",
            1095,
            1095,
            "离网原因、去向与价值保存天数",
            "How long it is kept why customers left, to whom and what they were worth",
        ),
        # That they left, and that they want to be left alone, is what protects them.
        change="reason = 'unknown', competitor = NULL, note = NULL, tier = NULL,"
        " value_12m_fen = NULL",
        holds="reason <> 'unknown' OR num_nonnulls(competitor, note, tier, value_12m_fen) > 0",
    ),
    Period(
        "customer_month",
        What.DAYS,
        # The lifecycle reads twelve months, and a month more that is not over.
        _days(
            "months",
            1095,
            400,
            "客户月度收入与用量保存天数",
            "How long months of income and usage are kept",
        ),
        key="month",
    ),
    Period(
        "churn_sample",
        What.DAYS,
        # Two years are learned from, and ninety days later it is known who left.
        _days(
            "samples",
            900,
            180,
            "离网模型学习样本保存天数",
            "How long it is kept what was known of customers to learn who leaves",
        ),
        key="day",
    ),
    Period(
        "suggestion_outcome",
        What.ROWS,
        _days("outcomes", 1095, 183, "推荐结果保存天数", "How long it is kept what came of offers"),
        key="suggestion_id",
    ),
    Period(
        "competitor_note",
        What.ROWS,
        _days(
            "competitors",
            730,
            90,
            "客户所述友商信息保存天数",
            "How long it is kept what customers told of competitors",
        ),
        by_created_at=True,
    ),
    Period(
        "sales_lead",
        What.COLUMNS,
        _days("leads", 730, 90, "已结商机备注保存天数", "How long leads that ended keep notes"),
        change="note = NULL, ended_note = NULL",
        only="t.state NOT IN ('open', 'taken')",
        holds="num_nonnulls(note, ended_note) > 0",
    ),
    Period(
        "retention_case",
        What.COLUMNS,
        _days(
            "cases",
            1095,
            183,
            "已结关怀挽留任务备注保存天数",
            "How long cases that ended keep what was said",
        ),
        change="competitor = NULL, note = NULL",
        only="t.state <> 'open'",
        holds="num_nonnulls(competitor, note) > 0",
    ),
    Period(
        "special_terms",
        What.COLUMNS,
        _SPECIAL_TERMS,
        change="reason = ''",
        only="t.state NOT IN ('waiting', 'approved')",
        holds="reason <> ''",
    ),
    Period(
        "terms_verdict",
        What.COLUMNS,
        _SPECIAL_TERMS,
        change="reason = ''",
        only="EXISTS (SELECT FROM special_terms s WHERE s.id = t.terms_id"
        " AND s.state NOT IN ('waiting', 'approved'))",
        holds="reason <> ''",
        part="_verdicts",
    ),
    Period(
        "audit_entry",
        What.ROWS,
        _days("audit", 1095, 183, "审计记录保存天数", "How long the audit trail is kept"),
        by_created_at=True,
    ),
    Period(
        "visit",
        What.COLUMNS,
        _days("positions", 30, 1, "签到位置保存天数", "How long positions of check-ins are kept"),
        change="check_in_point = NULL",
        only="t.ended_at IS NOT NULL",
        holds="check_in_point IS NOT NULL",
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
        only="t.state IN ('completed', 'archived', 'cancelled')",
        holds="num_nonnulls(contact_name, contact_phone) > 0",
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
        holds="address <> ''",
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
        holds="num_nonnulls(recipient, asked_text, reply_text) > 0",
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
        holds="id_hash IS NOT NULL",
    ),
    Period(
        "order_callback",
        What.COLUMNS,
        _days(
            "callbacks", 365, 30, "订购系统回调内容保存天数", "How long callbacks keep their text"
        ),
        change="body = '{}'",
        holds="body <> '{}'",
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

_WITH_CUSTOMER = "kept while there is a customer, and erased when they ask"
_WITH_ORDER = (
    "tells how an order was done, whose name and number go after `privacy.order_contacts_days`"
)
_OF_SALE = "tells what was ordered, and is kept as the books are"
_OF_DEVICE = "says where the operator's devices are, as long as there are any"
_OF_STAFF = "of the operator's own people, kept while they work here"

# Tables of the register of which nothing ends by itself here, each with the reason.
WITHOUT: dict[str, str] = {
    "customer": _WITH_CUSTOMER,
    "service_address": _WITH_CUSTOMER,
    "subscription": _WITH_CUSTOMER,
    "subscription_change": _WITH_CUSTOMER,
    "customer_lifecycle": "says how a customer stands today, and is written over",
    "work_order_event": _WITH_ORDER,
    "appointment_change": _WITH_ORDER,
    "dispatch_decision": _WITH_ORDER,
    "escalation": _WITH_ORDER,
    "compensation": _WITH_ORDER,
    "clock_stop": _WITH_ORDER,
    "activation": _WITH_ORDER,
    "activation_override": _WITH_ORDER,
    "follow_up": _WITH_ORDER,
    "evidence": "its pictures go after `evidence.kept_days`, and the record of them says nothing",
    "message": "its number goes after `messaging.kept_days`",
    "message_reply": "its number goes after `messaging.kept_days`",
    "sale": _OF_SALE,
    "sale_item": _OF_SALE,
    "sale_event": _OF_SALE,
    "consent_signature": _OF_SALE,
    "second_confirmation": _OF_SALE,
    "order_sync": _OF_SALE,
    "order_correction": _OF_SALE,
    "order_change": _OF_SALE,
    "contact_reservation": "tells a channel again what it was told and nothing else",
    "terminal": _OF_DEVICE,
    "terminal_move": _OF_DEVICE,
    "due_back": _OF_DEVICE,
    "recovery": _OF_DEVICE,
    "recovery_request": _OF_DEVICE,
    "technician": _OF_STAFF,
    "account": _OF_STAFF,
    "device": _OF_STAFF,
    "device_wipe": _OF_STAFF,
    "technician_loan": _OF_STAFF,
    "position": "deleted by its own room, by the periods of `presence`",
}
