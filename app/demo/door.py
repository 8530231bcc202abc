"""One visit at a door: what the order's template asks for is done, until nothing is missing.

The technician reads what is missing, does it, and completes; what was forgotten is told then and
done as well. Nothing here is remembered from before but what the API tells, so a visit goes on
wherever a phone that was switched off has left it.
"""

import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from app.core.db import new_id
from app.demo.day import Day, Tally
from app.demo.line import Line, Reply
from app.demo.opening import Opening
from app.demo.telephones import Telephones
from app.demo.uploads import Picture, send, taken

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

Missing = Iterable[dict[str, Any]]


@dataclass
class Door:
    """A technician at the door of one order, after checking in."""

    line: Line
    day: Day
    telephones: Telephones
    tally: Tally
    luck: random.Random
    order: dict[str, Any]
    visit_id: str
    # What is offered once the work is done, given the customer's code.
    offer: Callable[[str], Awaitable[None]]
    # Pictures that were announced and are still to be sent.
    later: list[Picture] = field(default_factory=list)
    _template: dict[str, Any] = field(default_factory=dict)
    _progress: dict[str, Any] = field(default_factory=dict)
    _card: dict[str, Any] | None = None
    _opening: Opening | None = None
    _handed_back: bool = False

    async def work(self, *, resumed: bool) -> None:
        """Do the order, or suspend it or hand it back with the cause."""
        template = await self.line.get(f"/v1/work-orders/{self.order['id']}/template")
        progress = await self.line.get(self._path("progress"))
        if not template.ok or not progress.ok:
            return
        self._template, self._progress = template.body, progress.body
        self._card = await self._meet()
        closing = self._closing()
        minutes = self.order["estimated_minutes"] * self.luck.uniform(0.5, 1.05)
        if not resumed and await self._hindered():
            return
        missing = self._missing(closing)
        if not await self._equip(missing):
            return
        await self._ask_for_line(missing)
        await self.day.wait(timedelta(minutes=minutes))
        if self.order["work_type"] == "repair":
            await self._step("restored")
        if self._card is not None:
            await self.offer(self._card["identity"]["code"])
        await self._make_good(self._all_but_forgotten(missing))
        await self._complete(closing)

    def _path(self, end: str) -> str:
        return f"/v1/visits/{self.visit_id}/{end}"

    async def _step(self, end: str, **body: Any) -> Reply:
        device_at = self.day.clock.now().isoformat()
        return await self.line.post(self._path(end), {**body, "device_at": device_at})

    def _closing(self) -> str:
        work_type = self.order["work_type"]
        if work_type == "install":
            added = any(word in self.order["summary"] for word in ADDED)
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

    async def _meet(self) -> dict[str, Any] | None:
        """Read the card; None when the order names no known customer."""
        if self.order["customer_id"] is None:
            return None
        reply = await self.line.get(
            f"/v1/customers/{self.order['customer_id']}/context",
            params={"work_order_id": self.order["id"]},
        )
        return reply.body if reply.ok else None

    async def _hindered(self) -> bool:
        """Suspend or hand back now and then, as what one finds at a door makes one do."""
        drawn = self.luck.random()
        if drawn < 0.02 and not self.day.over():
            going_on = self.day.clock.now() + timedelta(minutes=self.luck.uniform(30, 90))
            cause = self.luck.choice(("customer_postponed", "material_fetched"))
            reply = await self._step("suspend", cause=cause, resume_at=going_on.isoformat())
            self.tally.suspended += reply.ok
            return reply.ok
        if drawn < 0.03:
            await self._hand_back(self.luck.choice(("customer_refused", "site_not_ready")))
        return self._handed_back

    async def _hand_back(self, cause: str, **more: Any) -> None:
        reply = await self._step("hand-back", cause=cause, **more)
        self._handed_back = reply.ok
        self.tally.handed_back += reply.ok

    # --- terminals --------------------------------------------------------------------------------

    async def _equip(self, missing: Missing) -> bool:
        """Fit, swap and take away. False when a terminal was not in the van: the order goes back,
        and whoever comes next has one."""
        wanted = [one["code"] for one in missing if one["wanting"] == "terminal_fitted"]
        if self.order["work_type"] == "install":
            wanted += [kind for word, kind in ADDED.items() if word in self.order["summary"]]
        lacking = [
            kind
            for kind in wanted
            if kind not in self._progress["fitted"] and not await self._fit(kind)
        ]
        if lacking:
            await self._hand_back("resource_missing", missing_terminals=lacking)
            return False
        if self.order["work_type"] == "repair" and self.luck.random() < 0.15:
            await self._swap()
        await self._take_away(missing)
        return True

    async def _take_away(self, missing: Missing) -> None:
        for one in missing:
            if one["wanting"] == "terminal_recovered":
                await self._scan("taken_away", one["code"])

    async def _fit(self, kind: str) -> bool:
        for serial in await self._of_van(kind):
            if (await self._scan("fitted", serial)).ok:
                return True
        return False

    async def _swap(self) -> None:
        """Put another gateway in the place of one that is faulty, where there are both."""
        old = self._gateway_at_home()
        if old is None or "ont_gateway" in self._progress["fitted"]:
            return
        for new in (await self._of_van("ont_gateway"))[:1]:
            await self._scan("swapped", new, replaced_serial_number=old, reason="faulty")

    async def _of_van(self, kind: str) -> list[str]:
        reply = await self.line.get("/v1/my/van")
        there = reply.body["terminals"] if reply.ok else []
        return [one["serial_number"] for one in there if one["kind"] == kind]

    async def _scan(self, action: str, serial: str, **more: Any) -> Reply:
        body = {"id": str(new_id()), "action": action, "serial_number": serial, **more}
        return await self._step("terminals", **body)

    def _gateway_at_home(self) -> str | None:
        there = self._card["terminals"]["at_home"] if self._card else []
        for one in there:
            if one["kind"] == "ont_gateway":
                return str(one["serial_number"])
        return None

    async def _gateway(self) -> str | None:
        """Say which gateway is to be opened: the one fitted last, else the one that is there."""
        reply = await self.line.get(self._path("terminals"))
        for scan in reversed(reply.body["scans"] if reply.ok else []):
            if scan["kind"] == "ont_gateway" and scan["action"] in ("fitted", "swapped"):
                return str(scan["serial_number"])
        return self._gateway_at_home()

    # --- what else is asked for -------------------------------------------------------------------

    async def _ask_for_line(self, missing: Missing) -> None:
        """Ask for the line before the rest of the work, which goes on while it is opened."""
        if any(one["wanting"] == "activation" for one in missing):
            serial = await self._gateway()
            self._opening = Opening(
                self.line, self.day, self.tally, self.order, self.visit_id, serial
            )
            await self._opening.ask()

    async def _make_good(self, missing: Missing) -> None:
        """Do what is missing, whatever it is."""
        by_kind = defaultdict(list)
        for one in missing:
            by_kind[one["wanting"]].append(one["code"])
        await self._take_away(missing)
        await self._note_down(by_kind)
        for code in by_kind["evidence"]:
            await self._photograph(code)
        if by_kind["activation"]:
            if self._opening is None:
                await self._ask_for_line(missing)
            if self._opening is not None:
                await self._opening.see_through()
        if by_kind["acceptance"]:
            await self._have_accepted()

    async def _note_down(self, by_kind: dict[str, list[str]]) -> None:
        """Tick the checklist and measure; what lies outside its limits is put right."""
        values = {one["measure"]: one["value"] for one in self._progress["measurements"]}
        for one in self._template["measurements"]:
            measure = one["measure"]
            if measure in by_kind["out_of_limits"]:
                # A connector is cleaned.
                await self.day.wait(timedelta(minutes=4))
                self.tally.measured_again += 1
                values[measure] = self._measured(measure)
            elif measure not in values and (one["required"] or self.luck.random() < 0.3):
                weak = measure == "optical_rx_power_dbm" and self.luck.random() < 0.06
                values[measure] = WEAK_LIGHT if weak else self._measured(measure)
        body = {
            "checked": sorted({*self._progress["checked"], *by_kind["check"]}),
            "measurements": values,
            "device_at": self.day.clock.now().isoformat(),
        }
        reply = await self.line.put(self._path("progress"), body)
        if reply.ok:
            self._progress = reply.body

    def _measured(self, measure: str) -> float:
        return round(self.luck.uniform(*USUAL[measure]), 1)

    async def _photograph(self, code: str) -> None:
        for wanted in self._template["evidence"]:
            if wanted["code"] != code:
                continue
            for _ in range(wanted["least"]):
                picture = taken(self.order, code, wanted["kind"])
                follows = wanted["may_follow"] and self.luck.random() < 0.4
                sent = await send(self.line, picture, self.order, self.visit_id, follows=follows)
                if sent and follows:
                    self.later.append(picture)

    async def _have_accepted(self) -> None:
        """Let the customer accept the work by a code or a signature, where either will do."""
        how = self._template["acceptance"]
        by_code = how == "code" or (how == "either" and self.luck.random() < 0.75)
        if (by_code and await self._by_code()) or how == "code":
            return
        picture = taken(self.order, "other", "signature")
        await send(self.line, picture, self.order, self.visit_id, follows=False)

    async def _by_code(self) -> bool:
        """Have a code sent and told; now and then it is misread at first."""
        number, seen = self.order["contact_phone"] or "", set[str]()
        asked = await self.line.post(self._path("acceptance-code"), {"id": str(new_id())})
        if not asked.ok:
            return False
        if self.luck.random() < 0.05:
            await self._step("acceptance-code/check", code="000000")
        for _ in range(3):
            code = await self.telephones.read_out(number, seen)
            if code is None:
                return False
            if (await self._step("acceptance-code/check", code=code)).ok:
                return True
            seen.add(code)
        return False

    async def _complete(self, closing: str) -> None:
        """Complete, doing what is told to be missing; an order that cannot be is handed back."""
        for _ in range(ROUNDS):
            reply = await self._step("complete", outcome_code=closing)
            if reply.ok:
                self.tally.completed += 1
                self.telephones.visited.add(self.order["contact_phone"] or "")
                return
            if reply.problem != "not-complete":
                return
            await self._make_good(reply.body["facts"]["missing"])
            missing = [one["code"] for one in reply.body["facts"]["missing"]]
            self.tally.unfinished.update(missing)
        await self._hand_back("other", note="竣工所缺项无法补齐")
