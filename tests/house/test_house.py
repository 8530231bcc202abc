"""The house rules that no linter knows: each is one test, and its message gives the reason."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, datetime
from inspect import isfunction
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from fastapi.dependencies.models import Dependant
from pydantic import AfterValidator

from app.core.http import Input, served
from app.core.settings import Settings
from app.migrating import drift
from tests.conftest import assembled

APP = Path(__file__).resolve().parents[2] / "app"
ROOMS = sorted(path.name for path in APP.iterdir() if (path / "__init__.py").exists())


def sources(*, without: tuple[str, ...] = ()) -> Iterator[tuple[Path, ast.Module]]:
    """Every file of the package beside the rooms named, as a path from the root and a tree."""
    for path in sorted(APP.rglob("*.py")):
        place = path.relative_to(APP)
        if place.parts[0] not in without:
            yield place, ast.parse(path.read_bytes())


def imported(tree: ast.Module) -> Iterator[str]:
    """The dotted name of every module that a file may import, `from` imports in both readings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def test_there_is_something_to_check():
    assert len(list(sources())) > 50
    assert {"core", "auth", "workorders"} <= set(ROOMS)


def test_only_the_edge_commits():
    commits = [
        f"{place}:{node.lineno}"
        for place, tree in sources(without=("core",))
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "commit"
    ]
    assert not commits, (
        "core.db commits when the request or the job ends well, so that the change, its jobs and "
        f"its audit rows are there together or not at all: {commits}"
    )


def test_a_rooms_doorways_and_wire_shapes_are_its_own():
    private = ("routes", "schemas", "jobs")
    peeks = [
        f"{place}: {name}"
        for place, tree in sources()
        if place.parts[0] in ROOMS  # the roof mounts the routes
        for name in imported(tree)
        if name.startswith("app.")
        and len(parts := name.split(".")) == 3
        and parts[1] in ROOMS
        and parts[1] not in (place.parts[0], "core")
        and parts[2] in private
    ]
    assert not peeks, (
        "A room's wire shapes change with its clients; other rooms use its queries, rules and "
        f"service: {peeks}"
    )


def test_what_is_dated_elsewhere_has_a_bound():
    def unbound(kind: Any) -> bool:
        """Whether a type holds a day or a moment of any year."""
        if kind in (date, datetime):
            return True
        if get_origin(kind) is Annotated:
            held, *more = get_args(kind)
            kept = any(isinstance(one, AfterValidator) for one in more)
            return not kept and unbound(held)
        return any(unbound(one) for one in get_args(kind))

    def sent(base: type[Input]) -> Iterator[type[Input]]:
        for model in base.__subclasses__():
            yield from sent(model)
            if ".schemas" in model.__module__:
                yield model

    def asked(dependant: Dependant) -> Iterator[tuple[str, Any]]:
        known = {one.name for one in (*dependant.query_params, *dependant.path_params)}
        # What is called may be an object that keeps what it goes by.
        called = dependant.call if isfunction(dependant.call) else type(dependant.call).__call__
        hints = get_type_hints(called, include_extras=True) if known else {}
        yield from ((name, hints[name]) for name in known & hints.keys())
        for each in dependant.dependencies:
            yield from asked(each)

    routes = list(served(assembled(Settings()).routes))
    assert len(routes) > 100
    found = {
        f"{model.__module__}.{model.__name__}.{name}"
        for model in sent(Input)
        for name, kind in get_type_hints(model, include_extras=True).items()
        if name in model.model_fields and unbound(kind)
    } | {
        f"{route.operation_id}: {name}"
        for route in routes
        for name, kind in asked(route.dependant)
        if unbound(kind)
    }
    assert not found, (
        "At the ends of the calendar the day before, or the same moment in another zone, cannot be"
        f" held or read: take Day, Moment or DeviceTime of core.http: {sorted(found)}"
    )


def test_files_are_named_for_what_they_hold():
    vague = {"utils.py", "helpers.py", "crud.py", "common.py", "misc.py"}
    named = [str(place) for place, _ in sources() if place.name in vague]
    assert not named, f"Such a file collects what found no place of its own: {named}"


def test_models_equal_migrations(databases):
    with databases.clone() as url:
        differences = drift(url)
    assert not differences, (
        "Write a migration (alembic revision --autogenerate): the models say otherwise than the "
        f"migrations made: {differences}"
    )


def test_serving_loads_no_compiler():
    """Only who searches for plans needs numba; each serving process would hold 60 MB for it."""
    code = "import sys, app.main; print('numba' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=APP.parent, capture_output=True, text=True
    )
    assert (done.stdout.strip(), done.returncode) == ("False", 0), done.stderr
