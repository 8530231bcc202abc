"""`yingwei phone`: a technician's phone in a terminal, to be talked with or to be scripted."""

import asyncio
import re
import shlex
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import httpx
import orjson
import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from app.phone import drawings, in_touch
from app.phone.in_touch import InTouch
from app.phone.line import Line, NoSignal, Refused, SignInNeeded
from app.phone.phone import Locked, NotHere, Order, Phone, SignedOut
from app.phone.rules import NO_TERMS, SHORT, Terms, agreed_text
from app.phone.screen import Screen
from app.phone.store import Store


class _InWords(TyperGroup):
    """Commands of which those that the phone cannot do end with words."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; it ends with exit code 1 where the phone cannot do it."""
        try:
            return super().invoke(ctx)
        except (Locked, NotHere) as error:
            _cannot(ctx.obj.screen, error)
            raise typer.Exit(1) from error


cli = typer.Typer(
    cls=_InWords,
    invoke_without_command=True,
    help="A technician's phone: works without a network, loses nothing, shows its queue.",
)

LEAVING = ("quit", "exit", "q")


class Language(StrEnum):
    """The language of the screen."""

    ZH = "zh"
    EN = "en"


@dataclass
class Hand:
    """A phone in somebody's hand: where it is kept, and whether it may use the network."""

    server: str
    technician: str
    store: Store
    screen: Screen
    offline: bool

    def phone(self, http: httpx.AsyncClient | None = None) -> Phone:
        """Give the phone; without a client it may do everything but speak with the server."""
        line = Line(http or httpx.AsyncClient(), self.store, lang=self.screen.lang)
        return Phone(self.store, line)

    @asynccontextmanager
    async def once_more(self) -> AsyncIterator[Phone]:
        """Take the same phone a second time, to stay in touch beside what is done with it."""
        store = Store(self.store.folder)
        try:
            async with httpx.AsyncClient(base_url=self.server) as http:
                yield Phone(store, Line(http, store, lang=self.screen.lang))
        finally:
            store.close()

    def online(self, called: Callable[[Phone], Coroutine[Any, Any, None]]) -> bool:
        """Speak with the server; False, with words, where it is not reached or says no."""

        async def speak() -> None:
            async with httpx.AsyncClient(base_url=self.server) as http:
                await called(self.phone(http))

        screen = self.screen
        if self.offline:
            screen.say("离线：操作已保存在本机。", "Offline: it is kept on this phone.", "yellow")
            return False
        try:
            asyncio.run(speak())
        except NoSignal as lost:
            screen.say(
                f"无法连接服务器（{lost}）：操作已保存，稍后自动发送。",
                f"The server was not reached ({lost}): it is kept, and goes with the next sync.",
                "yellow",
            )
            return False
        except SignInNeeded:
            screen.say("请先登录：sign-in", "Sign in first: sign-in", "yellow")
            return False
        except Refused as refused:
            screen.console.print(refused.words, style="red", highlight=False)
            return False
        return True

    def sync(self) -> bool:
        """Send and pull, and show what came of it."""

        sent = {one.id for one in self.store.done(waiting=True)}

        async def sync(phone: Phone) -> None:
            self.screen.synced(await phone.sync())
            await phone.take_ahead()
            self.screen.warned(phone)

        reached = self.online(sync)
        self.screen.said_no([one for one in self.store.done() if one.id in sent])
        return reached

    def open(self, which: str) -> None:
        """Show an order; with a network, what may be offered there is asked anew before.

        Raises Locked and NotHere.
        """
        order = self.chosen(which)
        if not self.offline and self.phone().suggestions(order):
            self.online(lambda phone: phone.ask_again(order))
        self.screen.order(self.phone().order(order.id), self.phone())

    def chosen(self, which: str) -> Order:
        """Find an order by its number in the list, its own number or its id. Raises NotHere."""
        orders = self.phone().orders()
        if which.isdecimal() and 0 < int(which) <= len(orders):
            return orders[int(which) - 1]
        for order in orders:
            if which in (order.id, order.row["external_id"]):
                return order
        raise NotHere


