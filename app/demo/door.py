"""One visit at a door: what the order's template asks for is done, until nothing is missing.

The technician reads what is missing, does it, and completes; what was forgotten is told then and
done as well. Nothing here is remembered from before but what the API tells, so a visit goes on
wherever a phone that was switched off has left it. Some work lies where there is no network: it is
done on the phone alone, and what is thought of it is seen after coming out.
"""

import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import orjson

from app.core.db import new_id
from app.demo.day import Day, Tally
from app.demo.hand import DONE, Hand
from app.demo.opening import Opening
from app.demo.telephones import Telephones
from app.phone import drawings
from app.phone.phone import Order
from app.phone.rules import Stage
from app.phone.store import Done

# Of so many of a hundred visits the work lies in cellars and shafts, without a network.
DARK = 0.25
# How often completing is tried before the order goes back.
ROUNDS = 6
# What is fitted for a service that is added to a line which is there, by a word of the summary.
ADDED = {"IPTV": "set_top_box", "WiFi": "wifi_repeater", "摄像头": "camera"}
CLOSINGS = {"relocate": "relocated", "remove": "removed", "care": "cared_for"}
# What is measured where all is well, in the unit that the measure's name ends with.
USUAL = {
    "optical_rx_power_dbm": (-25.5, -12.0),
    "download_mbps": (180.0, 940.0),
    "upload_mbps": (30.0, 90.0),
    "latency_ms": (4.0, 35.0),
    "wifi_rssi_dbm": (-62.0, -40.0),
}
WEAK_LIGHT = -28.6  # dBm, outside of what a receiver works with

# What is missing and is seen to before the rest of the work.
EQUIPPED = ("terminal_fitted", "terminal_recovered")

Missing = Iterable[dict[str, Any]]


