"""The API's description (OpenAPI 3.1): what every operation shares, and what generators need.

Clients are generated from it in languages with closed types, so it is mended where the framework
says less than it knows: widths of numbers, and names that a person would have given.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.core.bounds import FORMS, NO_NUL, WHOLE
from app.core.http import PROBLEM_JSON

_PROBLEM_SCHEMA = {
    "type": "object",
    "description": "A refusal in the shape of RFC 9457; `type` is stable and may be matched.",
    "required": ["type", "title", "status", "detail", "facts", "request_id"],
    "properties": {
        "type": {
            "type": "string",
            "format": "uri",
            "maxLength": 200,
            "examples": ["urn:yingwei:problem:not-found"],
        },
        "instance": {
            "type": "string",
            "format": "uri",
            "maxLength": 100,
            "description": "This one refusal: the request's id as a name.",
            "examples": ["urn:yingwei:request:019cac1b0a007f7a8c116d2c0d1f5b10"],
        },
        "title": {"type": "string", "maxLength": 200, "examples": ["未找到"]},
        "status": {"type": "integer", "format": "int32", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "maxLength": 2000},
        "facts": {"type": "object", "additionalProperties": True},
        "request_id": {"type": "string", "maxLength": 64},
    },
}
_FORMATS = {"integer": "int64", "number": "double"}
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
    "default": "Any other refusal; `type` names it, see api_docs/problems.md.",
}
# What only some answer.
_SELDOM = {
    "412": "Changed by somebody else since it was read.",
    "426": "The app, or what it keeps, is older than what is served; `detail` says what to do.",
}
_RETRY_AFTER = {
    "Retry-After": {
        "description": "So many seconds later it is worth another try.",
        "schema": {"type": "integer", "minimum": 0},
    }
}
_UPGRADE = {
    "Upgrade": {
        "description": "What is served: the app or its tables, and the lowest version.",
        "schema": {"type": "string", "maxLength": 100, "examples": ["yingwei-app/2.4.0"]},
    }
}
_WITH: dict[str, dict[str, Any]] = {
    "426": _UPGRADE,
    "429": _RETRY_AFTER,
    "503": _RETRY_AFTER,
}
_ORIGIN = {
    "Access-Control-Allow-Origin": {
        "description": "The page that asks, where it is one of YINGWEI_ALLOWED_ORIGINS.",
        "schema": {"type": "string", "format": "uri", "maxLength": 300},
    }
}
# What answers nobody but those who write: nothing is in conflict with reading, and a request
# without a body has none that is too large.
_WRITING = ("409", "413")
_WRITES = {"post", "put", "patch", "delete"}


_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": (
        "A random key of this one request, such as a UUID. Sent again with it, the request is "
        "answered like the first time, and nothing is done twice. Kept for 30 days or more."
    ),
    "schema": {
        "type": "string",
        "maxLength": 130,
        "pattern": '^"?[A-Za-z0-9._:\\-]{16,128}"?$',
        "examples": ["019cac1b-0a00-7f7a-8c11-6d2c0d1f5b10"],
    },
}


_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of what was read: it is replaced only while it is still that.",
    "schema": {"type": "string", "maxLength": 400, "examples": ['"5b1f0c9a7d3e42a86c15f07b"']},
}
_ETAG = {
    "description": "Of exactly these bytes; send it as If-None-Match, or as If-Match to replace.",
    "schema": {"type": "string", "maxLength": 100},
}


_HERE = {
    "url": "/",
    "description": "The server that this was read from: production, staging or local.",
    "x-internal": False,
}
# Zalando's rules ask who an API is for, and for a name that outlives its title.
_ABOUT = {"x-api-id": "yingwei-field-backend", "x-audience": "company-internal"}


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
            servers=[_HERE],
            contact={"name": "Yingwei", "url": "https://example.org/yingwei"},
            license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
            tags=app.openapi_tags,
        )
        document["info"] |= _ABOUT
        document["info"]["contact"]["email"] = "yingwei@example.org"
        components = document.setdefault("components", {})
        schemas = components.setdefault("schemas", {})
        schemas.pop("HTTPValidationError", None)
        schemas.pop("ValidationError", None)
        schemas["Problem"] = _PROBLEM_SCHEMA
        components["responses"] = {
            f"Problem{status}": _refusal(status, text)
            for status, text in (_SHARED | _SELDOM).items()
        }
        components["parameters"] = {"IdempotencyKey": _IDEMPOTENCY_KEY, "IfMatch": _IF_MATCH}
        for path in document["paths"].values():
            for method, operation in path.items():
                # Whoever may ask is said in words, also where nobody has to sign in.
                operation.setdefault("security", [{}])
                _name_parameters(operation)
                responses = operation["responses"]
                for answer in responses.values():
                    # Of an answer without a body the framework says that it is any JSON.
                    if answer.get("content") == {"application/json": {"schema": {}}}:
                        del answer["content"]
                for status in _SHARED:
                    if status in _WRITING and method not in _WRITES:
                        continue
                    responses[status] = {"$ref": f"#/components/responses/Problem{status}"}
        for place in {place for place, _ in app.state.editable.values()}:
            read, replace = (document["paths"][place][method] for method in ("get", "put"))
            read["responses"]["200"].setdefault("headers", {})["ETag"] = _ETAG
            read["responses"]["304"] = {"description": "It is what If-None-Match says."}
            given = {"$ref": "#/components/parameters/IfMatch"}
            replace["parameters"] = [*replace.get("parameters", []), given]
            replace["responses"]["412"] = {"$ref": "#/components/responses/Problem412"}
        for each in _answers(document):
            if "headers" in each:
                each["headers"] |= _ORIGIN
        names = names_of(schemas)
        components["schemas"] = {
            name: schemas[place]
            for name, place in sorted((names.get(place, place), place) for place in schemas)
        }
        _mend(document, names)
        used = _used(document["paths"], components)
        components["schemas"] = {n: s for n, s in components["schemas"].items() if n in used}
        app.openapi_schema = document
        return document

    return write


def _refusal(status: str, text: str) -> dict[str, Any]:
    refusal: dict[str, Any] = {
        "description": text,
        "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    return refusal | ({"headers": dict(_WITH[status])} if status in _WITH else {})


def _answers(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Find every answer, those that operations share among them."""
    yield from document["components"]["responses"].values()
    for path in document["paths"].values():
        for operation in path.values():
            yield from operation["responses"].values()


