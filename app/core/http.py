"""HTTP: wire bases, problem+json, request ids, metrics, and what every OpenAPI operation shares."""

import re
import time
from collections.abc import AsyncIterator, Callable, MutableMapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import orjson
import structlog
from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from prometheus_client import Counter, Histogram
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, model_validator
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm.exc import StaleDataError
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.clock import Clock
from app.core.db import new_id, unavailable
from app.core.errors import (
    Conflict,
    Invalid,
    Malformed,
    MethodNotAllowed,
    NotFound,
    Problem,
    TooLarge,
)
from app.core.i18n import Lang, pick
from app.core.log import log

PROBLEM_JSON = "application/problem+json"

# What a body that is read as a whole may weigh; 10,000 points with their addresses weigh 4 MB.
MOST_BYTES = 16 * 1024 * 1024

_SECONDS = Histogram(
    "yingwei_http_request_seconds",
    "Time from the request's first byte to the answer's last.",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
_ANSWERS = Counter("yingwei_http_answers_total", "Answers by status.", ["route", "status"])


class Answer(BaseModel):
    """The base of every answer; fields have no defaults, so generated clients require them."""

    model_config = ConfigDict(from_attributes=True, extra="ignore")


class Input(BaseModel):
    """The base of every request body: what it does not know is refused, and so is NUL in text."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    @model_validator(mode="before")
    @classmethod
    def _no_nul(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for name, value in data.items():
                if isinstance(value, str) and "\x00" in value:
                    raise ValueError(f"{name}: the character NUL is not text")
        return data


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("say the time zone, as in 2026-03-02T08:00:00+08:00")
    return value


Moment = Annotated[datetime, AfterValidator(_aware)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Note = Annotated[str, StringConstraints(max_length=2000)]
Code = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[\w.\-:/]+$")]


# Dependencies are coroutines even where nothing is awaited: FastAPI runs a plain function in a
# thread, which costs a hot request more processor time than its statement.
async def _now(request: Request) -> datetime:
    clock: Clock = request.app.state.clock
    return clock.now()


Now = Annotated[datetime, Depends(_now)]


async def _lang(request: Request) -> Lang:
    return pick(request.headers.get("accept-language"))


Language = Annotated[Lang, Depends(_lang)]


class RawJson(Response):
    """An answer whose JSON is already bytes: for hot reads that PostgreSQL or orjson has shaped."""

    media_type = "application/json"


class JsonLines(Response):
    """An answer of one JSON object a line (NDJSON)."""

    media_type = "application/x-ndjson"


# --- problems ---------------------------------------------------------------------------------


def problem_body(problem: Problem, lang: Lang, request_id: str) -> dict[str, Any]:
    """Write a Problem in the shape of RFC 9457, in one language, with its facts as a member."""
    return {
        "type": f"urn:yingwei:problem:{problem.slug}",
        "title": problem.title.say(lang),
        "status": problem.status,
        "detail": problem.detail(lang),
        "facts": problem.facts_in(lang),
        "request_id": request_id,
    }


def render(request: Request, problem: Problem) -> Response:
    """Answer a request with a Problem."""
    lang = pick(request.headers.get("accept-language"))
    request_id = request.scope.get("request_id", "")
    headers = {"content-language": lang, "cache-control": "no-store"}
    if "retry_after" in problem.facts:
        headers["retry-after"] = str(problem.facts["retry_after"])
    if "allow" in problem.facts:
        headers["allow"] = ", ".join(problem.facts["allow"])
    if problem.status == 401:
        headers["www-authenticate"] = "Bearer"
    return Response(
        orjson.dumps(problem_body(problem, lang, request_id), default=str),
        status_code=problem.status,
        media_type=PROBLEM_JSON,
        headers=headers,
    )


def _field(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location if part not in ("body", "query", "path"))


def invalid_from(errors: Sequence[Any]) -> Invalid:
    """Turn pydantic's errors into one Invalid that names each field and what is wrong with it."""
    return Invalid(
        errors=[
            {"field": _field(error["loc"]), "message": error["msg"], "kind": error["type"]}
            for error in errors[:50]
        ]
    )


def install_errors(app: FastAPI) -> None:
    """Make every refusal and failure of an application leave as problem+json."""

    @app.exception_handler(Problem)
    async def _problem(request: Request, problem: Problem) -> Response:
        return render(request, problem)

    @app.exception_handler(RequestValidationError)
    async def _validation(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0] if error.errors() else {}
        if first.get("type") == "json_invalid":
            reason = str(first.get("ctx", {}).get("error", "not JSON"))
            return render(request, Malformed(reason=reason))
        return render(request, invalid_from(error.errors()))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404:
            return render(request, NotFound())
        if error.status_code == 405:
            return render(request, MethodNotAllowed(allow=_methods(app, request)))
        # FastAPI tells of whatever goes wrong while it reads a body as of a bad request.
        if isinstance(error.__cause__, Problem):
            return render(request, error.__cause__)
        return render(request, Malformed(reason=str(error.detail)))

    @app.exception_handler(StaleDataError)
    async def _stale(request: Request, error: StaleDataError) -> Response:
        return render(request, Conflict(reason="changed by somebody else meanwhile"))

    @app.exception_handler(DBAPIError)
    async def _database(request: Request, error: DBAPIError) -> Response:
        state = getattr(error.orig, "sqlstate", None) or ""
        # 08 connection, 40 rollback by deadlock or serialization, 53 resources, 57 shutdown.
        if error.connection_invalidated or state[:2] in ("08", "40", "53", "57") or not state:
            return render(request, unavailable(error))
        raise error


def _methods(app: FastAPI, request: Request) -> list[str]:
    allowed: set[str] = set()
    for route in app.routes:
        match, _ = route.matches(request.scope)
        if match is not Match.NONE:
            allowed |= getattr(route, "methods", None) or set()
    return sorted(allowed)


# --- around each request ----------------------------------------------------------------------

_REQUEST_ID = re.compile(r"^[A-Za-z0-9\-]{8,64}$")
_UNEXPECTED = Problem()


_STREAMED = "yingwei.streamed"


def streamed(request: Request) -> AsyncIterator[bytes]:
    """Read a request's body piece by piece; whoever does so weighs it by a limit of their own."""
    request.scope[_STREAMED] = True
    return request.stream()


async def body_up_to(request: Request, most: int) -> bytes:
    """Read a body that may weigh so many bytes, and no farther. Raises TooLarge."""
    body = bytearray()
    async for part in streamed(request):
        body += part
        if len(body) > most:
            raise TooLarge(limit=f"{most} bytes")
    return bytes(body)


class Surroundings:
    """ASGI middleware: request id, log line, metrics, how much a body may weigh, and a last resort
    for what nobody foresaw."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope["request_id"] = request_id
        structlog.contextvars.bind_contextvars(request_id=request_id)
        status, taken = 0, 0
        began = time.perf_counter()

        async def receiving() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MOST_BYTES and _STREAMED not in scope:
                raise TooLarge(limit=f"{MOST_BYTES} bytes")
            return message

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", []),
                    (b"x-request-id", request_id.encode()),
                ]
            await send(message)

        try:
            await self.app(scope, receiving, sending)
        except Exception:
            # The path itself may hold the secret of a link.
            unmet = getattr(scope.get("route"), "path", "unmatched")
            log.exception("unexpected", route=unmet)
            if status == 0:
                await render(Request(scope), _UNEXPECTED)(scope, receive, sending)
            else:
                raise
        finally:
            seconds = time.perf_counter() - began
            route = getattr(scope.get("route"), "path", "unmatched")
            _SECONDS.labels(scope["method"], route).observe(seconds)
            _ANSWERS.labels(route, str(status)).inc()
            log.info(
                "answered",
                method=scope["method"],
                route=route,
                status=status,
                milliseconds=round(seconds * 1000, 1),
            )
            structlog.contextvars.clear_contextvars()


def _request_id(scope: MutableMapping[str, Any]) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            given: str = value.decode("latin-1")
            if _REQUEST_ID.match(given):
                return given
    return new_id().hex


# --- OpenAPI ----------------------------------------------------------------------------------

_PROBLEM_SCHEMA = {
    "type": "object",
    "description": "A refusal in the shape of RFC 9457; `type` is stable and may be matched.",
    "required": ["type", "title", "status", "detail", "facts", "request_id"],
    "properties": {
        "type": {"type": "string", "maxLength": 200, "examples": ["urn:yingwei:problem:not-found"]},
        "title": {"type": "string", "maxLength": 200, "examples": ["未找到"]},
        "status": {"type": "integer", "format": "int32", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "maxLength": 2000},
        "facts": {"type": "object", "additionalProperties": True},
        "request_id": {"type": "string", "maxLength": 64},
    },
}
_SHARED = {
    "400": "Malformed: the request cannot be read.",
    "401": "Unauthorized: no valid token.",
    "403": "Forbidden: the token lacks the role or scope.",
    "404": "Not found, or not within the caller's area.",
    "409": "Conflict with what is stored, or a step that is not allowed now.",
    "413": "Too large.",
    "422": "Invalid: facts.errors names each field.",
    "429": "Too many requests; see Retry-After.",
    "500": "Unexpected; nothing was recorded.",
    "503": "Unavailable; nothing was recorded, see Retry-After.",
}


def openapi_of(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """Make the function that writes an application's OpenAPI document, with the shared answers."""

    def write() -> dict[str, Any]:
        if app.openapi_schema:
            return app.openapi_schema
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            servers=[{"url": "/", "description": "This server"}],
            contact={"name": "Yingwei", "url": "https://example.org/yingwei"},
            license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
            tags=app.openapi_tags,
        )
        components = document.setdefault("components", {})
        schemas = components.setdefault("schemas", {})
        schemas.pop("HTTPValidationError", None)
        schemas.pop("ValidationError", None)
        schemas["Problem"] = _PROBLEM_SCHEMA
        components["responses"] = {
            f"Problem{status}": {
                "description": text,
                "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }
            for status, text in _SHARED.items()
        }
        for path in document["paths"].values():
            for operation in path.values():
                responses = operation["responses"]
                for status in _SHARED:
                    responses[status] = {"$ref": f"#/components/responses/Problem{status}"}
        _mend_schemas(document)
        app.openapi_schema = document
        return document

    return write


def _mend_schemas(node: Any) -> None:
    """Give each integer a format, since a client generated without one would take 32 bits; and
    leave a reference alone, where FastAPI says "string" of an answer whose bytes we make."""
    if isinstance(node, dict):
        if node.get("type") == "integer" and "format" not in node:
            node["format"] = "int64"
        if "$ref" in node:
            node.pop("type", None)
        for value in node.values():
            _mend_schemas(value)
    elif isinstance(node, list):
        for value in node:
            _mend_schemas(value)
