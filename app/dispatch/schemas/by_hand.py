"""Wire shapes of what supervisors do by hand with many orders at once."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from app.core.http import Answer, Day, Input
from app.dispatch.models import BulkMove
from app.dispatch.rules import BulkKind
from app.dispatch.rules.moves import Command, Effect, Found, Judged, Selection, Wish
from app.dispatch.rules.why_not import MOST_ROWS, OVERRIDABLE, WHY_NOT_WORDS, WhyNot
from app.workorders.rules import State

Reason = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Version = Annotated[
    int, Field(ge=1, le=2**31 - 1, description="The order's version you saw; another is refused.")
]
Minutes = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]


class MoveRowIn(Input):
    """One order to be moved, and to whom or when if it is not the same for all."""

    order_id: UUID
    version: Version
    technician_id: UUID | None = None
    day: Annotated[Day | None, Field(description="A local day of their org unit.")] = None


class SelectionIn(Input):
    """Orders chosen by where they are: all that somebody has on a day, or a grid's open ones."""

    technician_id: UUID | None = None
    grid_id: UUID | None = None
    day: Annotated[
        Day | None,
        Field(description="A local day; of a grid, left out, whatever the day. Today has the rest"),
    ] = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.technician_id is None) == (self.grid_id is None):
            raise ValueError("say technician_id or grid_id")
        if self.technician_id is not None and self.day is None:
            raise ValueError("say of which day")
        return self

    def selection(self, today: date) -> Selection:
        """Give it as a value; `today` is the caller's local day."""
        return Selection(self.technician_id, self.grid_id, self.day, self.day == today)


class MovesIn(Input):
    """A command that gives many orders to people, or takes them back: all of them, or none.

    Who and when stand beside each row or once for all. Without a technician an order stays with its
    holder, without a day on its day.
    """

    id: Annotated[UUID, Field(description="Made by you: sent again, it is done once.")]
    kind: Literal["give", "take_back"]
    rows: Annotated[tuple[MoveRowIn, ...], Field(max_length=MOST_ROWS)] = ()
    of: Annotated[SelectionIn | None, Field(description="In place of rows.")] = None
    technician_id: UUID | None = None
    day: Annotated[Day | None, Field(description="A local day of their org unit.")] = None
    reason: Reason
    override: Annotated[
        bool,
        Field(description="Do it although rules say no, where reasons are `overridable`."),
    ] = False
    pin: Annotated[
        bool, Field(description="Nothing but a person moves what was given afterwards.")
    ] = True

    @model_validator(mode="after")
    def _rows_or_selection(self) -> Self:
        if bool(self.rows) == (self.of is not None):
            raise ValueError("say rows, or of whom or where")
        return self

    def command(self, today: date) -> Command:
        """Give what is asked for as a value; `today` is the caller's local day."""
        return Command(
            take_back=self.kind == "take_back",
            rows=[Wish(row.order_id, row.version, row.technician_id, row.day) for row in self.rows],
            of=None if self.of is None else self.of.selection(today),
            technician_id=self.technician_id,
            day=self.day,
        )

    def content_hash(self) -> str:
        """Tell the same again from something else under the same id."""
        return hashed(self)


class UndoIn(Input):
    """Undoing a command."""

    id: Annotated[UUID, Field(description="Of the undoing, made by you: sent again, done once.")]
    reason: Reason
    override: Annotated[
        bool,
        Field(description="Do it although their days have no room left, or they are on leave."),
    ] = False

    def content_hash(self) -> str:
        """Tell the same again from something else under the same id."""
        return hashed(self)


def hashed(body: Input) -> str:
    """Hash what was sent beside its id."""
    content = body.model_dump_json(exclude={"id"}, exclude_defaults=True)
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()


# --- answers --------------------------------------------------------------------------------------


class WhyNotOut(Answer):
    """Why an order cannot be moved, or only against a rule."""

    reason: WhyNot
    zh: str = Field(max_length=200)
    en: str = Field(max_length=200)
    overridable: bool = Field(description="Whether override: true can insist against it.")

    @classmethod
    def of(cls, why: WhyNot) -> Self:
        """Say a reason in both languages."""
        words = WHY_NOT_WORDS[why]
        return cls(reason=why, zh=words.zh, en=words.en, overridable=why in OVERRIDABLE)


class MoveRowOut(Answer):
    """What would become of one order."""

    order_id: UUID
    external_id: str | None = Field(max_length=128, description="Null when it is not there.")
    version: Version | None
    from_technician_id: UUID | None
    from_day: date | None
    technician_id: UUID | None = Field(description="Null when it is taken back.")
    day: date | None
    moves: bool = Field(description="False when it is there already.")
    possible: bool = Field(description="With the override that was sent.")
    reasons: list[WhyNotOut] = Field(max_length=20)
    begins_at: datetime | None = Field(description="When work would begin, as the day goes then.")
    late_seconds: Count = Field(description="After what was promised.")

    @classmethod
    def of(cls, row: Judged, *, override: bool) -> Self:
        """Shape a judged row."""
        order = row.order
        return cls(
            order_id=row.wish.order_id,
            external_id=order.external_id if order else None,
            version=order.version if order else None,
            from_technician_id=order.holder_id if order else None,
            from_day=order.planned_day if order else None,
            technician_id=row.technician_id,
            day=row.day,
            moves=row.moves,
            possible=not row.reasons or (override and row.insisting),
            reasons=[WhyNotOut.of(why) for why in row.reasons],
            begins_at=_moment(row.begin),
            late_seconds=row.late,
        )