_PLACE = re.compile(r"^app__(?P<room>[a-z]+)__(?P<files>.*)__(?P<name>[A-Za-z]+)$")
_SCHEMAS = "#/components/schemas/"


def names_of(schemas: dict[str, Any]) -> dict[str, str]:
    """Give the schemas that are called by their place in the code the names that clients know.

    A class whose name another room has, too, comes as app__sales__schemas__consent__ConfirmIn;
    clients know it as SalesConfirmIn, with the file's name where a room itself has two. An
    enumeration that comes once more for what is sent (Why-Input) is the one that is answered.
    """
    short, long = defaultdict(list), {}
    for place in schemas:
        if found := _PLACE.match(place):
            room, file = found["room"].capitalize(), found["files"].rpartition("__")[2]
            short[room + found["name"]].append(place)
            long[place] = room + file.title().replace("_", "") + found["name"]
    names = {
        place: long[place] if len(places) > 1 or name in schemas else name
        for name, places in short.items()
        for place in places
    }
    for again in [name for name in schemas if "-" in name]:
        for place, schema in schemas.items():
            if place != again and schema == schemas[again]:
                names[again] = names.get(place, place)
    return names


def _used(node: Any, components: dict[str, Any], seen: set[str] | None = None) -> set[str]:
    """Give the names of the schemas that an operation sends or is answered with in the end."""
    seen = set() if seen is None else seen
    if isinstance(node, dict):
        reference = node.get("$ref")
        if isinstance(reference, str) and reference not in seen:
            seen.add(reference)
            kind, _, name = reference.removeprefix("#/components/").partition("/")
            _used(components[kind][name], components, seen)
        for value in node.values():
            _used(value, components, seen)
    elif isinstance(node, list):
        for value in node:
            _used(value, components, seen)
    return {reference.removeprefix(_SCHEMAS) for reference in seen}


def _name_parameters(operation: dict[str, Any]) -> None:
    """Say of parameters what is true of them in a request: headers are written as they are in
    standards, and nothing that is left out is null, for which an address has no word."""
    for parameter in operation.get("parameters", []):
        if parameter.get("in") == "header":
            parameter["name"] = "-".join(
                word if word.isupper() else word.capitalize()
                for word in parameter["name"].split("-")
            )
        choices = parameter.get("schema", {}).get("anyOf", [])
        given = [one for one in choices if one.get("type") != "null"]
        if len(given) == 1 and len(choices) == 2:
            del parameter["schema"]["anyOf"]
            parameter["schema"] |= given[0]


def _mend(node: Any, names: dict[str, str]) -> None:
    """Put right what the framework leaves open, in a schema and all below it.

    Each number has a format, since a client generated without one would take 32 bits of an
    integer and a decimal of any length for a coordinate. Each text of a known form has the form's
    length, and any other holds no NUL. Schemas have the names of `names_of`. A reference stands
    alone, where FastAPI says "string" of an answer whose bytes we make.
    """
    if isinstance(node, dict):
        # A field may be called "type", too; then its schema stands where the word would.
        if isinstance(kind := node.get("type"), str) and kind in _FORMATS:
            node.setdefault("format", _FORMATS[kind])
        if kind == "string":
            _mend_text(node)
        elif kind == "integer":
            _mend_whole(node)
        if "$ref" in node:
            node.pop("type", None)
            node["$ref"] = _named(node["$ref"], names)
        if "propertyName" in node:
            node["mapping"] = {one: _named(to, names) for one, to in node["mapping"].items()}
        for value in node.values():
            _mend(value, names)
    elif isinstance(node, list):
        for value in node:
            _mend(value, names)


def _mend_text(node: dict[str, Any]) -> None:
    if node.keys() & {"enum", "const"}:
        return
    if form := FORMS.get(node.get("format", "")):
        node.setdefault("maxLength", form.longest)
        if form.kind is not UUID:
            node.setdefault("example", form.example)
    elif "format" not in node:
        node.setdefault("pattern", NO_NUL)


def _mend_whole(node: dict[str, Any]) -> None:
    if node.keys().isdisjoint({"enum", "const", "minimum", "exclusiveMinimum"}):
        node["minimum"] = -WHOLE
    if node.keys().isdisjoint({"enum", "const", "maximum", "exclusiveMaximum"}):
        node["maximum"] = WHOLE


def _named(reference: str, names: dict[str, str]) -> str:
    name = reference.removeprefix(_SCHEMAS)
    return _SCHEMAS + names[name] if name in names else reference
