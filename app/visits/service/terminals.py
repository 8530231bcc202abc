"""Terminals at a door: fitted out of one's own van, taken away, swapped, found, taken back.

A scan moves terminals at once and not with completing: who scans a serial number that somebody
else has just moved hears so while the device is still in their hands.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, technician_of
from app.core.db import is_broken
from app.core.errors import Invalid, NotFound, SameIdOtherContent
from app.core.i18n import Words
from app.terminals import queries as terminals
from app.terminals import service as custody
from app.terminals.queries import Held
from app.terminals.rules import Handling, Place, Pool, TerminalKind, Why
from app.terminals.service import Booking, How
from app.visits import queries, rules
from app.visits.models import TerminalScan, Visit
from app.visits.rules import Scan, ScanAction
from app.visits.rules.terminals import Whereabouts
from app.visits.service.steps import at_the_door, of_open_visit
from app.workorders.models import WorkOrder
from app.worktypes.queries import template_of


async def scan(
    tx: AsyncSession, visit_id: UUID, caller: Caller, scanned: Scan, now: datetime
) -> TerminalScan:
    """Move terminals as they were scanned; the same scan again is answered like the first.

    Only what is in the technician's own van is fitted, and only what stands at the order's customer
    is taken away. Raises NotFound, VisitEnded, NotAtTheDoor, SameIdOtherContent, TerminalNotKnown,
    TerminalElsewhere, and Invalid for a reason or a kind that is missing.
    """
    visit = await queries.own(tx, visit_id, technician_of(caller))
    if (before := await _before(tx, visit, scanned)) is not None:
        return before
    order = await at_the_door(tx, visit, caller)
    # The order's lock is held now: a second request with this id has waited for the first.
    if (before := await _before(tx, visit, scanned)) is not None:
        return before
    reason = rules.reason_of(scanned.action, scanned.reason)
    how = How(
        why=reason,
        at=now,
        account_id=caller.account_id,
        technician_id=visit.technician_id,
        work_order_id=order.id,
        visit_id=visit.id,
        batch_id=scanned.id,
        device_at=scanned.device_at,
    )
    door = _Door(tx, caller, order, how)
    kind, warnings = await door.handle(scanned)
    made = TerminalScan(
        id=scanned.id,
        visit_id=visit.id,
        action=scanned.action,
        serial_number=scanned.serial_number,
        replaced_serial_number=scanned.replaced,
        kind=kind,
        reason=reason,
        content=scanned.content,
        warnings=[warning.value for warning in warnings],
        device_at=scanned.device_at,
        at=now,
        undone_at=None,
    )
    tx.add(made)
    try:
        await tx.flush()
    except IntegrityError as error:
        if is_broken("pk_terminal_scan", error):
            raise SameIdOtherContent(id=scanned.id) from error
        raise
    return made


async def undo(
    tx: AsyncSession,
    visit_id: UUID,
    scan_id: UUID,
    caller: Caller,
    *,
    device_at: datetime,
    now: datetime,
) -> TerminalScan:
    """Take a scan back while the visit goes on; a second time changes nothing.

    Raises NotFound, VisitEnded, and MovedSince when a terminal has gone on from there.
    """
    visit = await queries.own(tx, visit_id, technician_of(caller))
    made = await _scan_of(tx, visit, scan_id)
    if made.undone_at is not None:
        return made
    order = await of_open_visit(tx, visit, caller)
    made = await _scan_of(tx, visit, scan_id)
    if made.undone_at is not None:
        return made
    how = How(
        why=Why.MISTAKE,
        at=now,
        account_id=caller.account_id,
        technician_id=visit.technician_id,
        work_order_id=order.id,
        visit_id=visit.id,
        device_at=device_at,
    )
    await custody.undo(tx, await terminals.made_by(tx, scan_id), how)
    made.undone_at = now
    await tx.flush()
    return made


async def scanned(session: AsyncSession, visit_id: UUID, caller: Caller) -> Sequence[TerminalScan]:
    """List what was scanned in a technician's own visit, oldest first. Raises NotFound."""
    visit = await queries.own(session, visit_id, technician_of(caller))
    found = await session.scalars(
        select(TerminalScan)
        .where(TerminalScan.visit_id == visit.id)
        .order_by(TerminalScan.at, TerminalScan.id)
    )
    return found.all()


async def _before(tx: AsyncSession, visit: Visit, scanned: Scan) -> TerminalScan | None:
    made = await tx.get(TerminalScan, scanned.id, populate_existing=True)
    if made is None:
        return None
    if made.visit_id != visit.id or made.content != scanned.content:
        raise SameIdOtherContent(id=scanned.id)
    return made


async def _scan_of(tx: AsyncSession, visit: Visit, scan_id: UUID) -> TerminalScan:
    made = await tx.get(TerminalScan, scan_id, populate_existing=True)
    if made is None or made.visit_id != visit.id:
        raise NotFound()
    return made


