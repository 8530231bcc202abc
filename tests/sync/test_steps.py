"""What can be done offline: every step of a technician, but for those that say why not."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from app.auth.rules import SCOPES, Role
from app.core.errors import Forbidden, Invalid, NotFound
from app.core.http import served
from app.core.settings import Settings
from app.main import create_app
from app.sync.rules import (
    EPOCHS,
    ONLINE,
    STEPS,
    ActionVerdict,
    Cursor,
    Judgement,
    UnknownAction,
    cursor_of,
    judged,
    verdict_on,
)
from app.sync.rules.tables import KIND_OF, TABLE_OF, TABLES
from app.sync.schemas import PhoneChangesOut
from app.sync.service.doorways import _dependency, _hints
from app.sync.service.reading import day_of
from app.visits.rules import VisitEnded

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


def admitted(route):
    """The roles that a doorway admits, or None for one that asks nobody who they are."""
    waiting = [route.endpoint]
    while waiting:
        for hint in _hints(waiting.pop()).values():
            if (dependency := _dependency(hint)) is None:
                continue
            kept = dict(
                zip(
                    getattr(getattr(dependency, "__code__", None), "co_freevars", ()),
                    (cell.cell_contents for cell in getattr(dependency, "__closure__", None) or ()),
                    strict=False,
                )
            )
            if "admitted" in kept:
                return kept["admitted"]
            waiting.append(dependency)
    return None


def test_every_step_of_a_technician_can_be_taken_offline_or_says_why_not():
    writes = {
        route.operation_id
        for route in served(create_app(Settings()).router.routes)
        if (route.methods or set()) & {"POST", "PUT", "PATCH", "DELETE"}
        and route.include_in_schema
        and Role.TECHNICIAN in (admitted(route) or ())
    }
    assert len(writes) > 30
    assert writes - STEPS.keys() - ONLINE.keys() == set(), "one line in app/sync/rules/steps.py"
    assert (STEPS.keys() | ONLINE.keys()) - writes == set()
    assert STEPS.keys() & ONLINE.keys() == set()
    assert SCOPES[Role.TECHNICIAN]


def test_a_cursor_is_a_number_that_every_language_keeps():
    for cursor in (Cursor(0, 0), Cursor(1, 42), Cursor(EPOCHS - 1, 2**38 - 1)):
        assert cursor_of(cursor.number) == cursor
        assert cursor.number < 2**53


@pytest.mark.parametrize(
    "problem, verdict",
    [
        (NotFound(), ActionVerdict.CONFLICT),
        (VisitEnded(ended_at=AT, outcome="completed"), ActionVerdict.CONFLICT),
        (Invalid(errors=[]), ActionVerdict.REFUSED),
        (Forbidden(needs="x"), ActionVerdict.REFUSED),
        (UnknownAction(type="x"), ActionVerdict.REFUSED),
    ],
)
def test_verdicts(problem, verdict):
    assert verdict_on(problem) is verdict


@pytest.mark.parametrize(
    "moved, judgement",
    [(1, Judgement.BEFORE), (0, Judgement.BEFORE), (-1, Judgement.AFTER), (None, Judgement.AFTER)],
)
def test_what_a_late_completion_is_worth(moved, judgement):
    moved_at = None if moved is None else AT + timedelta(hours=moved)
    assert judged(AT, moved_at) is judgement


def test_each_table_has_a_kind_and_a_shape():
    assert set(TABLE_OF.values()) == set(TABLES) == set(PhoneChangesOut.model_fields)
    assert set(KIND_OF) <= set(TABLES)
    assert day_of(UUID("00000000-0000-0000-0000-000020260302")).isoformat() == "2026-03-02"
