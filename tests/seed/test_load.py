"""The demo city in a database: whole, ready to be worked in, the same after a second load."""

import pytest
import pytest_asyncio
import yaml
from sqlalchemy import select, text

from app.auth import passwords
from app.auth.models import Account
from app.auth.rules import Role
from app.catalog import queries as catalogue
from app.catalog.rules import BusinessType
from app.core.clock import SystemClock
from app.core.db import open_database
from app.core.parameter_values import parameters_in_force
from app.core.settings import Settings
from app.terminals.models import Terminal
from app.terminals.rules import Pool, TerminalKind
from app.territory.queries import growth
from app.territory.rules.blocks import RankBy
from app.territory.rules.growth import CoveredBy, grow
from app.territory.service.relocation import Relocation
from app.visits.rules import FAR_METRES
from seed.city import DEMO_PASSWORD, HERE, build
from seed.leavers import LEAVERS
from seed.load import load_city
from seed.people import SKILLS


@pytest.fixture(scope="module")
def city():
    return build()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def loaded(databases, city):
    """A database with the city in it, and what loading it told."""
    with databases.clone() as url:
        database = open_database(Settings(database_url=url))
        told = []
        reports = await load_city(database, city, progress=lambda *step: told.append(step))
        yield database, reports, told
        await database.close()


FINGERPRINT = """
    SELECT relname, (xpath('/row/h/text()', query_to_xml(format(
        'SELECT md5(coalesce(string_agg(md5(r::text), '''' ORDER BY md5(r::text)), '''')) AS h'
        ' FROM %I AS r', relname), false, true, '')))[1]::text AS content
    FROM pg_stat_user_tables
    WHERE schemaname = 'public' AND relname NOT LIKE 'procrastinate%'
    ORDER BY relname
"""


async def fingerprint(database):
    """What every table holds, to the last column."""
    async with database.read() as read:
        return {row.relname: row.content for row in await read.execute(text(FINGERPRINT))}


async def counted(database, query):
    async with database.read() as read:
        return await read.scalar(text(query))


async def test_everything_is_there(loaded, city):
    database, reports, told = loaded
    inserted = {report.what: report.inserted for report in reports}
    assert inserted["grids"] == 60
    assert inserted["technicians"] == 80
    assert inserted["customers"] == inserted["addresses"] == 5000
    assert inserted["leavers"] == LEAVERS
    assert all(report.inserted and not report.refused for report in reports)
    assert [step for _, step, _ in told] == list(range(1, len(reports) + 1))
    assert await counted(database, "SELECT count(*) FROM account") == len(city.accounts)


async def test_the_city_has_grown_and_knows_where_to_go(loaded, city):
    """Four islands, one in each branch; a few pilots between them would join two."""
    database, _, _ = loaded
    async with database.read() as read:
        day = await growth.ground(read, "yj.ch.np.", city.today, shared_border_m=30)
        targets = await read.scalar(text("SELECT count(*) FROM grid_expansion"))
    grown = grow(day, ["yj.ch.np."], by=CoveredBy.STAGE, rank_by=RankBy.JOINS, top=60)
    (whole,) = grown.parts
    assert {stage.value: number for stage, number in whole.stages.items()} == {
        "none": 17,
        "pilot": 9,
        "covered": 23,
        "contracted": 11,
    }
    assert whole.blocks == 4
    assert len(grown.candidates[0].joins) == 2
    assert targets == 12


async def test_a_second_load_changes_nothing(loaded, city):
    database, first, _ = loaded
    before = await fingerprint(database)
    again = await load_city(database, city)
    assert not any(report.changed for report in again)
    assert [report.unchanged for report in again] == [report.read for report in first]
    assert await fingerprint(database) == before


