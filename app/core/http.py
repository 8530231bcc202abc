"""HTTP: wire bases and problem+json."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm.exc import StaleDataError
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute

from app.core.bounds import check_fit
from app.core.clock import Clock
from app.core.colliding import GONE, leave_to_the_next_try
from app.core.db import unavailable
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

PROBLEM_JSON = "application/problem+json"

# What a body that is read as a whole may weigh; 10,000 points with their addresses weigh 4 MB.
MOST_BYTES = 16 * 1024 * 1024


class Answer(BaseModel):
    """The base of every answer; fields have no defaults, so generated clients require them."""

    model_config = ConfigDict(from_attributes=True, extra="ignore")


class Input(BaseModel):
    """The base of every request body: what it does not know is refused, and so are NUL in text and
    moments, days and ids that are longer than their form (`core.bounds`)."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    @model_validator(mode="before")
    @classmethod
    def _fits(cls, data: Any) -> Any:
        if isinstance(data, dict):
            check_fit(cls, data)
        return data


_When = TypeVar("_When", bound=date)


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("say the time zone, as in 2026-03-02T08:00:00+08:00")
    return value


def _of_this_century(when: _When) -> _When:
    if not 2000 <= when.year < 2100:
        raise ValueError("must lie between the years 2000 and 2099")
    return when


# At both ends of what a text can say, the same moment in another zone and the day before or after
# are beyond what Python can hold: what is stored there is never read again.
_FIRST, _LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2999, 12, 31, tzinfo=UTC)


def _within(value: datetime) -> datetime:
    return min(max(value, _FIRST), _LAST)


Moment = Annotated[datetime, AfterValidator(_aware), AfterValidator(_of_this_century)]
Day = Annotated[date, AfterValidator(_of_this_century)]
# By the clock of a device, which may never have been set. It is kept as it was said, and moved only
# as far as it has to be: whatever was done is not kept back by that.
DeviceTime = Annotated[datetime, AfterValidator(_aware), AfterValidator(_within)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Note = Annotated[str, StringConstraints(max_length=2000)]
# What answers hold where no input bounds it by itself: a name, a code, or one sentence of ours.
Line = Annotated[str, Field(max_length=300)]
Code = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[\w.\-:/]+$")]


# More than there is of anything in the largest layer that is taken in: 128 MiB unpacked, of which a
# point takes 16 bytes.
MOST_IN_A_LAYER = 10_000_000
Ring = Annotated[
    list[Annotated[list[float], Field(min_length=2, max_length=2)]],
    Field(max_length=MOST_IN_A_LAYER),
]
# What stands in a GeoJSON MultiPolygon: its polygons, each an outline and its holes.
Polygons = Annotated[
    list[Annotated[list[Ring], Field(max_length=MOST_IN_A_LAYER)]],
    Field(max_length=MOST_IN_A_LAYER),
]

# How the header is described of whatever a reader may have already.
ETAG = {
    "description": "Of exactly these bytes; send it as If-None-Match.",
    "schema": {"type": "string", "maxLength": 100},
}


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
        "instance": f"urn:yingwei:request:{request_id}",
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
    if problem.upgrade:
        # The field belongs to this connection, so the connection has to name it (7.8).
        headers |= {"upgrade": problem.upgrade.format_map(problem.facts), "connection": "upgrade"}
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
        leave_to_the_next_try(request, problem)
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
        leave_to_the_next_try(request, error)
        state = getattr(error.orig, "sqlstate", None) or ""
        # 08 connection, 40 rollback by deadlock or serialization, 53 resources, 57 shutdown.
        if error.connection_invalidated or state[:2] in ("08", "40", "53", "57") or not state:
            return render(request, unavailable(error))
        raise error


def _methods(app: FastAPI, request: Request) -> list[str]:
    path = request.scope["path"]
    allowed: set[str] = set()
    for prefix, route in placed(app.routes):
        if path.startswith(prefix) and route.path_regex.match(path.removeprefix(prefix)):
            allowed |= route.methods or set()
    return sorted(allowed)


def placed(routes: Iterable[BaseRoute], prefix: str = "") -> Iterator[tuple[str, APIRoute]]:
    """Find all doorways among what is served, those of included routers too, each with what comes
    before its own path."""
    for route in routes:
        if isinstance(route, APIRoute):
            yield prefix, route
        elif (inner := getattr(route, "original_router", None)) is not None:
            context: Any = getattr(route, "include_context", None)
            yield from placed(inner.routes, prefix + context.prefix)


def served(routes: Iterable[BaseRoute]) -> Iterator[APIRoute]:
    """Find all doorways among what is served."""
    return (route for _, route in placed(routes))


# --- bodies that are not read as a whole --------------------------------------------------------

# A doorway that reads its body by itself says so here.
STREAMED = "yingwei.streamed"


def streamed(request: Request) -> AsyncIterator[bytes]:
    """Read a request's body piece by piece; whoever does so weighs it by a limit of their own.

    It is not kept, so that a request that collides with others is not served once more.
    """
    request.scope[STREAMED] = request.scope[GONE] = True
    return request.stream()


async def body_up_to(request: Request, most: int) -> bytes:
    """Read a body that may weigh so many bytes, and no farther. Raises TooLarge."""
    request.scope[STREAMED] = True
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise TooLarge(limit=f"{most} bytes")
    return bytes(body)
