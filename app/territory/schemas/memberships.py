"""Wire shapes of commands that give many grids to people."""

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from app.core.http import Answer, Day, Input, problem_body
from app.core.i18n import Lang
from app.grids.rules import MembershipKind
from app.grids.rules.asking import EVERY_DAY
from app.grids.rules.bulk import Assign, End, HandOver, Judged, Judgement, Row
from app.grids.rules.terms import Term
from app.territory.rules.loads import Load, Outlook

MOST_ROWS = 2000

Until = Annotated[Day | None, Field(description="The first day on which it no longer holds.")]
Weekdays = Annotated[int, Field(ge=1, le=127, description="Bit mask, Monday 1 to Sunday 64.")]
Ratio = Annotated[
    int,
    Field(ge=1, le=100, description="Percent of the technician's day that its orders may take."),
]
Rank = Annotated[int, Field(ge=1, le=99, description="Backups are asked in this order.")]


class AssignRow(Input):
    """A grid is given to a technician; the caller makes the id (UUIDv7)."""

    do: Literal["assign"]
    id: UUID
    grid_id: UUID
    technician_id: UUID
    kind: MembershipKind
    rank: Rank = 1
    valid_from: Day
    valid_to: Until = None
    weekdays: Weekdays = EVERY_DAY
    ratio: Ratio = 100

    def row(self) -> Row:
        """Say it in the words of the rules."""
        return Assign(Term(**self.model_dump(exclude={"do"})))


class HandOverRow(Input):
    """A technician becomes a grid's primary; whoever is primary that day ends on it."""

    do: Literal["hand_over"]
    id: UUID
    grid_id: UUID
    technician_id: UUID
    from_technician_id: Annotated[
        UUID | None, Field(description="Who has to be the primary until then; else refused.")
    ] = None
    valid_from: Day
    valid_to: Until = None
    weekdays: Weekdays = EVERY_DAY
    ratio: Ratio = 100

    def row(self) -> Row:
        """Say it in the words of the rules."""
        term = Term(
            **self.model_dump(exclude={"do", "from_technician_id"}),
            kind=MembershipKind.PRIMARY,
            rank=1,
        )
        return HandOver(term, self.from_technician_id)


class EndRow(Input):
    """A membership ends."""

    do: Literal["end"]
    membership_id: UUID
    valid_to: Annotated[Day, Field(description="The first day on which it no longer holds.")]

    def row(self) -> Row:
        """Say it in the words of the rules."""
        return End(self.membership_id, self.valid_to)