@dataclass(frozen=True)
class _Door:
    """One scan at one door: whose it is, for which order, and how its moves are written down."""

    tx: AsyncSession
    caller: Caller
    order: WorkOrder
    how: How

    async def handle(self, scanned: Scan) -> tuple[TerminalKind, list[rules.ScanWarning]]:
        """Move what was scanned; tell its kind, and what is to be pointed out."""
        serials = [scanned.serial_number, *([scanned.replaced] if scanned.replaced else [])]
        held = await terminals.for_change(self.tx, serials)
        new = held.get(scanned.serial_number)
        match scanned.action:
            case ScanAction.FITTED:
                fitted = await self._fit(scanned.serial_number, new)
                warnings = await self._warnings(fitted.held.kind, None)
                await custody.book(self.tx, [fitted], self.how)
                return fitted.held.kind, warnings
            case ScanAction.SWAPPED:
                assert scanned.replaced is not None
                old = await self._take(scanned.replaced, held.get(scanned.replaced))
                fitted = await self._fit(scanned.serial_number, new)
                warnings = await self._warnings(fitted.held.kind, old.held.kind)
                await custody.book(self.tx, [old, fitted], self.how)
                return fitted.held.kind, warnings
            case ScanAction.TAKEN_AWAY:
                taken = await self._take(scanned.serial_number, new)
                await custody.book(self.tx, [taken], self.how)
                return taken.held.kind, []
            case ScanAction.FOUND:
                return await self._find(scanned, new), []

    async def _fit(self, serial: str, held: Held | None) -> Booking:
        if held is None:
            raise rules.TerminalNotKnown(serial_number=serial)
        if held.place.pool is not Pool.VAN or held.place.technician_id != self.how.technician_id:
            raise await self._refused(held, to_fit=True)
        home = Place(
            Pool.CUSTOMER,
            self.order.org_unit_id,
            customer_id=self.order.customer_id,
            service_number=self.order.service_number,
        )
        return custody.booking(held, Handling.FIT, home)

    async def _take(self, serial: str, held: Held | None) -> Booking:
        if held is None:
            raise rules.TerminalNotKnown(serial_number=serial)
        if not self._stands_here(held):
            raise await self._refused(held, to_fit=False)
        return custody.booking(held, Handling.TAKE, self._hands(held.place.org_unit_id))

    async def _find(self, scanned: Scan, held: Held | None) -> TerminalKind:
        hands = self._hands(self.order.org_unit_id)
        if held is None:
            if scanned.kind is None:
                raise Invalid(errors=[{"field": "kind", "message": "nobody knows its kind yet"}])
            made = await custody.take_in(
                self.tx,
                scanned.serial_number,
                scanned.kind,
                scanned.model or "unknown",
                Handling.TAKE_IN,
                hands,
                self.caller.org_path,
                self.how,
            )
            if made is not None:
                return scanned.kind
            held = (await terminals.for_change(self.tx, [scanned.serial_number]))[
                scanned.serial_number
            ]
        if held.place.pool not in (Pool.LOST, Pool.VOID):
            # What is booked here is simply taken away, and what is elsewhere belongs there.
            if not self._stands_here(held):
                raise await self._refused(held, to_fit=False)
            await custody.book(self.tx, [custody.booking(held, Handling.TAKE, hands)], self.how)
            return held.kind
        await custody.book(self.tx, [custody.booking(held, Handling.TAKE_IN, hands)], self.how)
        return held.kind

    def _stands_here(self, held: Held) -> bool:
        return held.place.of_customer(self.order.customer_id, self.order.service_number)

    def _hands(self, org_unit_id: UUID) -> Place:
        return Place(Pool.RECOVERED, org_unit_id, technician_id=self.how.technician_id)

    async def _warnings(
        self, kind: TerminalKind, replaced: TerminalKind | None
    ) -> list[rules.ScanWarning]:
        order = self.order
        template = await template_of(self.tx, order.template_id, order.work_type)
        standing = await terminals.standing_at(self.tx, order.customer_id, order.service_number)
        return rules.warnings_of(
            kind,
            asked_for={*map(TerminalKind, order.terminals), *template.fits},
            replaced=replaced,
            standing=set(standing.values()),
        )

    async def _refused(self, held: Held, *, to_fit: bool) -> rules.TerminalElsewhere:
        names = await terminals.names_of(self.tx, held.place)
        found = Whereabouts(
            place=held.place,
            seen=held.org_path.startswith(self.caller.org_path),
            own=held.place.technician_id == self.how.technician_id,
            here=self._stands_here(held),
            technician=names.technician,
            branch=Words(names.unit_zh, names.unit_en),
        )
        return rules.refusal(held.serial_number, found, to_fit=to_fit)
