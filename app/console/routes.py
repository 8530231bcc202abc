"""Doorways of the console: a page and what it is made of, from this package alone."""

from functools import cache
from pathlib import Path

from fastapi import Response

from app.core.doorways import Router

router = Router(prefix="/console", include_in_schema=False)

_STATIC = Path(__file__).parent / "static"
# Nothing but what this server serves may run or be asked, and nobody may put the page in a frame.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


@cache
def _read(name: str) -> bytes:
    return (_STATIC / name).read_bytes()


def _file(name: str, kind: str) -> Response:
    return Response(_read(name), media_type=f"{kind}; charset=utf-8", headers=_HEADERS)


@router.get("/sync-errors", operation_id="console_sync_errors")
async def sync_errors() -> Response:
    """Serve the page on which a supervisor sees and mends what is wrong with deliveries."""
    return _file("sync-errors.html", "text/html")


@router.get("/sync-errors.js", operation_id="console_sync_errors_script")
async def script() -> Response:
    """Serve the page's script."""
    return _file("sync-errors.js", "text/javascript")


@router.get("/words.js", operation_id="console_words")
async def words() -> Response:
    """Serve the page's words in both languages."""
    return _file("words.js", "text/javascript")


@router.get("/sync-errors.css", operation_id="console_sync_errors_style")
async def style() -> Response:
    """Serve the page's style."""
    return _file("sync-errors.css", "text/css")