class BulkIn(Input):
    """Many memberships that begin and end in one command: all of them, or none."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "rows": [
                        {
                            "do": "hand_over",
                            "id": "01956f3a-7c00-7000-8000-00000000000a",
                            "grid_id": "01956f3a-7c00-7000-8000-00000000000c",
                            "technician_id": "01956f3a-7c00-7000-8000-00000000000b",
                            "valid_from": "2026-04-01",
                        }
                    ]
                }
            ]
        }
    )

    rows: Annotated[
        list[
            Annotated[AssignRow | HandOverRow | EndRow, Field(discriminator="do", title="BulkRow")]
        ],
        Field(min_length=1, max_length=MOST_ROWS),
    ]

    def command(self) -> list[Row]:
        """Say it in the words of the rules."""
        return [row.row() for row in self.rows]


Number = Annotated[int, Field(ge=1, le=MOST_ROWS, description="The row's number, from 1.")]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]


class TermOut(Answer):
    """Who looks after a grid, and when."""

    id: UUID
    grid_id: UUID
    technician_id: UUID
    kind: MembershipKind
    rank: int = Field(ge=1, le=1000)
    valid_from: date
    valid_to: date | None
    weekdays: int = Field(ge=1, le=127)
    ratio: int = Field(ge=1, le=100)


class DoneOut(Answer):
    """What a row came to."""

    row: Number
    membership: TermOut
    predecessor: TermOut | None = Field(
        description="The primary whose time ends on the day on which this one begins."
    )


class BulkOut(Answer):
    """What a command did, row by row; the same command again is answered alike."""

    rows: list[DoneOut] = Field(max_length=MOST_ROWS)

    @classmethod
    def of(cls, judgement: Judgement) -> "BulkOut":
        """Write a command out that was carried out."""
        return cls(
            rows=[
                DoneOut(row=n, membership=_term(one.term), predecessor=_term(one.predecessor))
                for n, one in enumerate(judgement.plan.rows, 1)
            ]
        )


class VerdictRow(Answer):
    """What a row would come to."""

    row: Number
    verdict: Literal["ready", "known", "refused"] = Field(
        description="`known`: it is so already, and would stay as it is."
    )
    problem: dict[str, Any] | None = Field(
        description="The refusal in the shape of Problem, when the row is refused."
    )
    grid_code: str | None = Field(max_length=64)
    grid_name: str | None = Field(max_length=200)
    membership: TermOut | None = Field(description="As it would be.")
    predecessor: TermOut | None = Field(
        description="The primary whose time would end on the day on which this one begins."
    )
    customers: Count = Field(description="Customers with an address in the grid.")
    open_orders: Count = Field(description="Orders in the grid that are not closed.")


class TotalsOut(Answer):
    """A command in figures."""

    rows: Count
    ready: Count
    known: Count
    refused: Count
    grids: Count = Field(description="Different grids of the rows that are not refused.")
    customers: Count
    open_orders: Count


class LoadOut(Answer):
    """How many grids and customers somebody is primary of, without and with the command."""

    technician_id: UUID
    code: str = Field(max_length=64)
    name: str = Field(max_length=200)
    active: bool
    grids_before: Count
    grids_after: Count
    customers_before: Count
    customers_after: Count

    @classmethod
    def of(cls, load: Load) -> "LoadOut":
        """Write one person's load out."""
        person, *_ = load
        return cls.model_validate(
            {"technician_id": person.id, **person._asdict(), **load._asdict()}
        )


class PreviewOut(Answer):
    """What a command would do, row by row, and what that means for everybody concerned."""

    totals: TotalsOut
    rows: list[VerdictRow] = Field(max_length=MOST_ROWS)
    day: date = Field(description="The local day of the loads: the last on which a row acts.")
    load: list[LoadOut] = Field(max_length=2 * MOST_ROWS)

    @classmethod
    def of(cls, found: Outlook, lang: Lang, request_id: str) -> "PreviewOut":
        """Write an outlook out, the refusals in one language."""
        rows = [
            _verdict(n, one, found, lang, request_id)
            for n, one in enumerate(found.judgement.plan.rows, 1)
        ]
        grids = {one.membership.grid_id for one in rows if one.membership is not None}
        verdicts = [row.verdict for row in rows]
        return cls(
            totals=TotalsOut(
                rows=len(rows),
                ready=verdicts.count("ready"),
                known=verdicts.count("known"),
                refused=verdicts.count("refused"),
                grids=len(grids),
                customers=sum(found.customers.get(grid, 0) for grid in grids),
                open_orders=sum(found.open_orders.get(grid, 0) for grid in grids),
            ),
            rows=rows,
            day=found.day,
            load=[LoadOut.of(load) for load in found.load],
        )


def _verdict(n: int, one: Judged, found: Outlook, lang: Lang, request_id: str) -> VerdictRow:
    # Of a grid that is not the caller's nothing is told.
    wanted = one.term or (None if isinstance(one.row, End) else one.row.term)
    grid_id = wanted.grid_id if wanted else None
    code, name = found.judgement.grids.get(grid_id, (None, None)) if grid_id else (None, None)
    return VerdictRow(
        row=n,
        verdict="refused" if one.problem else "known" if one.known else "ready",
        problem=problem_body(one.problem, lang, request_id) if one.problem else None,
        grid_code=code,
        grid_name=name,
        membership=_term(one.term),
        predecessor=_term(one.predecessor),
        customers=found.customers.get(grid_id, 0) if grid_id else 0,
        open_orders=found.open_orders.get(grid_id, 0) if grid_id else 0,
    )


def _term(term: Term | None) -> Any:
    return TermOut.model_validate(term) if term is not None else None
