"""The stage of a grid is what its dated contracts say for the local day."""

from datetime import date, timedelta

import psycopg
import pytest
from alembic import command

from app.auth.rules import Role
from app.core.db import libpq_url, new_id
from app.grids.rules import GridStage
from app.migrating import config, upgrade
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.grids import make_contract, make_grid


@pytest.fixture
def shown(http, supervisor):
    """The stages of all grids by code, as lists show them, and as each shows its own."""

    async def read(headers=None):
        headers = headers or supervisor
        listed = (await http.get("/v1/grids", headers=headers)).json()["grids"]
        for one in listed:
            alone = await http.get(f"/v1/grids/{one['id']}", headers=headers)
            assert alone.json()["stage"] == one["stage"]
        return {one["code"]: one["stage"] for one in listed}

    return read


@pytest.mark.parametrize(
    "valid_from, valid_to, stage",
    [
        # The clock stands on 2 March 2026.
        ("2026-03-02", None, "covered"),
        ("2026-03-03", None, "none"),
        ("2026-01-01", "2026-03-03", "covered"),
        ("2026-01-01", "2026-03-02", "none"),
        ("2026-03-02", "2026-03-02", "none"),  # taken back
    ],
)
async def test_a_stage_counts_on_its_days(tx, branch, shown, valid_from, valid_to, stage):
    grid = await make_grid(tx, org_unit=branch, code="A1")
    await make_contract(
        tx,
        grid,
        valid_from=date.fromisoformat(valid_from),
        valid_to=valid_to and date.fromisoformat(valid_to),
    )
    assert await shown() == {"A1": stage}


async def test_of_several_the_one_in_force_is_shown(tx, branch, shown, clock):
    grid = await make_grid(tx, org_unit=branch, code="A1")
    await make_grid(tx, org_unit=branch, code="A2", lon=112.7)
    first, second = date(2026, 3, 1), date(2026, 3, 4)
    await make_contract(tx, grid, GridStage.PILOT, valid_from=first, valid_to=second)
    await make_contract(tx, grid, GridStage.CONTRACTED, valid_from=second)
    assert await shown() == {"A1": "pilot", "A2": "none"}
    clock.tick(timedelta(days=2))
    assert await shown() == {"A1": "contracted", "A2": "none"}


async def test_midnight_is_the_org_units_own(tx, app, shown):
    """At nine on Monday in Shanghai it is still Sunday evening in New York."""
    here = await make_org_unit(tx, code="here")
    there = await make_org_unit(tx, code="there", parent=here, time_zone="America/New_York")
    for code, unit in (("H", here), ("T", there)):
        grid = await make_grid(tx, org_unit=unit, code=code)
        await make_contract(tx, grid, valid_from=date(2026, 3, 2))
    headers = bearer(app, caller_for(Role.SUPERVISOR, here))
    assert await shown(headers) == {"H": "covered", "T": "none"}


def test_what_grids_said_before_stages_were_dated_is_kept(databases):
    """A database from before: its stages become contracts that begin on the day of the change."""
    with databases.clone() as url:
        command.downgrade(config(url), "0004")
        unit = new_id()
        with psycopg.connect(libpq_url(url)) as connection:
            connection.execute(
                "INSERT INTO org_unit (id, code, name_zh, name_en, level, path)"
                " VALUES (%s, 'gd', '广东', 'Guangdong', 'province', 'gd.')",
                [unit],
            )
            for stage in GridStage:
                connection.execute(
                    "INSERT INTO grid (id, org_unit_id, code, name, kind, stage)"
                    " VALUES (%s, %s, %s, %s, 'compound', %s)",
                    [new_id(), unit, stage.value, stage.value, stage.value],
                )
        upgrade(url)
        with psycopg.connect(libpq_url(url)) as connection:
            rows = connection.execute(
                "SELECT g.code, c.stage, c.valid_to,"
                " c.valid_from = (now() AT TIME ZONE 'Asia/Shanghai')::date"
                " FROM grid g JOIN grid_contract c ON c.grid_id = g.id ORDER BY g.code"
            ).fetchall()
        kept = ("contracted", "covered", "pilot")
        assert rows == [(stage, stage, None, True) for stage in kept]
        command.downgrade(config(url), "0004")
        with psycopg.connect(libpq_url(url)) as connection:
            back = connection.execute("SELECT code, stage FROM grid").fetchall()
        assert all(code == stage for code, stage in back)
