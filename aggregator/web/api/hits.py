"""Hits, entries, stories and search."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import Field

from aggregator.core.model import HitFilter, Json, Told
from aggregator.core.schemas import entry_json, found_json, hit_json, instant, story_json
from aggregator.core.titles import named
from aggregator.ports.backend import Desk
from aggregator.web import export
from aggregator.web.api import bodies
from aggregator.web.dependencies import GivenDesk, GivenLive
from aggregator.web.params import (
    AskedHits,
    HitsAsked,
    Listing,
    Moment,
    after_cursor,
    cursor,
    leading_on,
    look_s,
    moment,
)

router = APIRouter(tags=["hits"], responses=bodies.ERRORS)

ROWS_AT_ONCE = 500
MAX_ENTRY_ID = 2**63 - 1
LOOKED_TO: dict[int | str, dict[str, Any]] = {
    200: {"headers": {"Looked-Back-To": {"schema": {"type": "string", "format": "date-time"}}}}
}
HitId = Annotated[str, Path(max_length=200)]


class SearchAsked(Listing):
    """A question in the rule language."""

    q: Annotated[str, Field(min_length=1, max_length=2000, description="A query line; see docs/rules.md.")]
    since: Moment = None
    before: Annotated[int | None, Field(ge=1, le=MAX_ENTRY_ID, description="Continue: entries older than this id.")] = (
        None
    )


class ExportAsked(HitsAsked):
    """Which hits, in which format; without a limit of its own."""

    format: Literal["csv", "jsonl"] = "csv"


async def _one(desk: Desk, hit_id: str) -> Json:
    (told,) = named([await desk.catalog.hit(hit_id)], desk.current().config)
    return hit_json(told)


@router.get("/hits", response_model=list[bodies.Hit])
async def list_hits(request: Request, desk: GivenDesk, asked: AskedHits) -> Response:
    """Hits, newest first. The `Link` header leads to the next page."""
    found = await desk.catalog.hits(asked.filter(desk.clock.now()), limit=asked.limit)
    tellings = named(found, desk.current().config)
    headers = leading_on(request, before=cursor(tellings[-1])) if len(tellings) == asked.limit else {}
    return JSONResponse([hit_json(told) for told in tellings], headers=headers)


@router.get(
    "/hits/export",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {}, "application/x-ndjson": {}}}},
)
async def export_hits(desk: GivenDesk, asked: Annotated[ExportAsked, Query()]) -> Response:
    """All hits of a filter as CSV (safe to open in a spreadsheet) or JSON Lines; `limit` is not used."""
    wanted = asked.filter(desk.clock.now())
    write: Callable[[Sequence[Told], bool], str] = (
        (lambda rows, first: export.as_csv(rows, head=first))
        if asked.format == "csv"
        else (lambda rows, _: export.as_jsonl(rows))
    )
    media = "text/csv; charset=utf-8" if asked.format == "csv" else "application/x-ndjson"
    headers = {"content-disposition": f'attachment; filename="hits.{asked.format}"'}
    return StreamingResponse(_rows(desk, wanted, write), media_type=media, headers=headers)


async def _rows(desk: GivenDesk, wanted: HitFilter, write: Callable[[Sequence[Told], bool], str]) -> AsyncIterator[str]:
    first, before = True, wanted.before
    while True:
        page = HitFilter(
            rule=wanted.rule, feed=wanted.feed, story=wanted.story, mark=wanted.mark,
            since=wanted.since, until=wanted.until, before=before,
        )  # fmt: skip
        tellings = await desk.catalog.hits(page, limit=ROWS_AT_ONCE)
        yield write(tellings, first)
        if len(tellings) < ROWS_AT_ONCE:
            return
        first, before = False, (tellings[-1].hit.created_at, tellings[-1].hit.id)


@router.get("/hits/{hit_id}", response_model=bodies.Hit)
async def show_hit(desk: GivenDesk, hit_id: HitId) -> Response:
    """One hit."""
    return JSONResponse(await _one(desk, hit_id))


@router.get("/hits/{hit_id}/why", response_model=list[bodies.Explanation])
async def explain_hit(desk: GivenDesk, hit_id: HitId) -> Response:
    """Why the rule matches, clause by clause, as `rules explain --json` has it; empty where the rule is gone."""
    why = await desk.explain(await desk.catalog.hit(hit_id))
    return JSONResponse([why.to_json()] if why else [])


@router.put("/hits/{hit_id}/mark", response_model=bodies.Hit)
async def mark_hit(desk: GivenDesk, hit_id: HitId, sent: bodies.MarkSent) -> Response:
    """Mark a hit relevant or irrelevant, or take the mark away (null)."""
    await desk.catalog.mark(hit_id, sent.mark)
    return JSONResponse(await _one(desk, hit_id))


@router.get("/entries/{entry_id}", response_model=bodies.Entry)
async def show_entry(desk: GivenDesk, entry_id: Annotated[int, Path(ge=1, le=MAX_ENTRY_ID)]) -> Response:
    """A stored entry with its text."""
    return JSONResponse(entry_json(await desk.catalog.entry(entry_id)))


@router.get("/stories/{story_id}", response_model=bodies.Story)
async def show_story(desk: GivenDesk, story_id: Annotated[str, Path(max_length=200)]) -> Response:
    """A story with its hits."""
    story, tellings = await desk.catalog.story(story_id)
    return JSONResponse(story_json(story, named(tellings, desk.current().config)))


@router.get("/search", response_model=list[bodies.Found], responses=LOOKED_TO)
async def search(request: Request, desk: GivenDesk, asked: Annotated[SearchAsked, Query()]) -> Response:
    """Stored entries that match a query line, newest first. The `Link` header leads on.

    What the index cannot narrow down is read entry by entry, for a moment only: then the header
    `Looked-Back-To` says how far that went, and there may be fewer entries than `limit`.
    """
    since = moment(asked.since, desk.clock.now())
    answer = await desk.search(
        asked.q, since=since, limit=asked.limit, before=asked.before, within_s=look_s(asked.before)
    )
    headers = leading_on(request, before=answer.more) if answer.more else {}
    if looked_to := instant(answer.looked_to):
        headers["looked-back-to"] = looked_to
    found = [found_json(one.entry, one.feed_title, one.spans, one.snippet) for one in answer.found]
    return JSONResponse(found, headers=headers)


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def events(request: Request, live: GivenLive) -> Response:
    """Server-sent events: `hit`, with a hit as data, for each new hit from now on.

    After a break, `Last-Event-ID` brings what was missed.
    """
    live.require_room()
    since = after_cursor(request.headers.get("last-event-id", "")[:300])
    return StreamingResponse(live.listen(since), media_type="text/event-stream", headers={"x-accel-buffering": "no"})