class LeftOutOut(Answer):
    """An order among those chosen by where they are that cannot be moved, and is left alone."""

    order_id: UUID
    reason: WhyNot
    reason_words: WhyNotOut

    @classmethod
    def of(cls, order_id: UUID, why: WhyNot) -> Self:
        """Say why an order was left alone."""
        return cls(order_id=order_id, reason=why, reason_words=WhyNotOut.of(why))


class DayEffectOut(Answer):
    """A technician's day before and after."""

    technician_id: UUID
    day: date
    minutes_before: Minutes = Field(description="At doors, as promised.")
    minutes_after: Minutes
    orders_before: Count
    orders_after: Count
    left_before: Minutes = Field(description="Minutes that could still be given away.")
    left_after: Minutes
    missed_windows_before: Count = Field(description="Appointments that would not be kept.")
    missed_windows_after: Count
    late_before: Count = Field(description="Visits that would end after what was promised.")
    late_after: Count
    home_before: datetime | None = Field(description="When they would be home.")
    home_after: datetime | None

    @classmethod
    def of(cls, technician_id: UUID, day: date, effect: Effect) -> Self:
        """Shape what a day gains or loses."""
        return cls(
            technician_id=technician_id,
            day=day,
            minutes_before=effect.minutes[0],
            minutes_after=effect.minutes[1],
            orders_before=effect.orders[0],
            orders_after=effect.orders[1],
            left_before=effect.left[0],
            left_after=effect.left[1],
            missed_windows_before=effect.missed[0],
            missed_windows_after=effect.missed[1],
            late_before=effect.late[0],
            late_after=effect.late[1],
            home_before=_moment(effect.home[0]),
            home_after=_moment(effect.home[1]),
        )

    @classmethod
    def kept(cls, entry: Mapping[str, Any]) -> Self:
        """Shape an effect as it was kept with a command."""
        effect = Effect(*(tuple(entry[name]) for name in Effect._fields))
        return cls.of(entry["technician_id"], entry["day"], effect)


def _moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


class PreviewOut(Answer):
    """What a command would do, row by row, and to whose days; nothing was changed."""

    possible: bool = Field(description="Whether it would be done as a whole.")
    refused: Count = Field(description="Rows that stand in its way.")
    rows: list[MoveRowOut] = Field(max_length=MOST_ROWS)
    days: list[DayEffectOut] = Field(max_length=3 * MOST_ROWS)
    left_out: list[LeftOutOut] = Field(max_length=MOST_ROWS)

    @classmethod
    def shaped(
        cls,
        rows: list[Judged],
        effects: Mapping[tuple[UUID, date], Effect],
        left_out: list[tuple[Found, WhyNot]],
        *,
        override: bool,
    ) -> Self:
        """Shape a judged command."""
        shaped = [MoveRowOut.of(row, override=override) for row in rows]
        refused = sum(not row.possible for row in shaped)
        return cls(
            possible=not refused and any(row.moves for row in shaped),
            refused=refused,
            rows=shaped,
            days=[DayEffectOut.of(*key, effect) for key, effect in sorted(effects.items())],
            left_out=[LeftOutOut.of(order.id, why) for order, why in left_out],
        )


class PlaceOut(Answer):
    """Who had an order on which local day, and in which state it was."""

    technician_id: UUID | None
    day: date | None
    state: State


class MovedOut(Answer):
    """One order that was moved."""

    order_id: UUID
    external_id: str = Field(max_length=128)
    before: PlaceOut
    after: PlaceOut
    version: Version = Field(description="After the move; while it is that, it can be undone.")
    insisted: list[WhyNot] = Field(max_length=20, description="Rules it was moved against.")


class MoveSummaryOut(Answer):
    """A command that moved orders, or set the order of a day."""

    id: UUID
    kind: BulkKind
    at: datetime
    account_id: UUID | None
    reason: str = Field(max_length=2000)
    orders: Count = Field(description="How many it moved.")
    undoes: UUID | None
    undone_by: UUID | None

    @classmethod
    def summed(cls, move: BulkMove, undone_by: UUID | None) -> Self:
        """Shape a command as in a list."""
        return cls(
            id=move.id,
            kind=move.kind,
            at=move.at,
            account_id=move.account_id,
            reason=move.reason,
            orders=0 if move.kind is BulkKind.REORDER else len(move.after),
            undoes=move.undoes,
            undone_by=undone_by,
        )


class MovePage(Answer):
    """Commands of one's own, the newest first."""

    moves: list[MoveSummaryOut] = Field(max_length=200)
    next_page_token: str | None = Field(max_length=400)


class MoveOut(MoveSummaryOut):
    """A command with all that it moved, and what it did to the days."""

    moved: list[MovedOut] = Field(max_length=MOST_ROWS)
    days: list[DayEffectOut] = Field(max_length=3 * MOST_ROWS)
    left_out: list[LeftOutOut] = Field(max_length=MOST_ROWS)

    @classmethod
    def of(cls, move: BulkMove, undone_by: UUID | None) -> Self:
        """Shape a command that was carried out."""
        summary = MoveSummaryOut.summed(move, undone_by)
        pairs = [] if move.kind is BulkKind.REORDER else zip(move.before, move.after, strict=True)
        return cls(
            **summary.model_dump(),
            moved=[
                MovedOut(
                    order_id=after["order_id"],
                    external_id=before["external_id"],
                    before=PlaceOut(**before),
                    after=PlaceOut(**after),
                    version=after["version"],
                    insisted=after["insisted"],
                )
                for before, after in pairs
            ],
            days=[DayEffectOut.kept(entry) for entry in move.days],
            left_out=[
                LeftOutOut.of(entry["order_id"], WhyNot(entry["reason"])) for entry in move.left_out
            ],
        )
