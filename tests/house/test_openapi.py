"""The API's description is enough to generate clients from, in languages with closed types."""

import re
from collections import Counter
from enum import Enum
from typing import Any

import pytest
from pydantic import BaseModel

from app.core.openapi import names_of
from tests.house.served import described

SCHEMAS = "#/components/schemas/"
# RFC 6749 and TM Forum tell servers to ignore what they do not know; what else a phone's database
# keeps in a row, and whatever tables it has, is left aside, too.
OPEN = {"TokenForm", "RecommendationIn", "PartyIn", "ActionIn", "ChangesIn"}
# A table in which nothing has changed is left out of what a phone pulls.
LEFT_OUT = {"PhoneChangesOut"}


# Words that more than one room had for something of its own before anybody generated a client.
IN_SEVERAL_ROOMS = """
AnswerIn Cause ChangeKind ChangeOut ChangePage ConfirmIn ConsentIn CountOut CountsOut
DoNotDisturbOut EventOut Exclusion FeatureOut FigureOut FindingOut GateOut GiveIn Handling
HandoverOut HistoryOut Kind LifecycleOut LimitsOut LineOut MarkOut Measure MoveOut OutageOut
Part PlaceOut PreviewOut ProgressOut PushIn RateOut ReasonOut RecommendationOut RequestState
RetireIn RouteOut SaidOut ShiftOut StepOut TermOut TerminalOut TotalsOut UndoIn UnplacedOut
Verdict WarningOut WhyNotOut Why WordsIn WordsOut
"""


@pytest.fixture(scope="module")
def document():
    return described()


