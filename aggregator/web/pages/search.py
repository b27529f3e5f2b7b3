"""Search in everything stored, in the rule language."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from aggregator.core.errors import InvalidRule
from aggregator.web.asking import moment
from aggregator.web.desk import Found
from aggregator.web.given import GivenDesk, GivenPages
from aggregator.web.marking import Piece, marked, marked_snippet
from aggregator.web.pages.hits import SPANS_BACK

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
    found: tuple[Found, ...] = ()
    if question:
        try:
            found = await desk.search(
                question, since=moment(since or None, desk.clock.now()), limit=SHOWN, before=before
            )
        except InvalidRule as error:
            problem = error
    more = found[-1].entry.id if len(found) == SHOWN else None
    return pages.render(
        request, "search.html", status=422 if problem else 200, q=q, since=since, results=[_result(f) for f in found],
        problem=problem, more=more, back=SPANS_BACK,
    )  # fmt: skip
