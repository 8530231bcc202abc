"""Whether an offer can be had with the visit: every no has its reason, in one order."""

from dataclasses import replace

import pytest

from app.catalog.rules import OnSite
from app.visits.rules.installing import NOT_NOW, Hands, NotNow, ToInstall, install_now

MESH = ToInstall(OnSite.SELL, "fttr", 45, "router", needs_port=False)
READY = Hands(frozenset({"fttr"}), 60, frozenset({"router"}))


@pytest.mark.parametrize(
    ("wanted", "hands", "port_free", "why"),
    [
        ({}, {}, True, None),
        ({}, {"free_minutes": 45}, True, None),
        ({}, {"free_minutes": 44}, True, NotNow.NO_TIME_LEFT),
        ({}, {"skills": frozenset()}, True, NotNow.SKILL_MISSING),
        ({"skill": None}, {"skills": frozenset()}, True, None),
        ({}, {"in_van": frozenset()}, True, NotNow.NOT_IN_THE_VAN),
        ({"terminal": None}, {"in_van": frozenset()}, True, None),
        ({}, {}, False, None),
        ({"needs_port": True}, {}, False, NotNow.NO_FREE_PORT),
        ({"needs_port": True}, {}, None, None),
        ({"on_site": OnSite.LEAD_ONLY}, {}, True, NotNow.NOT_SOLD_HERE),
        ({"minutes": None}, {"free_minutes": 0, "skills": frozenset()}, True, None),
    ],
)
def test_what_can_be_installed_now(wanted, hands, port_free, why):
    found = install_now(replace(MESH, **wanted), replace(READY, **hands), port_free=port_free)
    assert (found.why_not, found.possible) == (why, why is None)
    assert found.needed is (replace(MESH, **wanted).minutes is not None)
    assert set(NOT_NOW) == set(NotNow)