@cli.callback()
def phone(
    context: typer.Context,
    technician: Annotated[str, typer.Option(help="The technician's account.")],
    server: Annotated[
        str, typer.Option(help="Where the API is.", envvar="YINGWEI_PHONE_SERVER")
    ] = "http://127.0.0.1:8000",
    folder: Annotated[Path, typer.Option(help="Where phones keep what they know.")] = Path(
        ".local/phones"
    ),
    offline: Annotated[bool, typer.Option("--offline", help="Use no network.")] = False,
    language: Annotated[Language, typer.Option(help="zh or en.")] = Language.ZH,
) -> None:
    """Take a technician's phone into the hand; without a command it asks what to do."""
    if not technician.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise typer.BadParameter("letters, digits, and - _ . between them")
    screen = Screen(Console(), language.value)
    store = Store(folder / technician)
    context.call_on_close(store.close)
    context.obj = hand = Hand(server, technician, store, screen, offline)
    if context.invoked_subcommand is None:
        _talk(hand)


@cli.command("sign-in")
def sign_in(
    context: typer.Context,
    password: Annotated[
        str,
        typer.Option(prompt=True, hide_input=True, envvar="YINGWEI_PHONE_PASSWORD"),
    ],
) -> None:
    """Sign in and pull everything; the password is not kept."""
    _ended(_signed_in(context.obj, password))


def _signed_in(hand: Hand, password: str) -> bool:
    async def enter(phone: Phone) -> None:
        await phone.sign_in(hand.technician, password)
        hand.screen.synced(await phone.sync())
        await phone.take_ahead()

    return hand.online(enter)


@cli.command()
def sync(context: typer.Context) -> None:
    """Send what was done, pull what has changed, and send pictures on."""
    _ended(context.obj.sync())


@cli.command()
def listen(context: typer.Context) -> None:
    """Stay in touch until Ctrl-C: what has changed is pulled as it happens, and shown."""
    hand: Hand = context.obj
    with suppress(KeyboardInterrupt):
        _ended(hand.online(lambda phone: in_touch.stay(phone, hand.screen.synced)))


@cli.command()
def orders(
    context: typer.Context, as_json: Annotated[bool, typer.Option("--json")] = False
) -> None:
    """List the orders as the phone knows them."""
    hand: Hand = context.obj
    found = hand.phone().orders()
    if as_json:
        _json([{**one.row, "shown_state": one.state, "unsent": one.waiting} for one in found])
    else:
        hand.screen.orders(found)


@cli.command()
def order(context: typer.Context, which: str) -> None:
    """Show one order, by its number in the list, its own number or its id."""
    context.obj.open(which)


