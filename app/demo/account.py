"""The account of the day, asked through the public API and the simulator: is everything there?"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from app.core.db import new_id
from app.demo.day import Tally
from app.demo.earnings import Earnings
from app.demo.handsets import Handsets
from app.demo.line import Line
from app.demo.network import Counts
from app.demo.proofs import AtDoors

# An order in one of these states at the end of a day is in the middle of something.
IN_THE_MIDDLE = ("received", "located", "en_route", "on_site", "suspended")
# Orders that the backend itself has made: terminals to fetch, and care after a low mark.
OWN = "yingwei"
# Sales in these states were agreed with a customer.
AGREED = ("confirmed", "sent", "acknowledged", "rejected", "completed")


@dataclass
class Account:
    """What was sent, what is known of it, and what does not add up."""

    states: Counter[str] = field(default_factory=Counter)
    unplaced: Counter[str] = field(default_factory=Counter)
    own: int = 0
    due: int = 0
    on_time: int = 0
    sales: Counter[str] = field(default_factory=Counter)
    syncs: Counter[str] = field(default_factory=Counter)
    monthly_fen: int = 0
    in_ordering: int = 0
    met: int = 0
    sold: int = 0
    installs: int = 0
    two_hours: dict[str, Any] = field(default_factory=dict)
    reconciled: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


# How long the comparison with the ordering system may take, in looks every half a second.
_LOOKS = 120


async def reconcile(admin: Line, day: date) -> dict[str, Any]:
    """Have a day compared with the ordering system as the night would, and return its sum."""
    run_id = str(new_id())
    await admin.post("/v1/reconciliations", {"id": run_id, "day": day.isoformat()})
    for _ in range(_LOOKS):
        run = (await admin.get(f"/v1/reconciliation-runs/{run_id}")).body
        if run["state"] in ("done", "failed"):
            break
        await asyncio.sleep(0.5)
    summed = (await admin.get(f"/v1/reconciliations/{day.isoformat()}")).body
    return {**summed, "state": run["state"], "last_error": run["last_error"]}


async def take(
    admin: Line, ordering: httpx.AsyncClient, sent: set[tuple[str, str]], day: date
) -> Account:
    """Take the account; `sent` are source and external id of every order that was sent."""
    account = Account()
    orders = await admin.pages("/v1/work-orders", "orders")
    sales = [s for s in await admin.pages("/v1/sales", "sales") if s["state"] in AGREED]
    syncs = await admin.pages("/v1/order-syncs", "order_syncs")
    there = (await ordering.get("/_simulator/orders")).json()["orders"]
    _orders(account, orders, sent)
    _sales(account, orders, sales)
    account.syncs = Counter(sync["state"] for sync in syncs)
    account.in_ordering = len(there)
    _compare(account, {sale["id"] for sale in sales}, _external_ids(there))
    installed = {sale["id"] for sale in sales if sale["install_order_id"] is not None}
    account.installs = len(installed)
    if installed != {order["externalId"] for order in there if order["installOrder"]}:
        account.faults.append("the ordering system was told otherwise what is installed here")
    days = {"first_day": day.isoformat(), "last_day": day.isoformat()}
    account.two_hours = (await admin.get("/v1/figures/two-hour-activation", params=days)).body
    account.reconciled = summed = await reconcile(admin, day)
    if summed["state"] != "done":
        account.faults.append(f"the day could not be compared: {summed['last_error']}")
    elif wrong := summed["open"] + summed["orders_open"] + summed["unaccounted"]:
        account.faults.append(f"{wrong} differences with the ordering system wait for a person")
    return account


def _external_ids(there: list[dict[str, Any]]) -> Counter[str]:
    return Counter(order["externalId"] for order in there)


def _orders(account: Account, orders: list[dict[str, Any]], sent: set[tuple[str, str]]) -> None:
    known = Counter((order["source"], order["external_id"]) for order in orders)
    if lost := sent - set(known):
        account.faults.append(f"{len(lost)} orders were sent and are not there")
    if doubled := [key for key, count in known.items() if count > 1]:
        account.faults.append(f"{len(doubled)} orders are there twice")
    for order in orders:
        account.states[order["state"]] += 1
        account.own += order["source"] == OWN
        if order["state"] == "unplaced":
            account.unplaced[order["unplaced_reason"]] += 1
        if order["state"] == "completed" and order["due_at"]:
            account.due += 1
            done = datetime.fromisoformat(order["completed_at"])
            account.on_time += done <= datetime.fromisoformat(order["due_at"])
    if stuck := sum(account.states[state] for state in IN_THE_MIDDLE):
        account.faults.append(f"{stuck} orders are in the middle of something")


def _sales(account: Account, orders: list[dict[str, Any]], sales: list[dict[str, Any]]) -> None:
    account.sales = Counter(sale["state"] for sale in sales)
    account.monthly_fen = sum(
        item["monthly_price_fen"] * item["quantity"] for sale in sales for item in sale["items"]
    )
    met = {o["id"] for o in orders if o["state"] == "completed" and o["customer_id"]}
    account.met = len(met)
    account.sold = len({sale["work_order_id"] for sale in sales} & met)


def _compare(account: Account, agreed: set[str], there: Counter[str]) -> None:
    if missing := agreed - set(there):
        account.faults.append(f"{len(missing)} sales are not in the ordering system")
    if strange := set(there) - agreed:
        account.faults.append(f"{len(strange)} orders in the ordering system are nobody's sale")
    if doubled := [key for key, count in there.items() if count > 1]:
        account.faults.append(f"{len(doubled)} sales are in the ordering system twice")
    if account.syncs["parked"]:
        account.faults.append(f"{account.syncs['parked']} deliveries wait for a person")


def show(
    console: Console,
    account: Account,
    at_doors: AtDoors,
    earned: Earnings,
    on_phones: Handsets,
    counts: Counts,
    tally: Tally,
) -> None:
    """Print the day as a table."""
    table = Table(title="The day 今日", show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")
    total = sum(account.states.values())
    table.add_row("Orders 工单", str(total - account.own), "")
    if account.own:
        table.add_row("  made here 本系统生成", str(account.own), "terminals to fetch, care")
    for state, count in account.states.most_common():
        why = _counted(account.unplaced) if state == "unplaced" else ""
        table.add_row(f"  {state}", str(count), why)
    late = f"completed by due_at / due; {at_doors.late} open ones are late"
    table.add_row("Promises kept 履约", _share(account.on_time, account.due), late)
    table.add_section()
    _show_doors(table, at_doors, tally)
    table.add_section()
    table.add_row("Sales 随销", str(sum(account.sales.values())), "agreed with the customer")
    for state, count in account.sales.most_common():
        table.add_row(f"  {state}", str(count), "")
    if tally.agreed:
        table.add_row("  agreed to 客户确认", str(tally.agreed.total()), _counted(tally.agreed))
    if tally.second_asked:
        table.add_row(
            "  a second time 二次确认",
            f"{tally.second_given}/{tally.second_asked}",
            "given by a relative / asked for; others refuse or are called back",
        )
    if tally.documents:
        shown = _counted(tally.documents)
        table.add_row("  documents checked 实名核验", str(tally.documents.total()), shown)
    if tally.cannot_sell:
        table.add_row(
            "  not feasible 不可办", str(tally.cannot_sell.total()), _counted(tally.cannot_sell)
        )
    _show_installs(table, account, tally)
    table.add_row(
        "Monthly income 月收入", f"{account.monthly_fen / 100:,.2f} yuan", "of what was sold"
    )
    table.add_row(
        "Conversion 转化", _share(account.sold, account.met), "visits with a sale / visits"
    )
    table.add_row(
        "Commission 酬金",
        f"{earned.listed_fen / 100:,.2f} yuan",
        f"{earned.entries} entries: {earned.entries_fen / 100:,.2f};"
        f" by the sales: {earned.sales_fen / 100:,.2f}",
    )
    if earned.flags:
        table.add_row("  to look at 待复核", str(earned.flags), "flagged for a person")
    table.add_section()
    table.add_row("In the ordering system 已同步", str(account.in_ordering), "each sale once")
    for state, count in account.syncs.most_common():
        table.add_row(f"  {state}", str(count), "")
    summed = account.reconciled
    bins = ("equal", "healed", "explained", "open")
    table.add_row(
        "  reconciled 对账",
        str(summed["sales"]),
        " + ".join(f"{summed[name]} {name}" for name in bins),
    )
    if on_phones.phones:
        table.add_section()
        _show_phones(table, on_phones, tally)
    if counts.requests:
        table.add_section()
        table.add_row("Requests by phones and systems", f"{counts.requests:,}", "")
        table.add_row("  sent again, nobody answered", f"{counts.sent_again:,}", "")
        table.add_row("  double taps", f"{counts.doubled:,}", "")
        table.add_row("  nothing new (304)", f"{counts.not_modified:,}", "")
        table.add_row("  streams listened to", f"{counts.streams:,}", "")
        if tally.shown:
            table.add_row("  offers shown", f"{tally.shown:,}", f"accepted {tally.accepted}")
    console.print(table)
    if account.faults:
        for fault in account.faults:
            console.print(f"[red]does not add up: {fault}[/red]")
    else:
        console.print(
            "[green]Every order and every sale is accounted for. 工单与随销全部对上。\n"
            "Every picture, terminal and line is there exactly once."
            " 凭证、终端、开通各一份，账实相符。[/green]"
        )


def _show_doors(table: Table, found: AtDoors, tally: Tally) -> None:
    """Add what was done at the doors."""
    table.add_row(
        "Photos and signatures 凭证",
        str(found.pictures["stored"]),
        f"of {found.orders_with_pictures} orders, all bytes there",
    )
    fitted, fetched = found.moves["fit"], found.moves["take"] + found.moves["take_in"]
    table.add_row("Terminals fitted 终端安装", str(fitted), "out of the technician's van")
    table.add_row("  taken away 回收", str(fetched), "swapped, or lent and given back")
    table.add_row("  in one place each 账实", f"{found.terminals:,}", "chain of moves = place")
    table.add_row(
        "Lines opened 开通",
        str(found.lines),
        f"once each; asked {found.asks} times, {found.without} went without",
    )
    table.add_row(
        "Messages 短信",
        str(found.messages),
        f"once each; sent {found.posts} times, {found.given_up} given up",
    )
    answered = len(found.marks)
    mark = f", {sum(found.marks) / answered:.1f} of 5" if answered else ""
    table.add_row("Follow-ups 回访", str(found.follow_ups.total()), f"{answered} answered{mark}")
    if done := tally.done:
        table.add_row(
            "  put right at the door 补齐",
            str(tally.unfinished.total()),
            f"missing on completing; {done['visits_suspend']} suspended,"
            f" {done['visits_hand_back']} handed back",
        )


def _show_phones(table: Table, found: Handsets, tally: Tally) -> None:
    """Add what was done on the phones, what became of it, and whether they know what is so."""
    table.add_row("Actions on phones 手机操作", f"{found.actions:,}", _counted(found.verdicts))
    table.add_row("  without a network 离线", f"{tally.offline:,}", "kept, and sent later")
    if found.noes:
        table.add_row("  said no to 未执行", str(found.noes.total()), _counted(found.noes))
    table.add_row(
        "  equal a fresh phone 一致",
        f"{found.equal}/{found.phones}",
        f"{found.rows:,} rows, {found.unsent} unsent",
    )


def _show_installs(table: Table, account: Account, tally: Tally) -> None:
    """Add what was installed in the visit in which it was sold, and how soon it was live."""
    late = f"; not now: {_counted(tally.not_now)}" if tally.not_now else ""
    table.add_row(
        "Installed in the visit 即办即装", str(account.installs), f"{tally.reserved} reserved{late}"
    )
    said = account.two_hours
    left_out = ", ".join(f"{name} {count}" for name, count in said["exclusions"].items() if count)
    table.add_row(
        "  live in two hours 两小时装通",
        _share(said["numerator"], said["denominator"]),
        f"left out: {left_out}" if left_out else "of those whose time is over or that are live",
    )


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())


def _share(part: int, whole: int) -> str:
    return f"{part}/{whole} ({part / whole:.0%})" if whole else "0/0"
