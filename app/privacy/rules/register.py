"""The register of personal data: where it stands, and what erasing a customer does to it.

It is written for whoever answers for the data as much as for the machine: exports, erasures and the
house's tests all read it. A column that sounds as if it were about a person and stands neither here
nor among those that are said to be about nobody fails a test.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from app.messaging.rules import MessageKind


class Kind(StrEnum):
    """What a column says of a person."""

    IDENTITY = "identity"
    CONTACT = "contact"
    PLACE = "place"
    SERVICE = "service"
    BEHAVIOUR = "behaviour"
    WORDS = "words"
    STAFF = "staff"


class Then(StrEnum):
    """What erasing a customer does to a column.

    `stand_in` writes a value that says nothing and is still one of a kind, as a code has to be;
    `locality` leaves the compound alone of an address. What is kept says nothing of anybody once
    the rest is gone, and sums need it.
    """

    NULL = "null"
    BLANK = "blank"
    EMPTY = "empty"
    STAND_IN = "stand_in"
    LOCALITY = "locality"
    KEPT = "kept"


@dataclass(frozen=True)
class Personal:
    """One column that is about a person."""

    kind: Kind
    then: Then


@dataclass(frozen=True)
class Table:
    """A table with rows about customers: whose they are, as a condition over `%(customer)s`.

    `hidden` columns are no data but secrets, and stay out of exports; `removed` says that erasing
    takes the rows away as a whole. `whose` None is a table about the operator's own people, whom
    a customer's request does not concern.
    """

    whose: str | None
    columns: Mapping[str, Personal]
    hidden: tuple[str, ...] = ()
    removed: bool = False


_THEIRS = "customer_id = %(customer)s"
_ORDERS = "SELECT id FROM work_order WHERE customer_id = %(customer)s"
_OF_ORDER = f"work_order_id IN ({_ORDERS})"
_OF_VISIT = f"visit_id IN (SELECT id FROM visit WHERE work_order_id IN ({_ORDERS}))"  # noqa: S608
_SALES = "SELECT id FROM sale WHERE customer_id = %(customer)s"
_OF_SALE = f"sale_id IN ({_SALES})"
_OF_SYNC = f"order_sync_id IN (SELECT id FROM order_sync WHERE {_OF_SALE})"  # noqa: S608
_OF_SERVICE = "subscription_id IN (SELECT id FROM subscription WHERE customer_id = %(customer)s)"
_OF_DECISION = (
    "decision_id IN (SELECT id FROM suggestion_decision WHERE customer_id = %(customer)s)"
)


def _select(columns: str, table: str, whose: str) -> str:
    return f"SELECT {columns} FROM {table} WHERE {whose}"  # noqa: S608 - names of our own


_VISITS = _select("id", "visit", _OF_ORDER)

# What each kind of message is about.
MESSAGES_ABOUT: Mapping[MessageKind, str] = {
    MessageKind.ACCEPTANCE_CODE: _VISITS,
    MessageKind.SURVEY: _select("id", "follow_up", _THEIRS),
    MessageKind.CONSENT_CODE: _SALES,
    MessageKind.CONSENT_REPLY: _SALES,
    MessageKind.SECOND_CONFIRMATION: _SALES,
    MessageKind.SALE_CANCELLED: _SALES,
    MessageKind.CONSENT_WHICH: _SALES,
}

# What an action of a phone names that is somebody's, in the order in which the function
# `sync_about` looks for it. A picture's announcement names its order in base64.
ACTIONS_ABOUT: Mapping[str, str] = {
    "work_order_id": _ORDERS,
    "customer_id": "SELECT %(customer)s",
    "visit_id": _VISITS,
    "sale_id": _SALES,
    "case_id": _select("id", "retention_case", _THEIRS),
    "suggestion_id": _select("id", "suggestion", _OF_DECISION),
    "terms_id": _select("id", "special_terms", _THEIRS),
    "recovery_id": _select("id", "recovery", _THEIRS),
    "escalation_id": _select("id", "escalation", _OF_ORDER),
    "reservation_id": _select("id", "install_reservation", _OF_VISIT),
    "upload_id": _select("id", "evidence", _OF_ORDER),
    "metadata": _select(
        "encode(convert_to(id::text, 'UTF8'), 'base64')",
        "work_order",
        _THEIRS,
    ),
}
# Steps that name no customer, each with what it is about.
ACTIONS_ABOUT_NOBODY: Mapping[str, str] = {
    "terminals_handovers_give": "a device between two technicians",
    "terminals_handovers_accept": "a device between two technicians",
    "terminals_handovers_decline": "a device between two technicians",
    "terminals_handovers_withdraw": "a device between two technicians",
    "terminals_counts_count": "the devices in a van",
    "my_shifts_begin": "the technician",
    "my_shifts_end": "the technician",
    "my_shifts_consent": "the technician",
    "my_positions_report": "the technician",
}
_NAMED = " UNION ALL ".join(
    _select("named::text", f"({each}) AS of_{key} (named)", "true")
    for key, each in ACTIONS_ABOUT.items()
)
_SUBJECTS = _select("hashtextextended(lower(named), 0)", f"({_NAMED}) AS subjects (named)", "true")
# As lists and not as joins, so that an index finds them.
_OF_ACTION = f"sync_about(work_order_id, payload) = ANY (ARRAY({_SUBJECTS}))"
_OF_MESSAGE = f"about = ANY (ARRAY({' UNION ALL '.join(dict.fromkeys(MESSAGES_ABOUT.values()))}))"

_KEPT_BEHAVIOUR = Personal(Kind.BEHAVIOUR, Then.KEPT)
_WORDS_NULL = Personal(Kind.WORDS, Then.NULL)
_WORDS_BLANK = Personal(Kind.WORDS, Then.BLANK)
_STAFF = Personal(Kind.STAFF, Then.KEPT)

REGISTER: Mapping[str, Table] = {
    "customer": Table(
        "id = %(customer)s",
        {
            "code": Personal(Kind.IDENTITY, Then.STAND_IN),
            "name": Personal(Kind.IDENTITY, Then.BLANK),
            "phone": Personal(Kind.CONTACT, Then.BLANK),
            "competitor": Personal(Kind.BEHAVIOUR, Then.NULL),
            "arrears_fen": Personal(Kind.BEHAVIOUR, Then.NULL),
            "monthly_usage_gb": Personal(Kind.BEHAVIOUR, Then.NULL),
            "value_tier": _KEPT_BEHAVIOUR,
            "blacklisted": Personal(Kind.BEHAVIOUR, Then.NULL),
        },
    ),
    "service_address": Table(
        _THEIRS,
        {
            "code": Personal(Kind.PLACE, Then.STAND_IN),
            "standard_address": Personal(Kind.PLACE, Then.LOCALITY),
            "building": Personal(Kind.PLACE, Then.NULL),
            "room": Personal(Kind.PLACE, Then.NULL),
            "point": Personal(Kind.PLACE, Then.NULL),
        },
    ),
    "subscription": Table(
        _THEIRS,
        {
            "service_number": Personal(Kind.SERVICE, Then.STAND_IN),
            "offering_code": _KEPT_BEHAVIOUR,
        },
    ),
    "subscription_change": Table(_OF_SERVICE, {"offering_code": _KEPT_BEHAVIOUR}),
    "interaction": Table(
        _THEIRS,
        {
            "subject": _WORDS_BLANK,
            "outcome": _WORDS_NULL,
            "external_id": _WORDS_NULL,
            "offering_code": _KEPT_BEHAVIOUR,
        },
    ),
    "contact_consent": Table(
        _THEIRS, {"channels": _KEPT_BEHAVIOUR, "reference": Personal(Kind.IDENTITY, Then.KEPT)}
    ),
    "customer_month": Table(_THEIRS, {"income_fen": _KEPT_BEHAVIOUR}),
    "customer_lifecycle": Table(_THEIRS, {"churn_reasons": _KEPT_BEHAVIOUR}, removed=True),
    "lifecycle_change": Table(_THEIRS, {"inputs": _KEPT_BEHAVIOUR}, removed=True),
    "churn_sample": Table(_THEIRS, {"fields": _KEPT_BEHAVIOUR}, removed=True),
    "work_order": Table(
        _THEIRS,
        {
            "contact_name": Personal(Kind.IDENTITY, Then.NULL),
            "contact_phone": Personal(Kind.CONTACT, Then.NULL),
            "service_number": Personal(Kind.SERVICE, Then.NULL),
            "address": Personal(Kind.PLACE, Then.LOCALITY),
            "point": Personal(Kind.PLACE, Then.NULL),
            "summary": _WORDS_BLANK,
        },
    ),
    "work_order_event": Table(_OF_ORDER, {"reason": _WORDS_NULL, "facts": _WORDS_NULL}),
    "appointment_change": Table(_OF_ORDER, {"note": _WORDS_BLANK}),
    "dispatch_decision": Table(_OF_ORDER, {"note": _WORDS_NULL}),
    "escalation": Table(_OF_ORDER, {"note": _WORDS_NULL}),
    "compensation": Table(_OF_ORDER, {"reason": _WORDS_NULL}),
    "clock_stop": Table(
        _OF_ORDER, {"note": _WORDS_BLANK, "reference": Personal(Kind.WORDS, Then.NULL)}
    ),
    "visit": Table(
        _OF_ORDER,
        {"note": _WORDS_NULL, "check_in_point": Personal(Kind.PLACE, Then.NULL)},
    ),
    "evidence": Table(
        _OF_ORDER,
        {
            "filename": _WORDS_NULL,
            "upload_metadata": _WORDS_BLANK,
            "point": Personal(Kind.PLACE, Then.NULL),
        },
    ),
    "activation": Table(
        _OF_ORDER,
        {
            "loid": Personal(Kind.SERVICE, Then.NULL),
            "service_number": Personal(Kind.SERVICE, Then.NULL),
            "said": _WORDS_NULL,
        },
    ),
    "activation_override": Table(_OF_ORDER, {"note": _WORDS_NULL}),
    "real_name_check": Table(
        _THEIRS,
        {
            "id_hash": Personal(Kind.IDENTITY, Then.NULL),
            "id_last4": Personal(Kind.IDENTITY, Then.NULL),
            "age_group": Personal(Kind.BEHAVIOUR, Then.NULL),
            "said": _WORDS_NULL,
        },
        hidden=("id_hash", "id_key"),
    ),
    "message": Table(
        _OF_MESSAGE,
        {"recipient": Personal(Kind.CONTACT, Then.NULL), "body": _WORDS_NULL},
    ),
    "follow_up": Table(
        _THEIRS, {"note": _WORDS_NULL, "mark": _KEPT_BEHAVIOUR}, hidden=("token_hash",)
    ),
    "sale": Table(
        _THEIRS,
        {
            "consent_evidence": Personal(Kind.IDENTITY, Then.NULL),
            "note": _WORDS_NULL,
            "rejected_reason": _WORDS_NULL,
            "place_code": Personal(Kind.PLACE, Then.NULL),
            "place_address": Personal(Kind.PLACE, Then.NULL),
        },
    ),
    "consent_request": Table(
        _THEIRS,
        {
            "recipient": Personal(Kind.CONTACT, Then.NULL),
            "reference": Personal(Kind.IDENTITY, Then.NULL),
            "asked_text": _WORDS_NULL,
            "reply_text": _WORDS_NULL,
            "state": _KEPT_BEHAVIOUR,
        },
        hidden=("digest", "wrong", "key_id"),
    ),
    "consent_signature": Table(
        _OF_SALE,
        {
            "image_sha256": Personal(Kind.IDENTITY, Then.KEPT),
            "stroke_sha256": Personal(Kind.IDENTITY, Then.BLANK),
        },
    ),
    "second_confirmation": Table(
        _OF_SALE, {"relation": Personal(Kind.BEHAVIOUR, Then.NULL), "note": _WORDS_NULL}
    ),
    "message_reply": Table(
        f"id IN (SELECT reply_id FROM consent_request WHERE {_THEIRS})",  # noqa: S608
        {"sender": Personal(Kind.CONTACT, Then.NULL), "body": _WORDS_NULL},
    ),
    "sale_item": Table(_OF_SALE, {"offering_code": _KEPT_BEHAVIOUR}),
    "sale_event": Table(_OF_SALE, {"facts": _KEPT_BEHAVIOUR}),
    "order_sync": Table(
        _OF_SALE,
        {
            "body": Personal(Kind.IDENTITY, Then.NULL),
            "corrections": Personal(Kind.IDENTITY, Then.NULL),
            "given_up_note": _WORDS_NULL,
        },
    ),
    "order_correction": Table(
        _OF_SYNC,
        {
            "reason": _WORDS_BLANK,
            "changes": Personal(Kind.IDENTITY, Then.EMPTY),
            "body_before": Personal(Kind.IDENTITY, Then.NULL),
        },
    ),
    "reconciliation_case": Table(
        _OF_SALE,
        {
            "facts": Personal(Kind.PLACE, Then.EMPTY),
            "note": _WORDS_NULL,
            "subject": _KEPT_BEHAVIOUR,
        },
    ),
    "order_attempt": Table(_OF_SYNC, {"said": _WORDS_NULL}),
    "order_callback": Table(_OF_SYNC, {"body": Personal(Kind.IDENTITY, Then.EMPTY)}),
    "order_change": Table(
        _OF_SALE, {"reason": _WORDS_BLANK, "note": _WORDS_NULL, "closed_note": _WORDS_NULL}
    ),
    "terminal": Table(_THEIRS, {"service_number": Personal(Kind.SERVICE, Then.NULL)}),
    "terminal_move": Table(
        "%(customer)s IN (from_customer_id, to_customer_id)",
        {
            "from_service_number": Personal(Kind.SERVICE, Then.NULL),
            "to_service_number": Personal(Kind.SERVICE, Then.NULL),
        },
    ),
    "due_back": Table(_THEIRS, {"serial_number": Personal(Kind.SERVICE, Then.KEPT)}),
    "recovery": Table(_THEIRS, {"orders": _KEPT_BEHAVIOUR}),
    "recovery_request": Table(_THEIRS, {"external_id": Personal(Kind.SERVICE, Then.KEPT)}),
    # What phones were told to do: notes are in it, and points. What became of it stays.
    "sync_action": Table(
        _OF_ACTION,
        {
            "payload": Personal(Kind.WORDS, Then.EMPTY),
            "facts": _WORDS_NULL,
            "device": _STAFF,
        },
    ),
    "suggestion_decision": Table(_THEIRS, {"facts": _KEPT_BEHAVIOUR}),
    "suggestion": Table(_OF_DECISION, {"reasons": _KEPT_BEHAVIOUR}),
    "suggestion_answer": Table(_THEIRS, {"competitor": _WORDS_NULL}),
    "competitor_note": Table(
        _THEIRS, {"who": _WORDS_BLANK, "offer": _WORDS_NULL, "until": _KEPT_BEHAVIOUR}
    ),
    # Whoever is a customer now may have been noted before; they are known again by their number.
    "prospect": Table(
        "phone IN (SELECT c.phone FROM customer AS c WHERE c.id = %(customer)s AND c.phone <> '')",
        {
            "name": Personal(Kind.IDENTITY, Then.NULL),
            "phone": Personal(Kind.CONTACT, Then.NULL),
            "address": Personal(Kind.PLACE, Then.BLANK),
            "competitor": _KEPT_BEHAVIOUR,
        },
    ),
    "sales_lead": Table(_THEIRS, {"note": _WORDS_NULL, "ended_note": _WORDS_NULL}),
    "contact_reservation": Table(
        _THEIRS,
        {
            "subject": _WORDS_BLANK,
            "outcome": _KEPT_BEHAVIOUR,
            "offering_code": _KEPT_BEHAVIOUR,
        },
    ),
    "suggestion_outcome": Table(_THEIRS, {"accepted": _KEPT_BEHAVIOUR}),
    "retention_case": Table(_THEIRS, {"competitor": _WORDS_NULL, "note": _WORDS_NULL}),
    "special_terms": Table(_THEIRS, {"reason": _WORDS_BLANK}, hidden=("code_hash",)),
    "terms_verdict": Table(
        f"terms_id IN (SELECT id FROM special_terms WHERE {_THEIRS})",  # noqa: S608
        {"reason": _WORDS_BLANK},
    ),
    "former_customer": Table(_THEIRS, {"competitor": _WORDS_NULL, "note": _WORDS_NULL}),
    "audit_entry": Table("subject_id = %(customer)s", {"address": _STAFF, "device": _STAFF}),
    # The operator's own people: their employer answers to them by other ways.
    "technician": Table(None, {"name": _STAFF, "phone": _STAFF, "home_point": _STAFF}),
    "account": Table(None, {"username": _STAFF}),
    "device": Table(None, {"name": _STAFF, "push_token": _STAFF}, hidden=("push_token",)),
    "device_wipe": Table(None, {"reason": _STAFF}),
    "position": Table(None, {"point": _STAFF}),
    "technician_loan": Table(None, {"reason": _STAFF}),
}

# What sounds as if it were about a person and is not, with the word that says why.
NOBODYS: Mapping[str, str] = {
    "org_unit.name_zh": "a unit of the operator",
    "org_unit.name_en": "a unit of the operator",
    "grid.name": "a part of the map",
    "grid_list_entry.name": "a compound on a grid's list",
    "grid_list_entry.building": "a building on a grid's list",
    "alert.subject": "what of a unit's is wrong",
    "alert_delivery.body": "what is told of what is wrong",
    "alert.note": "what supervisors do about what is wrong",
    "alert_webhook.name": "a system that is told of alerts",
    "ordering_endpoint.name": "an address of the ordering system's interface",
    "product_offering.name_zh": "a product",
    "product_offering.name_en": "a product",
    "calendar_day.name_zh": "a holiday",
    "calendar_day.name_en": "a holiday",
    "parameter_value.name": "a number of the operator's",
    "evidence_piece.name": "a file in the storage",
    "outage.name": "a place that many have",
    "outage.note": "what a supervisor says of an outage, which is about many",
    "outage.point": "the middle of an outage",
    "dispatch_decision.reason": "by which rule somebody was chosen",
    "dispatch_pin.reason": "why an order stays where it is in a day",
    "bulk_move.reason": "why many orders were moved",
    "day_plan.reason": "why a day was planned anew",
    "grid_change.reason": "why the map was changed",
    "grid_contract.end_reason": "why a contract with a contractor ended",
    "policy_step.reason": "why a policy was changed",
    "commission_flag.reason": "what supervisors say of what a technician has earned",
    "serviceability_answer.reason": "what a line at an address can do",
    "privacy_request.reason": "shows why it was asked, and outlives what was erased by it",
    "grid_contract.note": "what was agreed on with a contractor",
    "slot_limit.note": "why a day has fewer slots",
    "evidence_blob.point": "goes with the picture when its last evidence is forgotten",
    "point_locality.locality": "a compound at a stand-in point",
    "fault_report.locality": "a compound",
    "work_order.locality": "a compound",
    "service_address.locality": "a compound",
    "terminal_scan.serial_number": "a device, whose chain says where it was",
    "terminal_scan.replaced_serial_number": "a device, whose chain says where it was",
    "terminal.serial_number": "a device, whose chain says where it was",
    "terminal_batch.serial_numbers": "devices of a depot",
    "activation.serial_number": "a device, whose chain says where it was",
}
