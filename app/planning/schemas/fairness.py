"""Wire shapes of who had how much in the last month."""

from datetime import date
from typing import Annotated
from uuid import UUID

from pydantic import Field

from app.core.http import Answer, Line, Note
from app.core.paging import NextPage, Rows
from app.planning.rules.fairness import Measure, Standing


class MeasureOut(Answer):
    """How much of something a technician had, beside the others of their org unit."""

    measure: Measure
    amount: float = Field(description="In the whole month: minutes, kilometres or numbers.")
    per_hour: float | None = Field(description="For each hour on shift; null: too few of them.")
    median_per_hour: float | None = Field(description="The median of their org unit.")
    ratio: float | None = Field(description="`per_hour` to the median; null: not to be compared.")
    standing: Standing
    zh: Note
    en: Note


class TechnicianFairnessOut(Answer):
    """What one technician had."""

    technician_id: UUID
    code: Line
    name: Line
    org_unit_id: UUID
    hours_present: float = Field(description="On shift and not on leave.")
    measures: Annotated[list[MeasureOut], Field(max_length=len(Measure))]


class FairnessPage(Answer):
    """A page of technicians by code, in the month between two local days, both included."""

    since: date
    until: date
    technicians: Rows[TechnicianFairnessOut]
    next_page_token: NextPage
