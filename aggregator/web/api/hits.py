"""Hits, entries, stories and search."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from msgspec.structs import replace
from pydantic import Field

from aggregator.core.model import HitDetail, HitFilter, Json, SearchOrder
from aggregator.core.schemas import (
    baseline_json,
    entry_json,
    explanation_json,
    found_json,
    hit_json,
    instant,
    models,
    story_change_json,
    story_json,
    story_summary_json,
)
from aggregator.core.titles import with_titles
from aggregator.ports.backend import Backend
from aggregator.web import export
from aggregator.web.api import bodies
from aggregator.web.dependencies import BackendDep, EventsDep, local_now, new_undo, undo_header
from aggregator.web.params import (
    Before,
    HitParams,
    HitQuery,
    ListQuery,
    Name,
    Since,
    Until,
    after_cursor,
    cursor,
    cursor_of,
    next_link,
    search_time_s,
    time_span,
)

router = APIRouter(tags=["hits"], responses=bodies.ERRORS)

PAGE_SIZE = 500
CSV = "text/csv; charset=utf-8"
MAX_ENTRY_ID = 2**63 - 1
SEARCHED_BACK_TO: dict[int | str, dict[str, Any]] = {
    200: {
        "headers": {
            "X-Searched-Back-To": {"schema": {"type": "string", "format": "date-time"}},
            "Looked-Back-To": {"schema": {"type": "string", "format": "date-time"}},
        }
    }
}
HitId = Annotated[str, Path(max_length=200)]


class StoryQuery(ListQuery):
    """A page of stories."""

    rule: Name = None
    since: Since = None
    until: Until = None
    before: Before = None


class SearchQuery(ListQuery):
    """A question in the rule language."""

    q: Annotated[str, Field(min_length=1, max_length=2000, description="A query; see docs/rules.md.")]
    feed: Name = None
    lang: Annotated[str | None, Field(max_length=40)] = None
    since: Since = None
    until: Until = None
    by: Annotated[SearchOrder, Field(description="Newest by publication or recording, or most relevant first.")] = (
        "published"
    )
    before: Annotated[int | None, Field(ge=1, le=MAX_ENTRY_ID, description="Continue: entries older than this id.")] = (
        None
    )


class ExportQuery(HitQuery):
    """Which hits, in which format; without a limit of its own."""

    format: Literal["csv", "jsonl"] = "csv"


async def _one(backend: Backend, hit_id: str) -> Json:
    (detail,) = with_titles([await backend.catalog.hit(hit_id)], backend.current().config)
    return hit_json(detail)


@router.get("/hits", response_model=list[models.Hit])
async def list_hits(request: Request, backend: BackendDep, asked: HitParams) -> Response:
    """List hits, newest first; paginated via `Link`."""
    found = await backend.catalog.hits(asked.filter(local_now(backend)), limit=asked.limit)
    details = with_titles(found, backend.current().config)
    headers = next_link(request, before=cursor(details[-1], asked.by)) if len(details) == asked.limit else {}
    return JSONResponse([hit_json(detail) for detail in details], headers=headers)


@router.get(
    "/hits/export",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {}, "application/x-ndjson": {}}}},
)
async def export_hits(backend: BackendDep, asked: Annotated[ExportQuery, Query()]) -> Response:
    """Export all matching hits as CSV (safe to open in a spreadsheet) or JSON Lines; `limit` is ignored."""
    wanted = asked.filter(local_now(backend))
    if asked.format == "csv":
        rows, media = csv_rows(backend, wanted), CSV
    else:
        rows, media = _rows(backend, wanted, lambda found, _: export.as_jsonl(found)), "application/x-ndjson"
    headers = {"content-disposition": f'attachment; filename="hits.{asked.format}"'}
    return StreamingResponse(rows, media_type=media, headers=headers)


def csv_rows(backend: Backend, wanted: HitFilter) -> AsyncIterator[str]:
    """Write all hits of a listing as CSV, page by page."""
    return _rows(backend, wanted, lambda found, first: export.as_csv(found, head=first, for_excel=True))


async def _rows(
    backend: Backend, wanted: HitFilter, write: Callable[[Sequence[HitDetail], bool], str]
) -> AsyncIterator[str]:
    first, before = True, wanted.before
    while True:
        details = await backend.catalog.hits(replace(wanted, before=before), limit=PAGE_SIZE)
        yield write(details, first)
        if len(details) < PAGE_SIZE:
            return
        first, before = False, details[-1].place(wanted.by)


@router.post("/hits/baseline", response_model=models.BaselineSent)
async def send_baseline(backend: BackendDep, sent: bodies.SendBaseline) -> Response:
    """Queue one digest of the hits that were there at the first polls, each of them once."""
    change = new_undo(backend, "digest sent")
    done = await backend.send_baseline(sent.rule, undo=change)
    return JSONResponse(baseline_json(done), headers=undo_header(change, done.hits))


@router.get("/hits/{hit_id}", response_model=models.Hit)
async def show_hit(backend: BackendDep, hit_id: HitId) -> Response:
    """Show one hit."""
    return JSONResponse(await _one(backend, hit_id))


@router.get("/hits/{hit_id}/why", response_model=list[models.Explanation])
async def explain_hit(backend: BackendDep, hit_id: HitId) -> Response:
    """Explain clause by clause why the rule matches, like `rules explain --json`; empty if the rule is gone."""
    why = await backend.explain(await backend.catalog.hit(hit_id))
    return JSONResponse([explanation_json(why)] if why else [])


@router.put("/hits/{hit_id}/mark", response_model=models.Hit)
async def mark_hit(backend: BackendDep, hit_id: HitId, sent: bodies.SetMark) -> Response:
    """Mark this one hit, whatever its card is marked, or remove the mark (null); `X-Undo` names the undo."""
    undo = new_undo(backend, sent.mark or "unmarked")
    changed = await backend.catalog.mark([hit_id], sent.mark, undo=undo)
    return JSONResponse(await _one(backend, hit_id), headers=undo_header(undo, changed))


@router.get("/entries/{entry_id}", response_model=models.Entry)
async def show_entry(backend: BackendDep, entry_id: Annotated[int, Path(ge=1, le=MAX_ENTRY_ID)]) -> Response:
    """Show a stored entry with its text."""
    return JSONResponse(entry_json(await backend.catalog.entry(entry_id)))


@router.get("/stories", response_model=list[models.StorySummary])
async def list_stories(request: Request, backend: BackendDep, asked: Annotated[StoryQuery, Query()]) -> Response:
    """List stories by their latest report, the latest first; paginated via `Link`."""
    span = time_span(asked.since, asked.until, local_now(backend))
    found = await backend.catalog.stories(
        rule=asked.rule, since=span.since, until=span.until, before=after_cursor(asked.before), limit=asked.limit
    )
    more = len(found) == asked.limit
    headers = next_link(request, before=cursor_of(found[-1].last_at, found[-1].id)) if more else {}
    return JSONResponse([story_summary_json(one) for one in found], headers=headers)


@router.post("/hits/{hit_id}/split", response_model=models.StoryChange)
async def split_hit(backend: BackendDep, hit_id: HitId) -> Response:
    """Take a hit's entry, with its copies, out of its story; it is alerted at once if it was folded."""
    undo = new_undo(backend, "split")
    change = await backend.split_hit(hit_id, undo=undo)
    return JSONResponse(story_change_json(change), headers=undo_header(undo))


