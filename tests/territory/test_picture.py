"""`yingwei grids growth` as an office runs it: pictures in its output."""

from datetime import date

import pytest

from app.grids.models import GridExpansion
from app.grids.rules import ExpansionFigure, GridStage
from tests.make.auth import make_org_unit
from tests.make.commands import told
from tests.make.grids import make_contract, make_grid, make_membership, make_neighbours
from tests.make.technicians import make_technician
from tests.make.territory import settle


@pytest.fixture
def yingwei(real_database):
    async def run(*options):
        url = real_database.engine.url.set(drivername="postgresql")
        environment = {
            "DATABASE_URL": url.render_as_string(hide_password=False),
            "COLUMNS": "140",
        }
        return await told("grids", "growth", *options, env=environment)

    return run


async def test_the_picture_of_a_branch(real_database, yingwei):
    async with real_database.begin() as tx:
        unit = await make_org_unit(tx, code="east", name_zh="东湖支局")
        grids = [await make_grid(tx, org_unit=unit, code=f"A{n}", name="碧波园") for n in range(3)]
        await make_neighbours(tx, (grids[0], grids[1]), (grids[1], grids[2]))
        await make_contract(tx, grids[0])
        await make_contract(tx, grids[2])
        await make_contract(tx, grids[1], GridStage.PILOT)
        await make_membership(tx, grids[0], await make_technician(tx, org_unit=unit))
        for grid, customers in zip(grids, (3, 2, 5), strict=True):
            await settle(tx, unit, grid, customers)
        await settle(tx, unit, None, 4, located=False)
        figure = ExpansionFigure.BLOCKS
        due_on = date(2026, 12, 31)
        tx.add(GridExpansion(org_unit_id=unit.id, figure=figure, due_on=due_on, target=1))
    done = await yingwei("--org-unit", "east", "--on", "2026-03-02")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert (
        "east 东湖支局 │ 3 │ ▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▒▒▒▒▒▒▒▒ │ ███████················· │ 3/10 30%" in said
    )
    assert "4 个地址待定位" in said
    assert "│ 1 │ ████████████████████████ │ 5 │ 1: A2 │" in said
    assert "│ A1 碧波园 │ pilot │ 1 + 2 │ 2 │ 3 网格 grids, 10 客户 customers │" in said
    assert "│ blocks │ 2026-12-31 │ 1 │ 2 │ ████████████············ │" in said
    unknown = await yingwei("--org-unit", "nowhere")
    assert (unknown.returncode, "not within your area" in unknown.stderr) == (1, True)
