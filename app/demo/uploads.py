"""Photos and signatures on their way from a phone, by tus: at once, or when the signal is better.

The file's name is the remark that makes the picture (see `pictures`), and the backend keeps it. So
a phone that was switched off knows from the API alone what it still has to send.
"""

import base64
import hashlib
from dataclasses import dataclass
from typing import Any

from app.core.db import new_id
from app.demo.line import Line
from app.demo.pictures import photo, signature

_PATH = "/v1/evidence/uploads"
_TUS = {"tus-resumable": "1.0.0"}
_BYTES = {"content-type": "application/offset+octet-stream"}


@dataclass(frozen=True)
class Picture:
    """One picture of an order: what it shows, by the code of its requirement, and its bytes."""

    id: str
    requirement: str
    kind: str
    file_name: str

    @property
    def data(self) -> bytes:
        """The picture itself."""
        return (signature if self.kind == "signature" else photo)(self.file_name)


def taken(order: dict[str, Any], requirement: str, kind: str) -> Picture:
    """Take a picture at the door of an order."""
    upload_id = str(new_id())
    return Picture(upload_id, requirement, kind, f"{order['external_id']} {upload_id}")


async def send(
    line: Line, picture: Picture, order: dict[str, Any], visit_id: str, *, follows: bool
) -> bool:
    """Announce a picture with all its bytes; with `follows` without, for `send_rest`."""
    data = picture.data
    told = {
        "id": picture.id,
        "work_order_id": order["id"],
        "visit_id": visit_id,
        "requirement": picture.requirement,
        "kind": picture.kind,
        "sha256": hashlib.sha256(data).hexdigest(),
        "filename": picture.file_name,
    }
    headers = {
        **_TUS,
        **({} if follows else _BYTES),
        "upload-length": str(len(data)),
        "upload-metadata": ",".join(
            f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in told.items()
        ),
    }
    return (await line.send("POST", _PATH, None if follows else data, headers)).ok


async def send_rest(line: Line, picture: Picture) -> None:
    """Send the bytes of a picture that was announced, from where the backend says it stands."""
    data, offset = picture.data, 0
    while offset < len(data):
        headers = {**_TUS, **_BYTES, "upload-offset": str(offset)}
        reply = await line.send("PATCH", f"{_PATH}/{picture.id}", data[offset:], headers)
        if reply.problem != "upload-offset-differs":
            return
        # The answer was lost and the bytes had come.
        offset = int(reply.body["facts"]["offset"])


async def outstanding(line: Line, order: dict[str, Any]) -> list[Picture]:
    """List what was announced for an order and has not come, to be sent by `send_rest`."""
    reply = await line.get(f"/v1/work-orders/{order['id']}/evidence")
    if not reply.ok:
        return []
    return [
        Picture(one["id"], one["requirement"], one["kind"], one["filename"])
        for one in reply.body["evidence"]
        if one["state"] == "announced"
    ]
