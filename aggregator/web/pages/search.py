"""Search in everything stored, in the rule language."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from aggregator.core.errors import InvalidRule
from aggregator.core.results import Answer, Found
from aggregator.web.dependencies import GivenDesk, GivenPages
from aggregator.web.highlight import Piece, marked, marked_snippet
from aggregator.web.pages.hits import SPANS_BACK
from aggregator.web.params import look_s, moment

router = APIRouter()

SHOWN = 40
Result = tuple[Found, tuple[Piece, ...], tuple[Piece, ...]]


def _result(found: Found) -> Result:
    title = marked(found.entry.title, found.spans, "title")
    same = found.snippet == found.entry.title
    return found, title, () if same else marked_snippet(found.snippet, found.spans)


@router.get("/search")
async def search(
    request: Request,
    desk: GivenDesk,
    pages: GivenPages,
    q: Annotated[str, Field(max_length=2000)] = "",
    since: Annotated[str, Field(max_length=40)] = "",
    before: Annotated[int | None, Field(ge=1, le=2**63 - 1)] = None,
) -> Response:
    """Entries that a query line matches, newest first; what is wrong with it is said beside the field."""
    question, problem = q.strip(), None
    answer = Answer()
    if question:
        try:
            answer = await desk.search(
                question, since=moment(since or None, desk.clock.now()), limit=SHOWN, before=before,
                within_s=look_s(before),
            )  # fmt: skip
        except InvalidRule as error:
            problem = error
    results = [_result(found) for found in answer.found]
    return pages.render(
        request, "search.html", status=422 if problem else 200, q=question, since=since, results=results,
        problems=problem.problems if problem else (), answer=answer, back=SPANS_BACK,
    )  # fmt: skip
