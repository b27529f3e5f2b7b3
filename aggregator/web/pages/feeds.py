"""Feeds: health in words, rhythm, adding, pausing, polling, OPML."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from aggregator.core.errors import AggregatorError
from aggregator.core.model import Health, HitFilter
from aggregator.core.text.urls import login_in
from aggregator.core.titles import with_titles
from aggregator.ports.backend import Backend
from aggregator.web.api.feeds import one_feed
from aggregator.web.dependencies import BackendDep, TemplatesDep, redirect_after_post
from aggregator.web.errors import status_of
from aggregator.web.templating import reader_now
from aggregator.web.view_models import story_cards

router = APIRouter()

FEEDS_SHOWN = 40
RECENT = 20


class AddressForm(BaseModel):
    """The form for a new feed."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[str, Field(min_length=1, max_length=2048)]


class FeedForm(AddressForm):
    """The button beside a candidate."""

    title: Annotated[str, Field(max_length=300)] = ""
    tags: Annotated[str, Field(max_length=500)] = ""


def _names(backend: Backend) -> dict[str, str]:
    return {feed.id: feed.title for feed in backend.current().config.feeds if feed.title}


async def _found(backend: Backend, words: str) -> list[str]:
    """Return the feeds that match a part of their id, name, address or tags, as they are shown.

    Masked parts cannot be searched either: otherwise a key could be guessed character by character.
    """
    part, configured = words.casefold(), {feed.id: feed for feed in backend.current().config.feeds}
    found = []
    for summary in await backend.catalog.feeds():
        state, feed = summary.state, configured.get(summary.state.id)
        texts = (state.id, state.title or "", state.url, state.configured_url, *(feed.tags if feed else ()))
        if feed and any(part in text.casefold() for text in (*texts, feed.title)):
            found.append(state.id)
    return sorted(found)


@router.get("/feeds")
async def overview(
    request: Request,
    backend: BackendDep,
    templates: TemplatesDep,
    state: Health | None = None,
    find: Annotated[str, Field(max_length=200)] = "",
    page: Annotated[int, Field(ge=1, le=100_000)] = 1,
) -> Response:
    """List every feed, problems first; or those whose id, name, address or tags contain the text."""
    start, wanted = (page - 1) * FEEDS_SHOWN, find.strip()
    ids = await _found(backend, wanted) if wanted else []
    if wanted:
        shown = await backend.catalog.feeds(ids[start : start + FEEDS_SHOWN])
    else:
        shown = await backend.catalog.feed_page(health=state, offset=start, limit=FEEDS_SHOWN)
    days = await backend.catalog.feed_days([s.state.id for s in shown], reader_now(request, backend))
    counts = {health.value: number for health, number in (await backend.catalog.health()).items()}
    total = sum(counts.values())
    chosen = len(ids) if wanted else counts.get(state.value, 0) if state else total
    return templates.render(
        request, "feeds.html", shown=shown, days=days, counts=counts, total=total, state=state, page=page,
        pages=-(-chosen // FEEDS_SHOWN), names=_names(backend), find=wanted,
    )  # fmt: skip


@router.get("/feeds/add")
async def ask(request: Request, templates: TemplatesDep) -> Response:
    """Show the form for an address, and for a file."""
    return templates.render(request, "feed_add.html", url="", candidates=None, problem=None, report=None)


@router.post("/feeds/discover")
async def discover(
    request: Request, backend: BackendDep, templates: TemplatesDep, sent: Annotated[AddressForm, Form()]
) -> Response:
    """Show the feeds behind an address, before one is added."""
    try:
        candidates = await backend.discover(sent.url)
    except AggregatorError as error:
        return _add(templates, request, sent.url, problem=error)
    shown = login_in(sent.url).url
    return templates.render(request, "feed_add.html", url=shown, candidates=candidates, problem=None, report=None)


@router.post("/feeds/add")
async def add(
    request: Request, backend: BackendDep, templates: TemplatesDep, sent: Annotated[FeedForm, Form()]
) -> Response:
    """Write a feed into the configuration."""
    tags = [tag.strip() for tag in sent.tags.split(",") if tag.strip()]
    try:
        feed_id = await backend.add_feed(sent.url, title=sent.title.strip(), tags=tags)
    except AggregatorError as error:
        return _add(templates, request, sent.url, problem=error)
    return redirect_after_post(f"/feeds/{feed_id}", "added")


@router.post("/feeds/import")
async def import_opml(request: Request, backend: BackendDep, templates: TemplatesDep, file: UploadFile) -> Response:
    """Add the feeds of an OPML file."""
    try:
        report = await backend.import_opml(await file.read())
    except AggregatorError as error:
        return _add(templates, request, "", problem=error)
    return templates.render(request, "feed_add.html", url="", candidates=None, problem=None, report=report)


@router.get("/feeds/{feed_id}")
async def one(request: Request, backend: BackendDep, templates: TemplatesDep, feed_id: str) -> Response:
    """Show one feed: health, activity, latest entries and hits."""
    summary = await one_feed(backend, feed_id)
    days = (await backend.catalog.feed_days([feed_id], reader_now(request, backend))).get(feed_id, ())
    entries = await backend.catalog.entries(feed=feed_id, limit=RECENT)
    current = backend.current().config
    recent = story_cards(with_titles(await backend.catalog.hits(HitFilter(feed=feed_id), limit=RECENT), current))
    config = next((feed for feed in current.feeds if feed.id == feed_id), None)
    return templates.render(
        request, "feed.html", summary=summary, config=config, days=days, entries=entries, recent=recent,
        names=_names(backend),
    )  # fmt: skip


@router.post("/feeds/{feed_id}/poll")
async def poll(backend: BackendDep, feed_id: str) -> Response:
    """Make a feed due now."""
    await one_feed(backend, feed_id)
    await backend.catalog.poll_soon(feed_id, backend.clock.now())
    return redirect_after_post(f"/feeds/{feed_id}", "polled")


@router.post("/feeds/{feed_id}/pause")
async def pause(backend: BackendDep, feed_id: str) -> Response:
    """Pause or resume a feed."""
    paused = (await one_feed(backend, feed_id)).state.health is Health.PAUSED
    await backend.catalog.pause(feed_id, not paused, backend.clock.now())
    return redirect_after_post(f"/feeds/{feed_id}", "resumed" if paused else "paused")


def _add(templates: TemplatesDep, request: Request, url: str, *, problem: AggregatorError) -> Response:
    url = login_in(url).url  # a password is not written into a page
    return templates.render(
        request, "feed_add.html", status=status_of(problem), url=url, candidates=None, problem=problem, report=None
    )
