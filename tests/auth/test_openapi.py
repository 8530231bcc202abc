"""What is said of these doorways is enough to generate a client from."""

import pytest
from fastapi.routing import APIRoute

from app.auth.routes import router
from app.core.settings import Settings
from app.main import create_app


@pytest.fixture(scope="module")
def document():
    return create_app(Settings()).openapi()


def operations(document):
    for path in sorted({route.path for route in router.routes if isinstance(route, APIRoute)}):
        for operation in document["paths"][path].values():
            yield path, operation


def schemas_behind(document, node, seen):
    """Every schema that a node refers to, by name."""
    if isinstance(node, dict):
        name = str(node.get("$ref", "")).removeprefix("#/components/schemas/")
        if name in document["components"]["schemas"] and name not in seen:
            seen.add(name)
            schemas_behind(document, document["components"]["schemas"][name], seen)
        for value in node.values():
            schemas_behind(document, value, seen)
    elif isinstance(node, list):
        for value in node:
            schemas_behind(document, value, seen)
    return seen


def test_every_operation_has_an_id_of_its_own_a_tag_and_a_description(document):
    found = list(operations(document))
    assert len(found) >= 14
    ids = [operation["operationId"] for _, operation in found]
    assert len(set(ids)) == len(ids)
    for path, operation in found:
        assert operation["tags"], path
        assert operation["description"], path


def test_every_text_that_is_sent_to_us_has_a_greatest_length(document):
    for path, operation in operations(document):
        names = schemas_behind(document, operation.get("requestBody", {}), set())
        for name in names:
            for field, schema in (
                document["components"]["schemas"][name].get("properties", {}).items()
            ):
                for kind in [schema, *schema.get("anyOf", [])]:
                    bounded = {"maxLength", "format", "enum", "const"} & kind.keys()
                    assert kind.get("type") != "string" or bounded, f"{path}: {name}.{field}"
                    if kind.get("format") == "password":
                        assert "maxLength" in str(schema), f"{path}: {name}.{field}"
        for parameter in operation.get("parameters", []):
            for kind in [parameter["schema"], *parameter["schema"].get("anyOf", [])]:
                if kind.get("type") == "string":
                    bounded = {"maxLength", "format", "enum"} & kind.keys()
                    assert bounded, f"{path}: {parameter['name']}"


def test_what_we_do_not_know_is_refused_except_where_oauth_tells_to_ignore_it(document):
    for path, operation in operations(document):
        for name in schemas_behind(document, operation.get("requestBody", {}), set()):
            schema = document["components"]["schemas"][name]
            if schema.get("type") == "object" and name != "TokenForm":
                assert schema["additionalProperties"] is False, f"{path}: {name}"


def test_answers_promise_every_field(document):
    for path, operation in operations(document):
        good = {status: answer for status, answer in operation["responses"].items() if status < "3"}
        for name in schemas_behind(document, good, set()):
            schema = document["components"]["schemas"][name]
            if "properties" in schema:
                assert set(schema["properties"]) == set(schema["required"]), f"{path}: {name}"
