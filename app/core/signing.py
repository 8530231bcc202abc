"""Signatures of messages by a shared secret, as Standard Webhooks describes them.

The secret is 24 to 64 bytes, written in base64 with `whsec_` before it. What is signed is the
message's id, its time and its body; headers carry id, time and signature.
"""

import base64
import binascii
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta

PREFIX = "whsec_"
# A message that is older is somebody's copy of it, or its sender's clock is wrong.
TOLERANCE = timedelta(minutes=5)


def secret_of(written: str) -> bytes:
    """Read a secret. Raises ValueError when it is none."""
    try:
        secret = base64.b64decode(written.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("a signing secret must be base64, with whsec_ before it") from error
    if not 24 <= len(secret) <= 64:
        raise ValueError("a signing secret must be 24 to 64 bytes long")
    return secret


def sign(secret: bytes, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Make the headers of a message; `at` is aware and of the sender's clock."""
    seconds = str(int(at.timestamp()))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": seconds,
        "webhook-signature": f"v1,{_signature(secret, message_id, seconds, body)}",
    }


def is_signed(secret: bytes, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    """Tell whether a message was signed with a secret, and lately; `now` is real and aware.

    Several signatures may be given, parted by spaces, while a secret is being changed.
    """
    message_id, seconds = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not message_id or not (seconds.isascii() and seconds.isdigit() and len(seconds) < 12):
        return False
    if abs(now.timestamp() - int(seconds)) > TOLERANCE.total_seconds():
        return False
    right = _signature(secret, message_id, seconds, body).encode()
    given = headers.get("webhook-signature", "").split(" ")
    candidates = [each.removeprefix("v1,") for each in given if each.startswith("v1,")]
    return any(hmac.compare_digest(right, each.encode()) for each in candidates)


def _signature(secret: bytes, message_id: str, seconds: str, body: bytes) -> str:
    whole = f"{message_id}.{seconds}.".encode() + body
    return base64.b64encode(hmac.digest(secret, whole, "sha256")).decode()
