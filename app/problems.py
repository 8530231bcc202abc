"""The catalogue of refusals as a page for client developers, written from the classes."""

import importlib
import pkgutil
from collections.abc import Sequence

import app
from app.core.errors import Problem

HEAD = """\
# Refusals

<!-- Written from the code by `yingwei problems`: change the classes, then write it anew. -->

A refusal is answered as `application/problem+json` (RFC 9457). Match on `type`, which is
`urn:yingwei:problem:` and one of the slugs below and never changes; show `title` and `detail`,
which come in Chinese or, with `Accept-Language: en`, in English; and take numbers, states and
ids from `facts`, whose names stand below in braces. How to deal with them is told in the
[guide for phone apps](phone-apps.md#refusals).
"""

# Not of the product: what plays the demo is a client of it.
_ELSEWHERE = "app.demo."


def page() -> str:
    """Write every refusal of the product, room by room, as Markdown."""
    rooms: dict[str, list[type[Problem]]] = {}
    for problem in _all():
        rooms.setdefault(problem.__module__.split(".")[1], []).append(problem)
    # What any request may meet comes first.
    names = sorted(rooms, key=lambda name: (name != "core", name))
    return "\n".join([HEAD, *(_section(name, rooms[name]) for name in names)])


def _all() -> list[type[Problem]]:
    # A class is known once its module is imported, whichever doorway uses it.
    for module in pkgutil.walk_packages(app.__path__, "app."):
        importlib.import_module(module.name)
    return [
        problem
        for problem in Problem.catalogue()
        if problem.__module__.startswith("app.") and not problem.__module__.startswith(_ELSEWHERE)
    ]


def _section(name: str, problems: Sequence[type[Problem]]) -> str:
    what = (importlib.import_module(f"app.{name}").__doc__ or "").strip().replace("\n", " ")
    entries = "\n".join(_entry(problem) for problem in problems)
    return f"## {name}\n\n{what}\n\n{entries}"


def _entry(problem: type[Problem]) -> str:
    title, advice = problem.title, problem.advice
    return (
        f"### {problem.slug}\n\n"
        f"{problem.status} · **{title.en}** · **{title.zh}**\n\n"
        f"> {advice.en}\n>\n> {advice.zh}\n"
    )