@dataclass
class Door:
    """A technician at the door of one order, after checking in."""

    hand: Hand
    day: Day
    telephones: Telephones
    tally: Tally
    luck: random.Random
    order: Order
    visit_id: str
    # What is offered once the work is done, given who the customer is; and taking along what may
    # be, before going to where there is no network.
    offer: Callable[[Mapping[str, Any]], Awaitable[None]]
    look_ahead: Callable[[], Awaitable[None]]
    _template: Mapping[str, Any] = field(default_factory=dict)
    _progress: dict[str, Any] = field(default_factory=dict)
    _customer: Mapping[str, Any] | None = None
    _opening: Opening | None = None

    async def work(self, *, resumed: bool) -> None:
        """Do the order, or suspend it or hand it back with the cause."""
        self._template = await self.hand.template(self.order.id)
        progress = await self.hand.get(f"/v1/visits/{self.visit_id}/progress")
        if not progress.ok:
            return
        self._progress = progress.body
        # Whom the phone may show is told with the pull, for as long as the order goes on.
        self._customer = self.hand.phone.customer(self.order)
        if not resumed and self.luck.random() < DARK:
            if self._customer is not None:
                await self.look_ahead()
            await self.hand.go_dark()
        try:
            await self._work(resumed=resumed)
        finally:
            await self.hand.come_out()
            await self.hand.sync()

    async def _work(self, *, resumed: bool) -> None:
        closing = self._closing()
        minutes = self.order.row["estimated_minutes"] * self.luck.uniform(0.5, 1.05)
        if not resumed and await self._hindered():
            return
        missing = self._missing(closing)
        if not await self._equip(missing):
            return
        missing = [one for one in missing if one["wanting"] not in EQUIPPED]
        await self._ask_for_line(missing)
        await self.day.wait(timedelta(minutes=minutes))
        if self.order.row["work_type"] == "repair":
            self._do("visits_restored")
        if self._customer is not None:
            await self.offer(self._customer)
        await self._make_good(self._all_but_forgotten(missing))
        await self._complete(closing)

    def _do(self, kind: str, **said: Any) -> str:
        return self.hand.do(kind, visit_id=self.visit_id, **said)

    async def _step(self, kind: str, **said: Any) -> Done:
        return await self.hand.step(kind, visit_id=self.visit_id, **said)

    def _closing(self) -> str:
        work_type = self.order.row["work_type"]
        if work_type == "install":
            added = any(word in self.order.row["summary"] for word in ADDED)
            return "added_service" if added else "installed"
        if work_type == "repair":
            return "no_fault_found" if self.luck.random() < 0.04 else "fixed"
        return CLOSINGS[work_type]

    def _missing(self, closing: str) -> list[dict[str, Any]]:
        """Read what a closing code lacks; with one that the template does not have, nothing."""
        for one in self._progress["closings"]:
            if one["code"] == closing:
                return list(one["missing"])
        return []

    def _all_but_forgotten(self, missing: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if missing and self.luck.random() < 0.08:
            self.tally.forgotten += 1
            forgotten = self.luck.choice(missing)
            return [one for one in missing if one is not forgotten]
        return missing

    async def _hindered(self) -> bool:
        """Suspend or hand back now and then, as what one finds at a door makes one do."""
        drawn = self.luck.random()
        if drawn < 0.02 and not self.day.over():
            going_on = self.day.clock.now() + timedelta(minutes=self.luck.uniform(30, 90))
            cause = self.luck.choice(("customer_postponed", "material_fetched"))
            put_off = await self._step(
                "visits_suspend", cause=cause, resume_at=going_on.isoformat()
            )
            return put_off.stage in DONE
        if drawn < 0.03:
            cause = self.luck.choice(("customer_refused", "site_not_ready"))
            return (await self._step("visits_hand_back", cause=cause)).stage in DONE
        return False

    # --- terminals --------------------------------------------------------------------------------

    async def _equip(self, missing: Missing) -> bool:
        """Fit, swap and take away. False when a terminal was not in the van: the order goes back,
        and whoever comes next has one."""
        wanted = _codes(missing, "terminal_fitted")
        if self.order.row["work_type"] == "install":
            wanted += [kind for word, kind in ADDED.items() if word in self.order.row["summary"]]
        lacking = [
            kind
            for kind in wanted
            if kind not in self._progress["fitted"] and not await self._fit(kind)
        ]
        if lacking:
            cause = "resource_missing"
            await self._step("visits_hand_back", cause=cause, missing_terminals=lacking)
            return False
        if self.order.row["work_type"] == "repair" and self.luck.random() < 0.15:
            await self._swap()
        await self._take_away(missing)
        return True

    async def _take_away(self, missing: Missing) -> None:
        for serial in _codes(missing, "terminal_recovered"):
            await self._scan("taken_away", serial)

    async def _fit(self, kind: str) -> bool:
        for serial in self._of_van(kind):
            if (await self._scan("fitted", serial)).stage in DONE:
                return True
        return False

    async def _swap(self) -> None:
        """Put another gateway in the place of one that is faulty, where there are both."""
        old = self._gateway_at_home()
        if old is None or "ont_gateway" in self._progress["fitted"]:
            return
        for new in self._of_van("ont_gateway")[:1]:
            await self._scan("swapped", new, replaced_serial_number=old, reason="faulty")

    def _of_van(self, kind: str) -> list[str]:
        """List what the van has of a kind, but for what was taken out since that was told."""
        store = self.hand.phone.store
        taken = {one.payload.get("serial_number") for one in store.done(waiting=True)}
        return [
            row["serial_number"]
            for row in store.rows("terminals").values()
            if (row["pool"], row["kind"]) == ("van", kind) and row["serial_number"] not in taken
        ]

    async def _scan(self, action: str, serial: str, **more: Any) -> Done:
        said = {"id": str(new_id()), "action": action, "serial_number": serial, **more}
        return await self._step("visits_terminals_scan", **said)

    def _gateway_at_home(self) -> str | None:
        there = orjson.loads(self._customer["terminals"]) if self._customer else []
        for one in there:
            if one["kind"] == "ont_gateway":
                return str(one["serial_number"])
        return None

    async def _gateway(self) -> str | None:
        """Say which gateway is to be opened: the one fitted last, else the one that is there."""
        reply = await self.hand.get(f"/v1/visits/{self.visit_id}/terminals")
        for scan in reversed(reply.body["scans"] if reply.ok else []):
            if scan["kind"] == "ont_gateway" and scan["action"] in ("fitted", "swapped"):
                return str(scan["serial_number"])
        return self._gateway_at_home()

    # --- what else is asked for -------------------------------------------------------------------

    async def _ask_for_line(self, missing: Missing) -> None:
        """Ask for the line before the rest of the work, which goes on while it is opened."""
        if not _codes(missing, "activation"):
            return
        async with self.hand.outside():
            serial = await self._gateway()
            self._opening = Opening(self.hand, self.day, self.order.row, self.visit_id, serial)
            await self._opening.ask()

    async def _make_good(self, missing: Missing) -> None:
        """Do what is missing, whatever it is."""
        for kind in _codes(missing, "terminal_fitted"):
            await self._fit(kind)
        await self._take_away(missing)
        await self._note_down(missing)
        for code in _codes(missing, "evidence"):
            self._photograph(code)
        if _codes(missing, "activation"):
            if self._opening is None:
                await self._ask_for_line(missing)
            if self._opening is not None:
                async with self.hand.outside():
                    await self._opening.see_through()
        if _codes(missing, "acceptance"):
            await self._have_accepted()

    async def _note_down(self, missing: Missing) -> None:
        """Tick the checklist and measure; what lies outside its limits is put right."""
        values = {one["measure"]: one["value"] for one in self._progress["measurements"]}
        for one in self._template["measurements"]:
            measure = one["measure"]
            if measure in _codes(missing, "out_of_limits"):
                # A connector is cleaned.
                await self.day.wait(timedelta(minutes=4))
                self.tally.measured_again += 1
                values[measure] = self._measured(measure)
            elif measure not in values and (one["required"] or self.luck.random() < 0.3):
                weak = measure == "optical_rx_power_dbm" and self.luck.random() < 0.06
                values[measure] = WEAK_LIGHT if weak else self._measured(measure)
        checked = sorted({*self._progress["checked"], *_codes(missing, "check")})
        self._do("visits_keep_progress", checked=checked, measurements=values)
        self._progress["checked"] = checked
        self._progress["measurements"] = [
            {"measure": measure, "value": value} for measure, value in values.items()
        ]

    def _measured(self, measure: str) -> float:
        return round(self.luck.uniform(*USUAL[measure]), 1)

    def _photograph(self, code: str) -> None:
        for wanted in self._template["evidence"]:
            for _ in range(wanted["least"] if wanted["code"] == code else 0):
                follows = wanted["may_follow"] and self.luck.random() < 0.4
                self._take_picture(code, wanted["kind"], follows=follows)

    def _take_picture(self, requirement: str, kind: str, *, follows: bool) -> None:
        name = f"{self.order.row['external_id']} {new_id()}"
        data = (drawings.signature if kind == "signature" else drawings.photo)(name)
        self.hand.phone.photograph(
            self.order.id, data, requirement=requirement, kind=kind, name=name, follows=follows
        )

    async def _have_accepted(self) -> None:
        """Let the customer accept the work by a code or a signature, where either will do; a code
        reaches nobody where there is no network."""
        how = self._template["acceptance"]
        by_code = how == "code" or (
            how == "either" and not self.hand.dark and self.luck.random() < 0.75
        )
        if (by_code and await self._by_code()) or how == "code":
            return
        self._take_picture("other", "signature", follows=False)

    async def _by_code(self) -> bool:
        """Have a code sent and told; now and then it is misread at first."""
        number, seen = self.order.row["contact_phone"] or "", set[str]()
        async with self.hand.outside():
            path = f"/v1/visits/{self.visit_id}/acceptance-code"
            asked = await self.hand.ask(path, {"id": str(new_id())})
            if not asked.ok:
                return False
            kind = "visits_check_acceptance_code"
            if self.luck.random() < 0.05:
                await self._step(kind, code="000000")
            for _ in range(3):
                code = await self.telephones.read_out(number, seen)
                if code is None:
                    return False
                if (await self._step(kind, code=code)).stage is Stage.APPLIED:
                    return True
                seen.add(code)
        return False

    async def _complete(self, closing: str) -> None:
        """Complete, doing what is told to be missing; an order that cannot be is handed back.

        Where there is no network what is told is seen after coming out, and whoever has to goes
        back in.
        """
        for _ in range(ROUNDS):
            completed = self._do("visits_complete", outcome_code=closing)
            await self.hand.come_out()
            done = await self.hand.verdict(completed)
            if done.stage is Stage.APPLIED:
                self.telephones.visited.add(self.order.row["contact_phone"] or "")
                return
            if done.code != "not-complete":
                return
            missing = self.hand.facts(done)["missing"]
            await self._make_good(missing)
            self.tally.unfinished.update(one["code"] for one in missing)
        await self._step("visits_hand_back", cause="other", note="竣工所缺项无法补齐")


def _codes(missing: Missing, wanting: str) -> list[str]:
    """List what is missing of a kind."""
    return [one["code"] for one in missing if one["wanting"] == wanting]
