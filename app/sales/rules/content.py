"""What a phone asked for and a customer agreed to, in a form that can be compared."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import astuple, fields
from typing import Any
from uuid import UUID

from app.sales.rules.prices import Line


def content_hash(content: Any) -> str:
    """Hash what was agreed, in a canonical JSON form (SHA-256, hexadecimal)."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def sale_content(
    visit_id: UUID,
    lines: Sequence[Line],
    note: str | None,
    reservation_id: UUID | None = None,
    appointment_hold_id: UUID | None = None,
) -> dict[str, Any]:
    """Write what a phone asked to sell in the form that `content_hash` compares."""
    content = {"visit": visit_id, "lines": [_line(line) for line in lines], "note": note}
    # Hashes of sales that keep nothing stay what they were before anything could be kept.
    kept = {"reservation": reservation_id, "appointment": appointment_hold_id}
    return {**content, **{name: id_ for name, id_ in kept.items() if id_ is not None}}


def _line(line: Line) -> tuple[Any, ...]:
    # So do those of sales without a code: its columns are the last ones.
    said = astuple(line)
    return said if line.approval_code is not None else said[:_WITHOUT_CODE]


_WITHOUT_CODE = [field.name for field in fields(Line)].index("approval_code")
