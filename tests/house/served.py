"""What is served: the API by its own description, and the ordering simulator by its routes."""

import functools
import re
from typing import Any

from jsonschema import Draft202012Validator

from app.core.settings import Settings
from app.main import create_app
from app.ordering.simulator import BASE_PATH, Dials, create_simulator
from tests.house.pages import ROOT


@functools.cache
def described() -> dict[str, Any]:
    """The API's description."""
    return create_app(Settings()).openapi()


@functools.cache
def simulated() -> frozenset[tuple[str, str]]:
    """The doors of the ordering simulator, as (method, path)."""
    doors = set()
    for route in create_simulator(ROOT / "unused.db", Dials()).routes:
        inner = getattr(route, "routes", None) or [route]
        for one in inner:
            path = (BASE_PATH if one is not route else "") + one.path
            doors |= {(method, path) for method in one.methods or ()}
    return frozenset(doors)


def pattern_of(path: str) -> re.Pattern[str]:
    return re.compile(
        "/".join("[^/]+" if "{" in part else re.escape(part) for part in path.split("/"))
    )


def operation_of(method: str, target: str) -> dict[str, Any] | None:
    path = target.partition("?")[0]
    # A path without a parameter is met before one with: /grids/import is no grid's id.
    known = sorted(described()["paths"], key=lambda each: each.count("{"))
    for each in known:
        if pattern_of(each).fullmatch(path) and method.lower() in described()["paths"][each]:
            found: dict[str, Any] = described()["paths"][each][method.lower()]
            return found
    return None


def is_door(method: str, target: str) -> bool:
    """Tell whether a path is served, by the API or, as TMF622 has it, by the other side."""
    path = target.partition("?")[0]
    if operation_of(method, path) or path in ("/metrics", "/docs"):
        return True
    full = path if path.startswith(("/tmf-api", "/_simulator")) else BASE_PATH + path
    return any(method == known and pattern_of(each).fullmatch(full) for known, each in simulated())


def misfits(schema: dict[str, Any], value: Any) -> list[str]:
    whole = {**schema, "components": described()["components"]}
    return [f"{e.json_path}: {e.message}" for e in Draft202012Validator(whole).iter_errors(value)]
