"""How long a text of a known form and how large a number can be: said to clients, and kept.

A bound that stands in the description is kept by `core.http.Input` for bodies and by
`core.doorways` for what stands in an address, since pydantic itself takes moments with any number
of digits behind the second, and ids in braces.
"""

import types
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from functools import cache
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin
from uuid import UUID

# Every integer that we answer is read exactly by languages whose only number has 53 bits.
WHOLE = 2**53 - 1

# Text in PostgreSQL holds any character but this one, and so does every text here.
NO_NUL = "^[^\\u0000]*$"


class Form(NamedTuple):
    """A form of text: the type that reads it, how long it can be, and one that it fits."""

    kind: type
    longest: int
    example: str


FORMS = {
    "uuid": Form(UUID, 36, "019cac1b-0a00-7f7a-8c11-6d2c0d1f5b10"),
    "date": Form(date, 10, "2026-03-02"),
    # With nanoseconds and an offset, as some phones write it.
    "date-time": Form(datetime, 35, "2026-03-02T00:30:00Z"),
    "time": Form(time, 21, "08:30:00"),
}
_LONGEST = {form.kind: form.longest for form in FORMS.values()}


def longest_of(annotation: Any) -> int | None:
    """Give how long a text may be that is read as such a type, where its form says so."""
    kinds = set(_kinds(annotation)) - {type(None)}
    if kinds and kinds <= _LONGEST.keys():
        return max(_LONGEST[kind] for kind in kinds)
    return None


def _kinds(annotation: Any) -> Iterator[Any]:
    """Name the types that a value, or an element of a list of them, can have."""
    origin = get_origin(annotation)
    if origin is Annotated or origin in (list, set, tuple):
        yield from _kinds(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for each in get_args(annotation):
            yield from _kinds(each)
    else:
        yield annotation


@cache
def longest_fields(model: Any) -> Mapping[str, int]:
    """Give how long the texts of a model's fields may be, by the names that are sent."""
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    found = {name: longest_of(field.annotation) for name, field in fields.items()}
    return {name: longest for name, longest in found.items() if longest is not None}


def unfit(value: Any, longest: int | None) -> str | None:
    """Say what is wrong with a value that may be a text or several: NUL in it, or its length."""
    if isinstance(value, str):
        if "\x00" in value:
            return "the character NUL is not text"
        if longest is not None and len(value) > longest:
            return f"this form has at most {longest} characters"
    elif isinstance(value, list):
        return next((wrong for one in value if (wrong := unfit(one, longest))), None)
    return None


def check_fit(model: Any, told: Mapping[str, Any]) -> None:
    """Check what was sent for a model by its fields' names. Raises ValueError."""
    longest = longest_fields(model)
    for name, value in told.items():
        if (wrong := unfit(value, longest.get(name))) is not None:
            raise ValueError(f"{name}: {wrong}")