def operations(document):
    return [
        (f"{method} {path}", operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def below(node: Any, place: str = "", examples: tuple[str, ...] = ("example", "examples")):
    """Every object within a node with its place, but for what is shown as an example."""
    if isinstance(node, dict):
        yield place, node
        for name, value in node.items():
            if name not in examples or "properties" in place.rsplit("/", 1)[-1]:
                yield from below(value, f"{place}/{name}", examples)
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from below(value, f"{place}/{number}", examples)


def sent(document):
    """The schemas of what is sent to us, by name."""
    return schemas(document, [one.get("requestBody", {}) for _, one in operations(document)])


def told(document):
    """The schemas of what is answered, by name."""
    answers = [one["responses"] for _, one in operations(document)]
    return schemas(document, [{k: v for k, v in one.items() if k < "3"} for one in answers])


def schemas(document, nodes):
    return {
        name: document["components"]["schemas"][name] for name in behind(document, nodes, set())
    }


def parameters(document):
    return [
        one | {"at": where}
        for where, op in operations(document)
        for one in op.get("parameters", [])
    ]


def behind(document, node, seen):
    """Every schema that a node refers to, by name."""
    for _, each in below(node):
        name = str(each.get("$ref", "")).removeprefix(SCHEMAS)
        if name in document["components"]["schemas"] and name not in seen:
            seen.add(name)
            behind(document, document["components"]["schemas"][name], seen)
    return seen


def test_every_operation_has_an_id_of_its_own_a_tag_and_a_description(document):
    found = operations(document)
    assert len(found) > 300
    assert max(Counter(one["operationId"] for _, one in found).values()) == 1
    for where, operation in found:
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", operation["operationId"]), where
        assert len(operation["tags"]) == 1, f"{where}: a client has one class for it"
        assert operation["description"], where


def test_schemas_have_names_that_a_person_would_have_given(document):
    names = list(document["components"]["schemas"])
    assert [name for name in names if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", name)] == []
    assert len({name.lower() for name in names}) == len(names), "a file each, on any disk"
    for place, node in below(document):
        if str(node.get("$ref", "")).startswith(SCHEMAS):
            assert node["$ref"].removeprefix(SCHEMAS) in names, place


def test_a_class_that_two_rooms_have_is_called_by_its_room():
    here, there = "app__sales__schemas__consent__ConfirmIn", "app__outages__schemas__ConfirmIn"
    twice = ["app__visits__schemas__a_b__X", "app__visits__schemas__c__X", "app__tmf__schemas__X"]
    again = {"Why-Input": {"enum": ["a"]}, "app__planning__rules__Why": {"enum": ["a"]}}
    named = names_of({here: {}, there: {}, **{one: {"x": 1} for one in twice}, **again})
    assert list(named.values())[:2] == ["SalesConfirmIn", "OutagesConfirmIn"]
    assert [named[one] for one in twice] == ["VisitsABX", "VisitsCX", "TmfX"]
    assert named["Why-Input"] == named["app__planning__rules__Why"] == "PlanningWhy"


def kinds_of(kind):
    """Name the classes that a description may show, in all rooms."""
    for each in kind.__subclasses__():
        yield each.__name__.removeprefix("_")
        yield from kinds_of(each)


def test_no_new_class_takes_the_name_of_another_rooms(document):
    own = {*kinds_of(BaseModel), *kinds_of(Enum)}
    told_by_room = set(document["components"]["schemas"]) - own - {"Problem"}
    again = {name for name in told_by_room if not name.endswith(tuple(IN_SEVERAL_ROOMS.split()))}
    assert again == set(), (
        "Two rooms have a class of one name, so clients know both by their rooms' names, and the "
        "first one has just been renamed in all of them: give the new class a name of its own."
    )


def test_every_number_says_how_wide_it_is_and_every_integer_how_large(document):
    widths = {"integer": {"int32", "int64"}, "number": {"double"}}
    for place, node in below(document):
        if isinstance(node.get("type"), str) and node["type"] in widths:
            assert node.get("format") in widths[node["type"]], place
            if node["type"] == "integer" and "const" not in node and "enum" not in node:
                assert {"minimum", "exclusiveMinimum"} & node.keys(), place
                assert {"maximum", "exclusiveMaximum"} & node.keys(), place


def test_what_may_be_one_of_several_is_told_apart_by_a_field_and_has_a_name(document):
    for place, node in below(document):
        if "oneOf" in node:
            assert {"discriminator", "title"} <= node.keys(), place
            assert node["title"] not in document["components"]["schemas"], place
        if "anyOf" in node:
            assert len([one for one in node["anyOf"] if one.get("type") != "null"]) == 1, place


def test_objects_with_fields_are_schemas_of_their_own(document):
    for place, node in below(document):
        if isinstance(node.get("properties"), dict) and node.get("type") == "object":
            assert re.fullmatch("/components/schemas/[^/]+", place), place


def test_bytes_are_told_from_text_and_an_answer_without_a_body_has_none(document):
    for where, operation in operations(document):
        bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
        for kind, content in (
            (k, c) for body in bodies for k, c in body.get("content", {}).items()
        ):
            assert content["schema"], f"{where}: {kind}"
            if not re.search(r"json|event-stream|urlencoded", kind):
                assert content["schema"].get("format") == "binary", f"{where}: {kind}"


def test_a_refusal_is_a_problem_everywhere(document):
    problem = {"application/problem+json": {"schema": {"$ref": f"{SCHEMAS}Problem"}}}
    for answer in document["components"]["responses"].values():
        assert answer["content"] == problem
    for where, operation in operations(document):
        for status, answer in operation["responses"].items():
            if status >= "4":
                assert answer["$ref"].startswith("#/components/responses/"), f"{where}: {status}"


def test_every_text_has_a_greatest_length_and_a_form_and_every_list_an_end(document):
    for place, node in below(document):
        if node.get("type") == "string":
            assert {"maxLength", "enum", "const"} & node.keys(), place
            assert {"format", "pattern", "enum", "const"} & node.keys(), place
        if node.get("type") == "array":
            assert "maxItems" in node, place


def test_headers_are_written_as_in_standards_and_nothing_in_an_address_is_null(document):
    for one in parameters(document):
        if one.get("in") == "header":
            assert re.fullmatch(r"[A-Z][A-Za-z]*(-[A-Z][A-Za-z]*)*", one["name"]), one["at"]
        assert "anyOf" not in one.get("schema", {}), f"{one['at']}: {one['name']}"


def test_whatever_else_is_refused_has_the_same_shape(document):
    for where, operation in operations(document):
        assert operation["responses"]["default"]["$ref"].endswith("/Problemdefault"), where
        assert operation["security"], where


def test_what_we_do_not_know_is_refused_except_where_it_is_said(document):
    taken = sent(document).items()
    objects = {name: one for name, one in taken if "properties" in one and name not in OPEN}
    assert len(objects) > 100
    for name, schema in objects.items():
        assert schema.get("additionalProperties") is False, name


def test_answers_promise_every_field(document):
    for name, schema in told(document).items():
        if "properties" in schema and name not in LEFT_OUT:
            assert set(schema["properties"]) == set(schema["required"]), name
