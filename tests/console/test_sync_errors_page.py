"""The page of sync errors: strict, whole in both languages, and asking only what the API offers."""

import json
import re
from pathlib import Path

import pytest

import app.console
from app.ordering.delivery import (
    ChangeKind,
    ChangeState,
    CloseReason,
    GiveUpReason,
    JudgedEnd,
    SyncState,
)
from app.ordering.rules import RemoteState
from app.reconciliation.rules import Explanation

STATIC = Path(app.console.__file__).parent / "static"
PAGES = ["sync-errors", "sync-errors.js", "sync-errors.css", "words.js"]


def text(name):
    return (STATIC / name).read_text("utf-8")


def words():
    rows = re.findall(r'^  ("[\w.]+"): (\[".*"\]),$', text("words.js"), re.MULTILINE)
    return {json.loads(key): json.loads(pair) for key, pair in rows}


@pytest.mark.parametrize("name", PAGES)
async def test_the_page_is_served_under_a_strict_policy(http, name):
    answer = await http.get(f"/console/{name}")
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.text == text("sync-errors.html" if name == "sync-errors" else name)


def test_nothing_comes_from_elsewhere_and_nothing_is_inline():
    page, script = text("sync-errors.html"), text("sync-errors.js")
    for name in ("sync-errors.html", "sync-errors.js", "sync-errors.css", "words.js"):
        assert "http://" not in text(name) and "https://" not in text(name)
    assert not re.search(r"\son\w+=|style=|<style|<script(?![^>]*src=)", page)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", script)
    # A stolen page must not find a token to steal.
    assert "localStorage" not in script and "sessionStorage" not in script
    assert 'name="viewport"' in page
    served = set(re.findall(r'(?:src|href)="/console/([\w.-]+)"', page))
    assert served | {"sync-errors", "words.js"} == set(PAGES)


def test_every_endpoint_that_is_asked_is_in_the_api(app):
    asked = re.findall(r'\["(GET|POST)", "(/[^"]+)"\]', text("sync-errors.js"))
    assert len(asked) > 10
    paths = app.openapi()["paths"]
    assert [(m, p) for m, p in asked if m.lower() not in paths.get(p, {})] == []
    # What is sent is what the API knows.
    schemas = app.openapi()["components"]["schemas"]
    corrected = set(re.findall(r'\["(\w+)", "(?:text|datetime-local)"', text("sync-errors.js")))
    known = {
        *schemas["CorrectionIn"]["properties"],
        *schemas["ResolveIn"]["properties"],
        *schemas["AlertNoteIn"]["properties"],
        *schemas["JudgeIn"]["properties"],
        *schemas["GiveUpIn"]["properties"],
    }
    assert corrected <= known


def test_every_word_of_the_page_is_there_in_both_languages():
    known = words()
    assert known and all(zh.strip() and en.strip() for zh, en in known.values())
    page, script = text("sync-errors.html"), text("sync-errors.js")
    used = set(re.findall(r'data-word="([\w.]+)"', page))
    used |= set(re.findall(r'say\("([\w.]+)"\)', script))
    used |= set(re.findall(r'\["(\w+)", (?:"text"|"datetime-local"|[A-Z_]+)', script))
    used |= {f"state.{each}" for each in SyncState} | {f"remote.{each}" for each in RemoteState}
    used |= {f"change.{each}" for each in _FOR_A_PERSON}
    used |= {f"change.{each}" for each in ChangeKind}
    used |= set(GiveUpReason) | set(Explanation) | set(CloseReason) | set(JudgedEnd)
    assert used - known.keys() == set()


# The changes that the page lists.
_FOR_A_PERSON = (ChangeState.SENT, ChangeState.REFUSED, ChangeState.GIVEN_UP)


@pytest.mark.parametrize(
    "name, codes",
    [
        ("GIVE_UP", GiveUpReason),
        ("EXPLANATIONS", Explanation),
        ("CLOSE", CloseReason),
        ("ENDS", JudgedEnd),
    ],
)
def test_the_codes_of_the_page_are_those_of_the_api(name, codes):
    (listed,) = re.findall(rf"^const {name} = (\[.*\]);$", text("sync-errors.js"), re.MULTILINE)
    assert json.loads(listed) == [code.value for code in codes]
