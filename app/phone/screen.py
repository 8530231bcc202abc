"""What a phone shows in a terminal: the orders, one of them, the queue, and what a sync brought."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from app.core.i18n import Lang, Words
from app.phone.phone import Order, Phone
from app.phone.rules import STAGE_WORDS, STATE_WORDS, Short, Stage
from app.phone.server import Synced
from app.phone.store import Done

WORK_TYPES: Mapping[str, Words] = {
    "install": Words(zh="装机", en="install"),
    "repair": Words(zh="修障", en="repair"),
    "relocate": Words(zh="移机", en="relocate"),
    "remove": Words(zh="拆机", en="remove"),
    "care": Words(zh="回访", en="care"),
}
SPEAKERS: Mapping[str, Words] = {
    "account_manager": Words(zh="客户经理", en="the account manager"),
    "shop": Words(zh="营业厅", en="the shop"),
    "phone": Words(zh="电话渠道", en="whoever calls"),
    "app": Words(zh="掌上营业厅", en="the app"),
}
_COLOURS = {
    Stage.WAITING: "yellow",
    Stage.APPLIED: "green",
    Stage.CONFLICT: "magenta",
    Stage.REFUSED: "red",
}


class Screen:
    """A terminal, in one language."""

    def __init__(self, console: Console, lang: Lang) -> None:
        self.console = console
        self.lang: Lang = lang

    def say(self, zh: str, en: str, style: str | None = None) -> None:
        """Say a sentence."""
        self.console.print(Words(zh=zh, en=en).say(self.lang), style=style, highlight=False)

    def words(self, zh: str, en: str) -> str:
        """Give words in the language of the screen."""
        return Words(zh=zh, en=en).say(self.lang)

    def orders(self, orders: list[Order]) -> None:
        """Show the orders as a list; the numbers are what they are asked for by."""
        table = Table(title=self.words("我的工单", "My orders"), title_justify="left")
        for zh, en in (
            ("序", "#"), ("工单", "order"), ("类型", "what"), ("状态", "state"),
            ("到期", "due"), ("地址", "where"), ("摘要", "summary"), ("未发", "unsent"),
        ):  # fmt: skip
            table.add_column(self.words(zh, en), overflow="fold")
        for number, order in enumerate(orders, 1):
            row = order.row
            table.add_row(
                str(number),
                row["external_id"],
                self._word(WORK_TYPES, row["work_type"]),
                self._word(STATE_WORDS, order.state),
                _moment(row["due_at"]),
                row["address"],
                row["summary"],
                f"[yellow]{order.waiting}[/]" if order.waiting else "",
            )
        self.console.print(table)

    def order(self, order: Order, phone: Phone) -> None:
        """Show one order with whom it is for, what to offer there, and what may be done."""
        row = order.row
        table = Table(show_header=False, title=row["external_id"], title_justify="left")
        said: list[tuple[str, Any]] = [
            (self.words("类型", "what"), self._word(WORK_TYPES, row["work_type"])),
            (self.words("状态", "state"), self._word(STATE_WORDS, order.state)),
            (self.words("摘要", "summary"), row["summary"]),
            (self.words("地址", "where"), row["address"]),
            (self.words("联系人", "contact"), _joined(row["contact_name"], row["contact_phone"])),
            (self.words("到期", "due"), _moment(row["due_at"])),
        ]
        customer = phone.customer(order)
        if customer is not None:
            said.append(
                (self.words("客户", "customer"), _joined(customer["name"], customer["phone"]))
            )
            said += [
                (self.words("在用业务", "service"), one["offering_code"])
                for one in orjson.loads(customer["services"])
            ]
        for one in phone.suggestions(order):
            said.append((self.words("推荐", "offer"), _joined(one["offering_code"], one["answer"])))
            if one.get("left_to") is not None:
                said.append((self.words("转交", "hand over"), self._left_to(one)))
            said.append(("", "\n".join(self._pitch(one))))
            if one["install_as_of"] is not None:
                said.append((self.words("安装", "install"), self._install(one)))
        if (nothing := phone.nothing(order)) is not None:
            said.append((self.words("推荐", "offer"), self._nothing(nothing)))
        said += self._asked(phone.asked(order))
        for name, value in said:
            table.add_row(name, str(value or ""))
        self.console.print(table)
        self.steps(phone.steps(order))

    def _pitch(self, suggestion: Mapping[str, Any]) -> list[str]:
        """Say why an offer fits, and what to say to the customer, in its order."""
        reasons = [one[self.lang] for one in orjson.loads(suggestion["reasons"])]
        return [*reasons, *orjson.loads(suggestion["talk_track"])[self.lang].values()]

    def _left_to(self, suggestion: Mapping[str, Any]) -> str:
        """Say to whom an offer is left, for whoever would rather hear of it there."""
        to = self._word(SPEAKERS, suggestion["left_to"])
        return self.words(
            f"转给{to}，客户主动问起再介绍", f"to {to}; do not pitch it unless they ask"
        )

    def _nothing(self, because: Mapping[str, Any]) -> str:
        """Say that nothing is offered, why, and as of when."""
        at = _moment(because["at"])
        return self.words(
            f"无：{because['zh']}（{at} 时）", f"nothing: {because['en']}, as of {at}"
        )

    def _install(self, suggestion: Mapping[str, Any]) -> str:
        """Say whether it could be had with this visit, when that was last asked."""
        at, why = _moment(suggestion["install_as_of"]), suggestion["install_code"]
        if suggestion["install_now"]:
            return self.words(f"可当场办理（{at} 时）", f"with this visit, as of {at}")
        return self.words(f"当场不可装：{why}（{at} 时）", f"not now: {why}, as of {at}")

    def _asked(self, template: Mapping[str, Any] | None) -> list[tuple[str, str]]:
        """Say what the work asks for: what is checked, shown and told at its end."""
        if template is None:
            return []
        found = []
        for zh, en, name in (
            ("检查项", "to check", "checklist"),
            ("凭证", "to show", "evidence"),
            ("完工码", "closing codes", "closing_codes"),
        ):
            said = [f"{one['code']} {one['words'][self.lang]}" for one in template[name]]
            if said:
                found.append((self.words(zh, en), "\n".join(said)))
        return found

    def steps(self, steps: Mapping[str, Short]) -> None:
        """Show the steps that may be taken."""
        if steps:
            named = "  ".join(
                f"[bold]{name}[/] {short.words.say(self.lang)}" for name, short in steps.items()
            )
            self.console.print(f"{self.words('可执行', 'you may')}: {named}", highlight=False)

    def queue(self, phone: Phone, *, all_of_it: bool = False) -> None:
        """Show what waits to be sent, and what the server has said no to."""
        table = Table(title=self.words("操作队列", "What was done"), title_justify="left")
        for zh, en in (("时间", "when"), ("操作", "what"), ("工单", "order"), ("结果", "verdict")):
            table.add_column(self.words(zh, en), overflow="fold")
        shown = 0
        for one in phone.store.done():
            if one.stage is Stage.APPLIED and not all_of_it:
                continue
            shown += 1
            row = phone.store.row("work_orders", one.about) if one.about else None
            verdict = STAGE_WORDS[one.stage].say(self.lang)
            words = one.words_zh if self.lang == "zh" else one.words_en
            told = f"{verdict} {words or one.code or ''}".strip()
            colour = _COLOURS[one.stage]
            where = row["external_id"] if row else one.about or ""
            table.add_row(_moment(one.device_at), one.type, where, f"[{colour}]{told}[/]")
        for picture in phone.store.pictures():
            shown += 1
            share = f"{100 * picture.sent // picture.bytes} %"
            table.add_row("", self.words("照片", "picture"), picture.id, picture.problem or share)
        if shown:
            self.console.print(table)
        else:
            self.say("没有待发送的操作。", "Everything was sent and carried out.", "green")

    def said_no(self, sent: Iterable[Done]) -> None:
        """Show which of what was just sent the server has said no to, and why."""
        for one in sent:
            if one.stage in (Stage.CONFLICT, Stage.REFUSED):
                words = one.words_zh if self.lang == "zh" else one.words_en
                self.console.print(f"{one.type}: {words or one.code}", style=_COLOURS[one.stage])

    def warned(self, phone: Phone) -> None:
        """Show what the server has said of this phone's clock and of the app's version."""
        if clock := phone.store["clock"]:
            self.say(clock["words_zh"], clock["words_en"], "yellow")
        if until := phone.line.sunset:
            self.say(
                f"本应用版本将于 {until} 停用，请更新。",
                f"This version of the app is served until {until}: update it.",
                "yellow",
            )

    def synced(self, done: Synced) -> None:
        """Show what a sync has brought about."""
        self.say(
            f"已同步：发送 {done.sent} 项操作、{done.pictures} 张照片，收到 {done.told} 行变更。",
            f"In step: {done.sent} actions and {done.pictures} pictures sent,"
            f" {done.told} rows of news.",
            "green",
        )
        if done.anew:
            self.say("本机数据已完整更新。", "All tables of this phone were replaced.")

    def news(self, done: Synced) -> None:
        """Say that something has changed, while somebody talks with the phone."""
        if done.told:
            self.say(
                f"有 {done.told} 行更新。", f"There is news: {done.told} rows have changed.", "cyan"
            )

    def _word(self, words: Mapping[str, Words], name: str) -> str:
        return words[name].say(self.lang) if name in words else name


def _joined(*parts: str | None) -> str:
    return " ".join(part for part in parts if part)


def _moment(said: str | None) -> str:
    """Write a moment in the terminal's own zone."""
    return datetime.fromisoformat(said).astimezone().strftime("%m-%d %H:%M") if said else ""
