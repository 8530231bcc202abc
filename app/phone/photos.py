"""Pictures on their way from a phone: announced by an action, their bytes by tus, in pieces.

A picture that was interrupted goes on from where the server says that it stands.
"""

import base64
import hashlib
from typing import Any

from app.phone.line import Line, Refused
from app.phone.store import Picture, Store

# Small enough that a line that breaks costs little, on a network that is worth the name.
PIECE = 256 * 1024
_PATH = "/v1/evidence/uploads"
_TUS = {"tus-resumable": "1.0.0", "content-type": "application/offset+octet-stream"}


def digest(data: bytes) -> str:
    """Hash bytes (SHA-256, hexadecimal)."""
    return hashlib.sha256(data).hexdigest()


def metadata(told: dict[str, str | None]) -> str:
    """Write what is said of a picture as tus has it: names with values in base64."""
    return ",".join(
        f"{name} {base64.b64encode(value.encode()).decode()}"
        for name, value in told.items()
        if value is not None
    )


def announcement(picture_id: str, data: bytes, **told: str | None) -> dict[str, Any]:
    """Write the payload of the action that announces a picture."""
    said = {"id": picture_id, "sha256": digest(data), **told}
    return {"length": len(data), "metadata": metadata(said)}


async def send(line: Line, store: Store, picture: Picture) -> bool:
    """Send what is left of a picture, and let go of it when it is there; False when the server
    does not want it. Raises NoSignal; what was taken until then counts."""
    data, offset = store.bytes_of(picture.id), picture.sent
    while offset < picture.bytes:
        piece = data[offset : offset + PIECE]
        headers = {**_TUS, "upload-offset": str(offset)}
        try:
            answer = await line.ask(
                "PATCH", f"{_PATH}/{picture.id}", headers=headers, content=piece
            )
            offset = int(answer.headers["upload-offset"])
        except Refused as refused:
            if refused.slug != "upload-offset-differs":
                store.picture_stands(picture.id, offset, refused.slug)
                return False
            # The answer was lost, and the bytes had come.
            offset = int(refused.facts["offset"])
        store.picture_stands(picture.id, offset)
    store.forget_picture(picture.id)
    return True
