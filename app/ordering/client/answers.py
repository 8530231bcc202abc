"""What an answer other than the expected one means for an order, and in whose words."""

from typing import NoReturn

from app.core.outside import SAID_LIMIT, Reply, Unreadable, tidy
from app.ordering.rules import Cause, NotSent, OrderingFailed, Refused, Unknown


def fail(reply: Reply) -> NoReturn:
    """Raise what an answer other than the expected one means for the order."""
    status = reply.status
    said, by_the_api = said_by(reply)
    kind: type[OrderingFailed]
    if status in (401, 403, 407):
        kind, cause = NotSent, Cause.SIGN_IN
    elif status in (425, 429):
        kind, cause = NotSent, Cause.BUSY
    elif 300 <= status < 400 or (status in (404, 405) and not by_the_api):
        # A gateway spoke, not the ordering system; no order can be blamed for it.
        kind, cause = NotSent, Cause.WRONG_ADDRESS
    elif status == 408:
        kind, cause = Unknown, Cause.TIMED_OUT
    elif status == 409:
        kind, cause = Unknown, Cause.CONFLICT
    elif status == 400 and not _is_object(reply):
        # What stands before the API did not understand the bytes, as a server does that gets one
        # request inside another; the order was judged by nobody. Most such faults end with the
        # connection, and one that stays uses up the tries.
        kind, cause = Unknown, Cause.UNREADABLE
    elif 400 <= status < 500:
        kind, cause = Refused, Cause.REFUSED
    elif status >= 500:
        kind, cause = Unknown, Cause.SERVER_ERROR
    else:
        kind, cause = Unknown, Cause.UNREADABLE
    raise kind(
        cause,
        said=said or f"HTTP {status}",
        retry_after=reply.retry_after(),
        answered=status,
        sent_as=reply.request_id,
    )


def unreadable(reply: Reply, why: object) -> Unknown:
    """Make the failure of an answer that cannot be understood: what it is about may have been
    done."""
    return Unknown(
        Cause.UNREADABLE, said=tidy(str(why)), answered=reply.status, sent_as=reply.request_id
    )


def _is_object(reply: Reply) -> bool:
    try:
        return isinstance(reply.json(), dict)
    except Unreadable:
        return False


def said_by(reply: Reply) -> tuple[str, bool]:
    """Take the other side's words, and whether they are an error of the API (TMF630's shape)."""
    try:
        error = reply.json()
    except Unreadable:
        return tidy(reply.content[: 4 * SAID_LIMIT].decode("utf-8", "replace")), False
    if not isinstance(error, dict):
        return "", False
    words = [text for name in ("reason", "message") if isinstance(text := error.get(name), str)]
    return tidy(": ".join(dict.fromkeys(words))), "code" in error and "reason" in error
