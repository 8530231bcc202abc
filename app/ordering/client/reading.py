"""How the other side's answers and events are read, in either version of TMF622. Pure.

Reading is lenient: unknown attributes are passed over, and of the known ones only an id is
indispensable. What the versions write differently is told apart by its shape, so that a system
which mixes them, as some do while they move from one to the next, is read all the same.
"""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from app.core.outside import Unreadable
from app.ordering.order import AUTHOR, ItemAction, RemoteCancellation, RemoteEvent, RemoteOrder
from app.ordering.rules import RemoteState, TaskState

_STATES = {state.value.lower(): state for state in RemoteState}
# Of v5: taken into work, and told apart from it in no way that matters to a sale.
_STATES["inprogressaccepted"] = RemoteState.IN_PROGRESS
_TASK_STATES = {state.value.lower(): state for state in TaskState}
_TEXT_LIMIT = 300
# Longer than any honest id, and short enough for an index.
_ID_LIMIT = 200


def read_order(answer: object, base_url: str = "") -> RemoteOrder:
    """Read a ProductOrder; a relative href is made absolute with `base_url`.

    Raises Unreadable when it is no object, or has neither an id nor an href that ends in one.
    """
    if not isinstance(answer, dict):
        raise Unreadable("a product order must be a JSON object")
    href = text_of(answer.get("href"))
    id_ = _id(answer, "productOrder")
    state_text = text_of(answer.get("state"))
    return RemoteOrder(
        id=id_,
        href=_absolute(base_url, href),
        external_id=_external_id(answer.get("externalId")),
        state=read_state(state_text),
        state_text=state_text,
        # v5 calls it by another name.
        ordered_at=read_time(answer.get("orderDate")) or read_time(answer.get("creationDate")),
        reason=_reason(answer),
        item_states=tuple(
            (text_of(item.get("id")) or "", read_state(text_of(item.get("state"))))
            for item in objects(answer.get("productOrderItem"))
        ),
        taken_out=frozenset(
            text_of(item.get("id")) or ""
            for item in objects(answer.get("productOrderItem"))
            if text_of(item.get("action")) == ItemAction.DELETE
        ),
    )


def read_cancellation(answer: object, base_url: str = "") -> RemoteCancellation:
    """Read a CancelProductOrder, the task of cancelling an order.

    Raises Unreadable when it is no object, or has neither an id nor an href that ends in one.
    """
    if not isinstance(answer, dict):
        raise Unreadable("a cancellation must be a JSON object")
    state_text = text_of(answer.get("state"))
    order = answer.get("productOrder")
    order = order if isinstance(order, dict) else {}
    return RemoteCancellation(
        id=_id(answer, "cancelProductOrder"),
        href=_absolute(base_url, text_of(answer.get("href"))),
        order_id=text_of(order.get("id")) or id_from_href(text_of(order.get("href"))),
        state=_TASK_STATES.get(_letters(state_text)),
        state_text=state_text,
        reason=_reason({**answer, "cancellationReason": None}),
    )


def read_event(body: object) -> RemoteEvent:
    """Read a callback: ProductOrderStateChangeEvent, CancelProductOrderStateChangeEvent and their
    like, of either version.

    Raises Unreadable when it carries neither a product order nor the cancellation of one.
    """
    if not isinstance(body, dict):
        raise Unreadable("an event must be a JSON object")
    payload = body.get("event")
    if not isinstance(payload, dict):
        raise Unreadable("the event has no payload")
    # The published v5 schema spells the first with a letter too many.
    task = payload.get("canccelProductOrder") or payload.get("cancelProductOrder")
    cancellation = read_cancellation(task) if task is not None else None
    order = read_order(payload.get("productOrder")) if cancellation is None else None
    event_id = text_of(body.get("eventId"))
    return RemoteEvent(
        id=event_id if event_id and len(event_id) <= _ID_LIMIT else _digest(body),
        kind=text_of(body.get("eventType")) or text_of(body.get("@type")) or "",
        # The published v4 schema spells the second name with one r.
        at=read_time(body.get("eventTime"))
        or read_time(body.get("timeOcurred"))
        or read_time(body.get("timeOccurred")),
        order=order,
        cancellation=cancellation,
    )


def read_state(text: str | None) -> RemoteState | None:
    """Read a state however it is capitalised or parted (`inProgress`, `in_progress`, `INPROGRESS`).

    None for a state that TMF622 does not know.
    """
    return _STATES.get(_letters(text))


def _letters(text: str | None) -> str:
    return "".join(letter for letter in text or "" if letter.isalpha()).lower()


def read_time(text: object) -> datetime | None:
    """Read an RFC 3339 time; None when it is none, or names no time zone: we do not guess one."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.astimezone(UTC) if moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def id_from_href(href: str | None, kind: str = "productOrder") -> str | None:
    """Take the id from the end of a relative or absolute address; None without one."""
    if not href:
        return None
    try:
        steps = urlsplit(href).path.rstrip("/").split("/")
    except ValueError:
        return None
    if len(steps) < 2 or steps[-2] != kind:
        return None
    return unquote(steps[-1]) or None


def _id(answer: dict[str, Any], kind: str) -> str:
    """Take the id of a resource, or the one its address ends in. Raises Unreadable."""
    id_ = text_of(answer.get("id")) or id_from_href(text_of(answer.get("href")), kind)
    if not id_:
        raise Unreadable(f"the {kind} has no id")
    if len(id_) > _ID_LIMIT:
        raise Unreadable(f"the id of the {kind} is too long")
    return id_


def _external_id(value: object) -> str | None:
    """Take our id of an order: a text in v4; in v5 one of a list, where ours says so."""
    if not isinstance(value, list):
        return text_of(value)
    named = [(text_of(each.get("owner")), text_of(each.get("id"))) for each in objects(value)]
    ours = [id_ for owner, id_ in named if owner == AUTHOR and id_]
    others = [id_ for _, id_ in named if id_]
    return next(iter(ours + others), None)


def _absolute(base_url: str, href: str | None) -> str | None:
    """Complete a relative address; one that is no address at all is as good as none."""
    try:
        return urljoin(base_url, href) if href else None
    except ValueError:
        return None


def _reason(answer: dict[str, Any]) -> str | None:
    """Find the other side's words: v4 has no attribute for a rejection, so its last note speaks;
    v5 has a list of messages of what went wrong."""
    messages = objects(answer.get("productOrderErrorMessage"))
    texts = [text_of(each.get("message")) or text_of(each.get("reason")) for each in messages]
    said = text_of(answer.get("cancellationReason")) or next(filter(None, reversed(texts)), None)
    if said:
        return said[:_TEXT_LIMIT]
    notes = [note for note in objects(answer.get("note")) if note.get("author") != AUTHOR]
    text = text_of(notes[-1].get("text")) if notes else None
    return text[:_TEXT_LIMIT] if text else None


def text_of(value: object) -> str | None:
    """Take a text; numbers are accepted too, since some systems send ids as numbers."""
    if isinstance(value, str):
        # PostgreSQL cannot hold NUL, and no honest id or reason contains one.
        return value.replace("\x00", "").strip() or None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None


def objects(value: object) -> list[dict[str, Any]]:
    """Take the objects of a list; what is no list holds none."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _digest(body: dict[str, Any]) -> str:
    whole = json.dumps(body, sort_keys=True)
    return "sha256:" + hashlib.sha256(whole.encode()).hexdigest()
