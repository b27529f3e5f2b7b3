"""Feeds: health, adding, polling, OPML."""

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from aggregator.core.errors import NotFound
from aggregator.core.model import FeedSummary, Json
from aggregator.core.results import PollOutcome
from aggregator.core.schemas import actions, as_json, candidate_json, feed_json, imported_json, models
from aggregator.core.settings import Config
from aggregator.ports.backend import Backend
from aggregator.web.api import bodies
from aggregator.web.dependencies import BackendDep, edit_header, new_undo, undo_header
from aggregator.web.params import NamesParams, next_link

router = APIRouter(tags=["feeds"], responses=bodies.ERRORS)

BEFORE_MARKUP = b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n"  # byte order marks and white space


async def one_feed(backend: Backend, feed_id: str) -> FeedSummary:
    """Return a feed of the configuration or of the past. Raises NotFound."""
    found = await backend.catalog.feeds([feed_id])
    if not found:
        raise NotFound("feed", feed_id, [feed.id for feed in backend.current().config.feeds])
    return found[0]


def _shape(summary: FeedSummary, config: Config) -> Json:
    return feed_json(summary, next((feed for feed in config.feeds if feed.id == summary.state.id), None))


@router.get("/feeds", response_model=list[models.Feed])
async def list_feeds(request: Request, backend: BackendDep, asked: NamesParams) -> Response:
    """List configured feeds by id; paginated via `Link`."""
    feeds = {feed.id: feed for feed in backend.current().config.feeds}
    found = await backend.catalog.feeds(after=asked.after, limit=asked.limit)
    headers = next_link(request, after=found[-1].state.id) if len(found) == asked.limit else {}
    return JSONResponse([feed_json(s, feeds.get(s.state.id)) for s in found], headers=headers)


@router.post("/feeds", response_model=models.Feed, status_code=201)
async def add_feed(backend: BackendDep, sent: bodies.CreateFeed) -> Response:
    """Find the feed at a URL, as `feeds add` does, and add it to the configuration; or read the URL as a `kind`.

    The best one found is added; 404 says that there is none, 409 that it is watched already. An address that cannot be
    reached now is written as it is.
    """
    added = await backend.add_feed(
        sent.url, title=sent.title, tags=sent.tags, feed_id=sent.id or "", find=True, keys=sent.keys
    )
    shape = _shape(await one_feed(backend, added.id), backend.current().config)
    return JSONResponse(shape, 201, edit_header(added.edit))


@router.post("/feeds/discover", response_model=list[models.FeedCandidate])
async def discover(backend: BackendDep, sent: bodies.DiscoverFeeds) -> Response:
    """List what a site offers to watch: feeds, else sitemaps, else the list on its page; nothing is written."""
    return JSONResponse([candidate_json(one) for one in (await backend.discover(sent.url)).candidates])


@router.post(
    "/feeds/import",
    response_model=models.ImportResult,
    openapi_extra={
        "requestBody": {"required": True, "content": {"text/x-opml": {"schema": {"type": "string", "pattern": "^<"}}}}
    },
)
async def import_opml(request: Request, backend: BackendDep) -> Response:
    """Add the feeds of an OPML document, sent as the body."""
    document = await request.body()
    if not document.lstrip(BEFORE_MARKUP).startswith(b"<"):
        raise HTTPException(422, "the body must be an OPML document")
    report = await backend.import_opml(document)
    return JSONResponse(imported_json(report), headers=edit_header(report.edit))


@router.get("/feeds/{feed_id}", response_model=models.Feed)
async def show_feed(backend: BackendDep, feed_id: str) -> Response:
    """Show one feed."""
    return JSONResponse(_shape(await one_feed(backend, feed_id), backend.current().config))


@router.post("/feeds/{feed_id}/poll", response_model=models.Feed)
async def poll_feed(backend: BackendDep, feed_id: str) -> Response:
    """Queue a poll of one feed; Retry-After is still honoured."""
    await one_feed(backend, feed_id)
    await backend.catalog.poll_soon(feed_id, backend.clock.now())
    return JSONResponse(_shape(await one_feed(backend, feed_id), backend.current().config))


@router.post("/feeds/{feed_id}/poll-now", response_model=actions.PollOutcome)
async def poll_feed_now(backend: BackendDep, feed_id: str) -> Response:
    """Poll one feed and wait for what comes of it."""
    await one_feed(backend, feed_id)
    found = await backend.poll_now(feed_id)
    outcome = found or PollOutcome(feed=feed_id)
    values = {
        "feed": feed_id,
        "done": found is not None,
        "new": outcome.new,
        "hits": outcome.hits,
        "error": outcome.error,
    }
    return JSONResponse(as_json(actions.PollOutcome, values))


@router.patch("/feeds/{feed_id}", response_model=actions.FeedChanged)
async def change_feed(backend: BackendDep, feed_id: str, sent: bodies.ChangeFeed) -> Response:
    """Write title, tags or interval of a feed into its file; every other line stays."""
    values = {name: getattr(sent, name) or None for name in sent.model_fields_set}
    edit = await backend.change_feeds({feed_id: values}, about=feed_id)
    return JSONResponse(as_json(actions.FeedChanged, {"feed": feed_id, "edit": edit}), headers=edit_header(edit))


@router.delete("/feeds/{feed_id}", response_model=actions.FeedChanged)
async def remove_feed(backend: BackendDep, feed_id: str) -> Response:
    """Remove a feed from the configuration; 422 if a rule still names it. Its entries stay until they expire."""
    edit = await backend.change_feeds({feed_id: None}, about=feed_id)
    return JSONResponse(as_json(actions.FeedChanged, {"feed": feed_id, "edit": edit}), headers=edit_header(edit))


@router.put("/feeds/{feed_id}/paused", response_model=models.Feed)
async def pause_feed(backend: BackendDep, feed_id: str, sent: bodies.SetPaused) -> Response:
    """Pause or resume a feed."""
    await one_feed(backend, feed_id)
    change = new_undo(backend, "feed paused" if sent.paused else "feed resumed")
    await backend.catalog.pause(feed_id, sent.paused, change.made_at, undo=change)
    shape = _shape(await one_feed(backend, feed_id), backend.current().config)
    return JSONResponse(shape, headers=undo_header(change))