async def test_what_happened_in_the_city_stays(loaded, city):
    database, _, _ = loaded
    async with database.begin() as tx:
        terminal = await tx.scalar(select(Terminal).where(Terminal.pool == Pool.VAN).limit(1))
        customer_id = await tx.scalar(text("SELECT id FROM customer ORDER BY code LIMIT 1"))
        terminal.pool, terminal.technician_id, terminal.customer_id = (
            Pool.CUSTOMER,
            None,
            customer_id,
        )
    before = await fingerprint(database)
    await load_city(database, city)
    assert await fingerprint(database) == before


async def test_each_customer_lies_in_exactly_one_grid_of_their_own_branch(loaded):
    assert (
        await counted(
            loaded[0],
            """
            SELECT count(*) FROM (
                SELECT c.id FROM customer c
                JOIN service_address a ON a.customer_id = c.id
                JOIN grid_boundary b ON ST_Covers(b.boundary, a.point) AND b.valid_to IS NULL
                JOIN grid g ON g.id = b.grid_id
                GROUP BY c.id HAVING count(*) = 1 AND bool_and(g.org_unit_id = c.org_unit_id)
            ) AS placed
            """,
        )
        == 5000 + LEAVERS
    )


async def test_each_grid_has_neighbours_and_a_primary(loaded):
    lonely = """
        SELECT count(*) FROM grid g WHERE
            (SELECT count(*) FROM grid_neighbour n WHERE n.grid_id = g.id) < 3
            OR (SELECT count(*) FROM grid_membership m
                WHERE m.grid_id = g.id AND m.kind = 'primary') <> 1
    """
    assert await counted(loaded[0], lonely) == 0


async def test_everybody_signs_in_with_the_demo_password(loaded):
    async with loaded[0].read() as read:
        accounts = (await read.scalars(select(Account))).all()
    hashes = {account.password_hash for account in accounts}
    # The administrator's own, and one for the others.
    assert len(hashes) == 2
    for each in hashes:
        assert await passwords.fits(DEMO_PASSWORD, each)
    people = [account for account in accounts if account.role is Role.TECHNICIAN]
    assert len(people) == len({account.technician_id for account in people} - {None}) == 80


async def test_the_catalogue_fits_the_city(loaded, city):
    async with loaded[0].read() as read:
        offered = await catalogue.in_force(read, city.today)
        numbers = await parameters_in_force(read)
    assert 14 <= len(offered) <= 24
    assert {offering.business_type for offering in offered.values()} == set(BusinessType)
    kinds = {offering.terminal_kind for offering in offered.values()} - {None}
    assert kinds <= {kind.value for kind in TerminalKind}
    skills = {offering.skill for offering in offered.values()} - {None}
    assert skills <= {"fibre", *SKILLS}
    # What an offering requires or excludes is a category or code that somebody holds or can buy, or
    # a kind of terminal.
    held = {one.category for home in city.households for one in home.services}
    known = held | {offering.category for offering in offered.values()} | set(offered)
    known |= {kind.value for kind in TerminalKind}
    for offering in offered.values():
        assert {*offering.requires, *offering.excludes} <= known
    assert offered["FTTR-2"].monthly_price_fen == 3900
    assert numbers.number(FAR_METRES, city.as_of, "yj.ch.np.b01.") == 200


def test_every_offering_says_something_in_both_languages():
    entries = yaml.safe_load((HERE / "catalog.yaml").read_text(encoding="utf-8"))["offerings"]
    for entry in entries:
        for words in (entry["name"], entry["talk_track"]):
            assert any("\u4e00" <= letter <= "\u9fff" for letter in words["zh"])
            assert words["en"].isascii()


async def test_the_worker_finds_the_grid_of_every_customer(loaded, city):
    database, _, _ = loaded
    told = "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'addresses.loaded'"
    assert await counted(database, told) == 2  # of customers, and of former ones
    await Relocation(database, SystemClock(), "test").run()
    found = "SELECT count(*) FROM address_grid WHERE grid_id IS NOT NULL"
    assert await counted(database, found) == len(city.households) + LEAVERS
    assert await counted(database, "SELECT count(*) FROM address_to_locate") == 0
