"""The customer's doorways: no account opens them, but a link that nobody can guess.

A link that opens nothing is counted in a transaction of its own, after the one that looked for it:
the count has to stay although the request is refused.
"""

from typing import Annotated

from fastapi import Path, Request, Response

from app.auth.audit import address_of
from app.auth.service import count_miss
from app.core import clock
from app.core.db import Database
from app.core.doorways import Router
from app.core.http import Now
from app.followups import rules
from app.followups.schemas.surveys import AnswerIn, GivenOut, SurveyOut
from app.followups.service import answering

router = Router(prefix="/v1/surveys", tags=["surveys"])

Token = Annotated[
    str, Path(min_length=1, max_length=200, description="The secret part of the link.")
]


@router.get("/{token}", operation_id="surveys_show")
async def show(token: Token, request: Request, response: Response, now: Now) -> SurveyOut:
    """Show a survey: about which visit it is, what is asked, and what was answered if it was.

    A link that never was, or is over, is answered alike.
    """
    response.headers["cache-control"] = "no-store"
    database: Database = request.app.state.database
    async with database.read() as read:
        found = await answering.show(read, token, now=now)
    if found is None:
        await _miss(request)
        raise rules.SurveyNotFound()
    return SurveyOut.of(found)


@router.post("/{token}", operation_id="surveys_answer")
async def answer(
    token: Token, body: AnswerIn, request: Request, response: Response, now: Now
) -> GivenOut:
    """Answer a survey, once; the same answer again is answered like the first time."""
    response.headers["cache-control"] = "no-store"
    database: Database = request.app.state.database
    async with database.begin(request) as tx:
        follow_up = await answering.answer(tx, token, body.answered(), now=now)
    if follow_up is None:
        await _miss(request)
        raise rules.SurveyNotFound()
    return GivenOut.of(follow_up)


async def _miss(request: Request) -> None:
    """Count a link that opens nothing. Raises TooMany.

    Links that open something are never held up, so that nobody who shares an address suffers.
    """
    database: Database = request.app.state.database
    async with database.begin(request) as tx:
        await count_miss(
            tx, "survey", rules.MISSES_FREE, address=address_of(request), now=clock.wall()
        )
