"""Fixtures of the auth room's tests."""

import pytest

from app.core import clock as clock_module
from app.core.clock import FixedClock


@pytest.fixture
def real_time(monkeypatch):
    """Real time, which tokens and locks go by, held still and moved by the test."""
    held = FixedClock(clock_module.wall())
    monkeypatch.setattr(clock_module, "wall", held.now)
    return held