@cli.command()
def queue(
    context: typer.Context,
    all_of_it: Annotated[bool, typer.Option("--all", help="What was carried out, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Show what waits to be sent, and what the server has said no to."""
    hand: Hand = context.obj
    # What was done tells of customers, too.
    hand.phone().check_shown()
    if as_json:
        _json([one._asdict() for one in hand.store.done()])
    else:
        hand.screen.queue(hand.phone(), all_of_it=all_of_it)


@cli.command()
def table(context: typer.Context, name: str) -> None:
    """Print a table of the phone as it was told, in JSON."""
    _json(context.obj.phone().table(name))


@cli.command()
def step(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A short name, or the operation's own.")],
    said: Annotated[list[str] | None, typer.Argument(help="ORDER, and name=value.")] = None,
) -> None:
    """Take a step; it is kept first, and sent when there is a network.

    By a short name with an order (`step go 1`), or by its operation with all that it takes
    (`step visits_acknowledge work_order_id=…`). Values may be JSON.
    """
    hand: Hand = context.obj
    _take(hand, name, said or [], ask=False)
    if not hand.offline:
        hand.sync()


@cli.command()
def photo(
    context: typer.Context,
    which: str,
    file: Annotated[Path | None, typer.Argument(help="JPEG; a drawn one is left out.")] = None,
    requirement: Annotated[str, typer.Option(help="What it shows, by the template.")] = "other",
) -> None:
    """Keep a picture of an order; its bytes go on where they were interrupted."""
    hand: Hand = context.obj
    order = hand.chosen(which)
    data = file.read_bytes() if file else drawings.photo(f"{order.row['external_id']} {order.id}")
    hand.phone().photograph(order.id, data, requirement=requirement)
    if not hand.offline:
        hand.sync()


@cli.command()
def sell(
    context: typer.Context,
    which: str,
    codes: Annotated[list[str], typer.Argument(help="Codes of offerings.")],
    signature: Annotated[
        Path | None, typer.Option(help="The signature as a PNG; left out, one is drawn.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="The customer has signed.")] = False,
    terms: Annotated[
        list[str] | None,
        typer.Option(help="Special terms of an offering: OFFERING=CODE:PERCENT:MONTHS."),
    ] = None,
) -> None:
    """Sell to a customer who signs under what is shown; no network is needed."""
    hand: Hand = context.obj
    _sold(hand, which, codes, signature, yes=yes, terms=dict(map(_terms, terms or [])))
    if not hand.offline:
        hand.sync()


def _terms(said: str) -> tuple[str, Terms]:
    found = re.fullmatch(r"(.+)=([^:]+):(\d+(?:\.\d+)?):(\d+)", said)
    if found is None:
        raise typer.BadParameter("OFFERING=CODE:PERCENT:MONTHS")
    offering, code, percent, months = found.groups()
    return offering, Terms(code, float(percent), int(months))


def _sold(
    hand: Hand,
    which: str,
    codes: Sequence[str],
    signature: Path | None,
    *,
    yes: bool,
    terms: Mapping[str, Terms] = NO_TERMS,
) -> None:
    phone, order = hand.phone(), hand.chosen(which)
    if not codes or order.visit_id is None or order.row["customer_id"] is None:
        raise NotHere
    items = [phone.item(code, terms.get(code)) for code in codes]
    hand.screen.console.print(agreed_text("…", order.row["customer_id"], items))
    question = hand.screen.words("客户已签字？", "Has the customer signed?")
    if not yes and not typer.confirm(question):
        return
    strokes = f"{order.id} {phone.clock.now().isoformat()}".encode()
    data = signature.read_bytes() if signature else drawings.signature(strokes.decode())
    phone.sell(order.id, codes, signature=data, strokes=strokes, stroke_count=12, terms=terms)


def _take(hand: Hand, name: str, said: Sequence[str], *, ask: bool) -> None:
    phone = hand.phone()
    named = dict(one.split("=", 1) for one in said if "=" in one)
    payload = {key: _value(value) for key, value in named.items()}
    short = SHORT.get(name)
    if short is None:
        if "_" not in name:
            raise typer.BadParameter(f"{name}: {', '.join(SHORT)}, …")
        phone.do(name, payload)
        return
    which = next((one for one in said if "=" not in one), None)
    if which is None:
        raise typer.BadParameter(hand.screen.words("哪个工单？", "with which order?"))
    order = hand.chosen(which)
    for missing in short.asks:
        if missing in payload:
            continue
        if missing == "point" and order.row["lon"] is not None:
            payload["point"] = {key: order.row[key] for key in ("lon", "lat", "coordsys")}
        elif ask:
            payload[missing] = _value(typer.prompt(missing))
        else:
            raise typer.BadParameter(f"{missing}=…")
    phone.step(name, order.id, **payload)


def _value(said: str) -> Any:
    """Read a value: JSON where it begins as an object, a list or a truth does, else as it is."""
    if said[:1] in "[{" or said in ("true", "false", "null"):
        return orjson.loads(said)
    return said


def _json(said: Any) -> None:
    typer.echo(orjson.dumps(said, option=orjson.OPT_INDENT_2).decode())


def _ended(well: bool) -> None:
    if not well:
        raise typer.Exit(1)


# --- talking with it ------------------------------------------------------------------------------


def _talk(hand: Hand) -> None:
    """Ask what to do, until the technician leaves; each answer is on the disk when it is given."""
    screen = hand.screen
    if not hand.offline and hand.store["tokens"] is None:
        _signed_in(hand, typer.prompt(screen.words("密码", "password"), hide_input=True))
    elif not hand.offline:
        hand.sync()
    _list(hand)
    while True:
        offline = hand.offline
        beside = nullcontext() if offline else InTouch(hand.once_more, hand.screen.news)
        with beside:
            staying = _talk_on(hand, offline=offline)
        if not staying:
            return


def _talk_on(hand: Hand, *, offline: bool) -> bool:
    """Talk while the network is as it was; False when the technician leaves."""
    screen = hand.screen
    while hand.offline is offline:
        unsent = len(hand.store.done(waiting=True))
        mark = f" [{unsent}↑]" if unsent else ""
        try:
            line = input(f"{hand.technician}{mark}> ").strip()
        except (EOFError, KeyboardInterrupt):
            return False
        if line in LEAVING:
            return False
        try:
            _heard(hand, line)
        except (Locked, NotHere) as error:
            _cannot(screen, error)
        except (typer.BadParameter, OSError, ValueError, orjson.JSONDecodeError) as wrong:
            screen.console.print(str(wrong), style="red", highlight=False)
    return True


def _heard(hand: Hand, line: str) -> None:
    verb, *rest = shlex.split(line) or ["orders"]
    screen = hand.screen
    match verb:
        case "orders":
            _list(hand)
        case "sync":
            hand.sync()
        case "queue":
            hand.phone().check_shown()
            screen.queue(hand.phone(), all_of_it="all" in rest)
        case "offline" | "online":
            hand.offline = verb == "offline"
            screen.say(*(("离线", "offline") if hand.offline else ("在线", "online")))
        case "sell":
            _sold(hand, rest[0] if rest else "", rest[1:], None, yes=False)
            _sent(hand)
        case "photo":
            order = hand.chosen(rest[0] if rest else "")
            data = (
                Path(rest[1]).read_bytes()
                if rest[1:]
                else drawings.photo(f"{order.id} {hand.phone().clock.now().isoformat()}")
            )
            hand.phone().photograph(order.id, data)
            _sent(hand)
        case "help" | "?":
            _help(screen)
        case _ if verb in SHORT or "_" in verb:
            _take(hand, verb, rest, ask=True)
            _sent(hand)
        case _:
            hand.open(verb)


def _sent(hand: Hand) -> None:
    if hand.offline:
        hand.screen.say("已保存，待发送。", "Kept; it waits to be sent.", "yellow")
    else:
        hand.sync()


def _list(hand: Hand) -> None:
    try:
        hand.screen.orders(hand.phone().orders())
    except Locked as error:
        _cannot(hand.screen, error)


def _cannot(screen: Screen, error: Locked | NotHere) -> None:
    if isinstance(error, SignedOut):
        screen.say("请先登录：sign-in", "Sign in first: sign-in", "yellow")
    elif isinstance(error, Locked):
        screen.say(
            "离线时间过长，请联网同步后再查看。",
            "This phone was without the server for too long: sync before it shows anything.",
            "red",
        )
    else:
        screen.say("本机没有这个工单或上门记录。", "This phone knows of no such thing.", "red")


def _help(screen: Screen) -> None:
    table = Table(show_header=False, box=None)
    rows = [
        ("orders", screen.words("列出工单", "list the orders")),
        ("1", screen.words("查看第 1 个工单", "show the first order")),
        *((f"{name} 1", short.words.say(screen.lang)) for name, short in SHORT.items()),
        ("photo 1 FILE", screen.words("拍照", "take a picture")),
        ("sell 1 CODE…", screen.words("销售（客户签字）", "sell; the customer signs")),
        (
            "queue all",
            screen.words("全部操作；queue 只列未完成的", "all that was done; queue: what is open"),
        ),
        ("sync", screen.words("同步", "send and pull")),
        ("offline / online", screen.words("断开或恢复网络", "leave the network, and come back")),
        ("visits_… name=value", screen.words("任何其他操作", "any other step by its operation")),
        ("quit", screen.words("退出", "leave; nothing is lost")),
    ]
    for row in rows:
        table.add_row(*row)
    screen.console.print(table)
