"""What is served: the API by its own description, and the simulators by their routes."""

import functools
import re
from typing import Any

from jsonschema import Draft202012Validator

from app.activation import simulator as activation
from app.core.settings import Settings
from app.messaging import simulator as messaging
from app.ordering import simulator as ordering
from app.real_name import simulator as real_name
from app.serviceability import simulator as serviceability
from tests.conftest import assembled
from tests.house.pages import ROOT


@functools.cache
def described() -> dict[str, Any]:
    """The API's description."""
    return assembled(Settings()).openapi()


# The other sides, each with its doors and dials.
SIMULATORS = (ordering, activation, messaging, real_name, serviceability)
BASES = (*(each.BASE_PATH for each in SIMULATORS), serviceability.OFFERING_BASE_PATH)


@functools.cache
def simulated() -> frozenset[tuple[str, str]]:
    """The doors of the simulators, as (method, path)."""
    doors = set()
    for simulator in SIMULATORS:
        made = simulator.create_simulator(ROOT / "unused.db", simulator.Dials())
        for route in made.routes:
            inner = getattr(route, "routes", None) or [route]
            for one in inner:
                path = (route.path if one is not route else "") + one.path
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
    """Tell whether a path is served, by the API or by one of the other sides."""
    path = target.partition("?")[0]
    if operation_of(method, path) or path in ("/metrics", "/docs", "/console/sync-errors"):
        return True
    asked = {path, *(base + path for base in BASES)}
    return any(
        method == known and pattern_of(each).fullmatch(full)
        for known, each in simulated()
        for full in asked
    )


def misfits(schema: dict[str, Any], value: Any) -> list[str]:
    whole = {**schema, "components": described()["components"]}
    return [f"{e.json_path}: {e.message}" for e in Draft202012Validator(whole).iter_errors(value)]
