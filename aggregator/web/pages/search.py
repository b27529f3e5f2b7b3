"""Search in all stored entries, in the rule language."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date
from itertools import groupby
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from aggregator.core.errors import InvalidRule
from aggregator.core.highlight import Run, field_runs, snippet_runs
from aggregator.core.model import SearchOrder
from aggregator.core.results import EntryMatch, SearchResult
from aggregator.web.dependencies import BackendDep, TemplatesDep
from aggregator.web.pages.hits import spans_back
from aggregator.web.params import Since, Until, search_time_s, time_span
from aggregator.web.templating import query, reader_now

router = APIRouter()

SHOWN, COUNTED = 40, 200  # entries on a page, and those that facets count: more would cost what a page may
Result = tuple[EntryMatch, tuple[Run, ...], tuple[Run, ...]]
Counts = list[tuple[str, int]]


class SearchForm(BaseModel):
    """The form of the page, which sends empty fields too; what actions leave in the address is let through."""

    model_config = ConfigDict(extra="ignore")

    q: Annotated[str, Field(max_length=2000)] = ""
    feed: Annotated[str, Field(max_length=200)] = ""
    lang: Annotated[str, Field(max_length=40)] = ""
    since: Since = ""
    until: Until = ""
    by: SearchOrder = "published"
    before: Annotated[int | None, Field(ge=1, le=2**63 - 1)] = None
    facets: bool = False

    @model_validator(mode="before")
    @classmethod
    def _without_blanks(cls, sent: dict[str, object]) -> dict[str, object]:
        return {name: value for name, value in sent.items() if value != ""}

    @property
    def asked(self) -> dict[str, str]:
        """Return the parameters that say what is searched for."""
        by = self.by if self.by != "published" else ""
        said = {"q": self.q.strip(), "feed": self.feed, "lang": self.lang, "since": self.since, "until": self.until}
        return {name: value for name, value in (said | {"by": by}).items() if value}

    @property
    def narrowed(self) -> bool:
        """Tell whether more than a query was asked for."""
        return bool(self.feed or self.lang or self.since or self.until)


@dataclass(frozen=True, slots=True)
class SearchFacets:
    """How many of the first `entries` that match have each value, most first; days newest first.

    `complete`: these are all that match.
    """

    feeds: Counts
    languages: Counts
    days: list[tuple[date, int]]
    entries: int
    complete: bool


def _result(found: EntryMatch) -> Result:
    title = field_runs(found.entry.title, found.spans, "title")
    same = found.snippet == found.entry.title
    return found, title, () if same else snippet_runs(found.snippet, found.spans)


def _counted(values: Iterable[str | None]) -> Counts:
    return Counter(value or "" for value in values).most_common()


def _facets(answer: SearchResult, days: Sequence[date]) -> SearchFacets:
    return SearchFacets(
        feeds=_counted(one.entry.feed for one in answer.found),
        languages=_counted(one.entry.lang for one in answer.found),
        days=sorted(Counter(days).items(), reverse=True),
        entries=len(answer.found),
        complete=answer.more is None,
    )


def _first_page(answer: SearchResult) -> SearchResult:
    """Return what a page shows of an answer, which goes on behind its last entry."""
    if len(answer.found) <= SHOWN:
        return answer
    return SearchResult(found=answer.found[:SHOWN], more=answer.found[SHOWN - 1].entry.id)


@router.get("/search")
async def search(
    request: Request, backend: BackendDep, templates: TemplatesDep, form: Annotated[SearchForm, Query()]
) -> Response:
    """List entries that a query line matches, newest first; its problems are shown beside the field."""
    question, problem, now = form.q.strip(), None, reader_now(request, backend)
    answer, zone = SearchResult(), now.tzinfo or UTC
    if question:
        try:
            span = time_span(form.since or None, form.until or None, now)
            answer = await backend.search(
                question, since=span.since, until=span.until, by=form.by,
                limit=COUNTED if form.facets else SHOWN, before=form.before,
                within_s=search_time_s(form.before), feed=form.feed, lang=form.lang,
            )  # fmt: skip
        except InvalidRule as error:
            problem = error
    entries = [found.entry for found in answer.found]
    dates = [(e.recorded_at if form.by == "recorded" else e.dated_at).astimezone(zone).date() for e in entries]
    facets = _facets(answer, dates) if form.facets and entries else None
    answer = _first_page(answer) if form.facets else answer
    results = list(zip(dates, map(_result, answer.found), strict=False))  # the dates are of all that is counted
    by_day = [(day, [one for _, one in run]) for day, run in groupby(results, key=lambda one: one[0])]
    feeds = {feed.id: feed.title or feed.id for feed in backend.current().config.feeds}
    return templates.render(
        request, "search.html", status=422 if problem else 200, form=form, q=question, answer=answer,
        days=by_day if form.by != "relevance" else [(None, [one for _, one in results])] if results else [],
        facets=facets,
        problems=problem.problems if problem else (), back=spans_back(form.since), feeds=list(feeds.items()),
        feed_names=feeds, views=[view for view in await backend.catalog.views() if "q" in dict(view.query)],
        as_view=query(**form.asked).removeprefix("?"),
    )  # fmt: skip