@router.post("/stories/{story_id}/join", response_model=models.StoryChange)
async def join_stories(
    backend: BackendDep, story_id: Annotated[str, Path(max_length=200)], sent: bodies.JoinStories
) -> Response:
    """Put everything of the other story into this one."""
    undo = new_undo(backend, "joined")
    change = await backend.join_stories(story_id, sent.other, undo=undo)
    return JSONResponse(story_change_json(change), headers=undo_header(undo))


@router.get("/stories/{story_id}", response_model=models.Story)
async def show_story(backend: BackendDep, story_id: Annotated[str, Path(max_length=200)]) -> Response:
    """Show a story with its hits."""
    story, details = await backend.catalog.story(story_id)
    return JSONResponse(story_json(story, with_titles(details, backend.current().config)))


@router.get("/search", response_model=list[models.EntryMatch], responses=SEARCHED_BACK_TO)
async def search(request: Request, backend: BackendDep, asked: Annotated[SearchQuery, Query()]) -> Response:
    """Search stored entries, newest first; paginated via `Link`. By relevance there is one page only.

    What the index cannot narrow down is read entry by entry, for a moment only: then the header
    `Looked-Back-To` says how far that went, and there may be fewer entries than `limit`.
    """
    span = time_span(asked.since, asked.until, local_now(backend))
    answer = await backend.search(
        asked.q,
        since=span.since,
        until=span.until,
        by=asked.by,
        limit=asked.limit,
        before=asked.before,
        feed=asked.feed or "",
        lang=asked.lang or "",
        within_s=search_time_s(asked.before),
    )
    headers = next_link(request, before=answer.more) if answer.more else {}
    if reached := instant(answer.searched_back_to):
        headers["x-searched-back-to"] = reached
        headers["looked-back-to"] = reached  # the old name, for one release
    found = [found_json(one) for one in answer.found]
    return JSONResponse(found, headers=headers)


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def events(request: Request, events: EventsDep) -> Response:
    """Stream new hits as server-sent events: `hit`, with the hit as data.

    After a break, `Last-Event-ID` brings what was missed.
    """
    events.require_room()
    since = after_cursor(request.headers.get("last-event-id", "")[:300])
    stream = events.listen(since, is_allowed=request.scope["is_still_allowed"])
    return StreamingResponse(stream, media_type="text/event-stream", headers={"x-accel-buffering": "no"})
