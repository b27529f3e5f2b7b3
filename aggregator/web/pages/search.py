"""Search in all stored entries, in the rule language."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from aggregator.core.errors import InvalidRule
from aggregator.core.highlight import Run, field_runs, snippet_runs
from aggregator.core.model import SearchOrder
from aggregator.core.results import EntryMatch, SearchResult
from aggregator.web.dependencies import BackendDep, TemplatesDep
from aggregator.web.pages.hits import spans_back
from aggregator.web.params import Since, Until, search_time_s, time_span
from aggregator.web.templating import reader_now

router = APIRouter()

SHOWN = 40
Result = tuple[EntryMatch, tuple[Run, ...], tuple[Run, ...]]


def _result(found: EntryMatch) -> Result:
    title = field_runs(found.entry.title, found.spans, "title")
    same = found.snippet == found.entry.title
    return found, title, () if same else snippet_runs(found.snippet, found.spans)


@router.get("/search")
async def search(
    request: Request,
    backend: BackendDep,
    templates: TemplatesDep,
    q: Annotated[str, Field(max_length=2000)] = "",
    since: Since = "",
    until: Until = "",
    by: SearchOrder = "published",
    before: Annotated[int | None, Field(ge=1, le=2**63 - 1)] = None,
) -> Response:
    """List entries that a query line matches, newest first; its problems are shown beside the field."""
    question, problem, now = q.strip(), None, reader_now(request, backend)
    answer = SearchResult()
    if question:
        try:
            span = time_span(since or None, until or None, now)
            answer = await backend.search(
                question, since=span.since, until=span.until, by=by, limit=SHOWN, before=before,
                within_s=search_time_s(before),
            )  # fmt: skip
        except InvalidRule as error:
            problem = error
    results = [_result(found) for found in answer.found]
    return templates.render(
        request, "search.html", status=422 if problem else 200, q=question, since=since, until=until, by=by,
        results=results,        problems=problem.problems if problem else (), answer=answer, back=spans_back(since),
    )  # fmt: skip
