"""Terminals: in by CSV, each booked in one place; read by van, by serial number, page by page."""

import pytest
from sqlalchemy import select

from app.auth.rules import Role
from app.core.files import FileRefused
from app.terminals import queries
from app.terminals.loading import load_terminals
from app.terminals.models import Terminal
from app.terminals.rules import TerminalKind
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.customers import make_customer
from tests.make.technicians import make_technician
from tests.make.terminals import make_terminal

HEADINGS = "serial_number,org_unit,kind,model,pool,technician,customer\n"
VAN = "SN1,b01,ont_gateway,HG-8145,van,T1,\n"
HOME = "SN1,b01,ont_gateway,HG-8145,customer,,C1\n"


@pytest.fixture
async def branch(tx):
    return await make_org_unit(tx, code="b01")


@pytest.fixture
async def technician(tx, branch):
    return await make_technician(tx, org_unit=branch, code="T1")


@pytest.fixture
async def customer(tx, branch):
    return await make_customer(tx, org_unit=branch, code="C1")


@pytest.fixture
def supervisor(app, branch):
    return bearer(app, caller_for(Role.SUPERVISOR, branch))


async def held(tx):
    return await tx.scalar(select(Terminal).execution_options(populate_existing=True))


async def test_a_terminal_moves_out_of_the_van_into_a_home(tx, technician, customer):
    report = await load_terminals(tx, [HEADINGS, VAN])
    assert (report.inserted, report.updated, report.unchanged) == (1, 0, 0)
    report = await load_terminals(tx, [HEADINGS, VAN])
    assert (report.inserted, report.updated, report.unchanged) == (0, 0, 1)
    # Also by a file that leaves the column `technician` out.
    short = [line.replace(",technician,", ",").replace(",,C1", ",C1") for line in (HEADINGS, HOME)]
    report = await load_terminals(tx, short)
    assert (report.inserted, report.updated, report.unchanged) == (0, 1, 0)
    terminal = await held(tx)
    assert (terminal.technician_id, terminal.customer_id) == (None, customer.id)
    chain = [one.link for one in await queries.chain_of(tx, terminal.id)]
    assert [(one.number, one.handling) for one in chain] == [(1, "load"), (2, "load")]
    assert chain[1].before == chain[0].after
    assert (chain[1].before.technician_id, chain[1].after.customer_id) == (
        technician.id,
        customer.id,
    )
    assert terminal.last_move == 2
    assert [one.id for one in await queries.at_customer(tx, customer.id)] == [terminal.id]


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (VAN.replace("T1", ""), "technician"),
        (VAN.replace("T1", "T9"), "technician"),
        (HOME.replace("C1", "C9"), "customer"),
        (HOME.replace(",,C1", ",T1,C1"), "technician"),
        (VAN.replace("van", "warehouse"), "technician"),
        (VAN.replace("ont_gateway", "toaster"), "kind"),
        (VAN.replace("b01", "b09"), "org_unit"),
    ],
)
async def test_bad_lines_refuse_the_file(tx, technician, customer, line, field):
    with pytest.raises(FileRefused) as refused:
        await load_terminals(tx, [HEADINGS, line])
    (fault,) = refused.value.facts["lines"]
    assert (fault["line"], fault["field"]) == (2, field)
    assert await held(tx) is None


async def test_ones_own_van(app, http, tx, branch, technician):
    other = await make_technician(tx, org_unit=branch)
    await make_terminal(tx, branch, technician_id=technician.id, serial_number="A")
    await make_terminal(
        tx,
        branch,
        technician_id=technician.id,
        serial_number="B",
        kind=TerminalKind.SET_TOP_BOX,
    )
    await make_terminal(tx, branch, technician_id=other.id)
    caller = caller_for(Role.TECHNICIAN, branch, technician_id=technician.id)
    van = (await http.get("/v1/my/van", headers=bearer(app, caller))).json()
    assert [one["serial_number"] for one in van["terminals"]] == ["A", "B"]
    assert {one["kind"]: one["count"] for one in van["stock"]} == {
        "ont_gateway": 1,
        "set_top_box": 1,
        "wifi_repeater": 0,
        "camera": 0,
    }


async def test_a_supervisor_has_no_van(http, supervisor):
    assert (await http.get("/v1/my/van", headers=supervisor)).status_code == 403


async def test_the_list_is_of_ones_own_part_filtered_and_paged(
    http, tx, branch, technician, customer, supervisor
):
    await make_terminal(tx, branch, serial_number="A", technician_id=technician.id)
    await make_terminal(tx, branch, serial_number="B", customer_id=customer.id)
    await make_terminal(tx, branch, serial_number="C", kind=TerminalKind.CAMERA)
    await make_terminal(tx, await make_org_unit(tx), serial_number="AA")

    async def serials(**wanted):
        found = (await http.get("/v1/terminals", params=wanted, headers=supervisor)).json()
        return [one["serial_number"] for one in found["terminals"]], found["next_page_token"]

    assert await serials() == (["A", "B", "C"], None)
    assert await serials(technician_id=str(technician.id)) == (["A"], None)
    assert await serials(customer_id=str(customer.id)) == (["B"], None)
    assert await serials(kind="camera") == (["C"], None)
    assert await serials(pool="van") == (["A"], None)
    assert await serials(serial_number="B") == (["B"], None)
    assert await serials(serial_number="AA") == ([], None)
    page, token = await serials(size=2)
    assert page == ["A", "B"]
    assert await serials(size=2, page_token=token) == (["C"], None)
