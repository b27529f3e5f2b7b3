"""Feeds: health in words, rhythm, adding, pausing, polling, OPML."""

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request, Response, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from aggregator.core.edits import undo_name
from aggregator.core.errors import AggregatorError, Busy, ConfigErrors, Conflict, NotFound
from aggregator.core.model import Health, HitFilter
from aggregator.core.text.urls import login_in
from aggregator.core.titles import with_titles
from aggregator.ports.backend import Backend
from aggregator.web.api.feeds import one_feed
from aggregator.web.dependencies import BackendDep, TemplatesDep, new_undo, redirect_after_post
from aggregator.web.errors import status_of
from aggregator.web.origins import next_or_none, safe_next
from aggregator.web.templating import query, reader_now
from aggregator.web.view_models import story_cards

router = APIRouter()

FEEDS_SHOWN = 500  # all on one page, for most
DRAWN = 100  # charts of more rows would cost more than the page is worth
RECENT = 20


Next = Annotated[str, Field(max_length=2048)]  # the page that led to a form and that its end leads back to


class AddressForm(BaseModel):
    """The form for a new feed."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[str, Field(min_length=1, max_length=2048)]
    next: Next = ""


class DiscoverForm(AddressForm):
    """The form for an address, which may be read as one kind only."""

    kind: Literal["", "watch"] = ""


class FeedForm(AddressForm):
    """The button beside a candidate."""

    title: Annotated[str, Field(max_length=300)] = ""
    tags: Annotated[str, Field(max_length=500)] = ""
    kind: Literal["feed", "sitemap", "page", "watch", "mail"] = "feed"
    entry: Annotated[str, Field(max_length=500)] = ""
    password: Annotated[str, Field(max_length=500)] = ""

    @property
    def keys(self) -> dict[str, object]:
        """Return the keys by which the source differs from a feed."""
        found = {
            "kind": self.kind,
            "select": {"entry": self.entry} if self.entry else None,
            "auth": {"password": self.password} if self.password else None,
        }
        return {key: value for key, value in found.items() if value and value != "feed"}


def _names(backend: Backend) -> dict[str, str]:
    return {feed.id: feed.title for feed in backend.current().config.feeds if feed.title}


async def _found(backend: Backend, words: str) -> list[str]:
    """Return the feeds that match a part of their id, name, address or tags, as they are shown.

    Masked parts cannot be searched either: otherwise a key could be guessed character by character.
    """
    part, configured = words.casefold(), {feed.id: feed for feed in backend.current().config.feeds}
    found = []
    for summary in await backend.catalog.feeds(counted=False):
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
    counts = {health.value: number for health, number in (await backend.catalog.health()).items()}
    total = sum(counts.values())
    chosen = len(ids) if wanted else counts.get(state.value, 0) if state else total
    if wanted:
        shown = await backend.catalog.feeds(ids[start : start + FEEDS_SHOWN])
    else:
        shown = await backend.catalog.feed_page(health=state, offset=start, limit=FEEDS_SHOWN)
    drawn = [s.state.id for s in shown] if len(shown) <= DRAWN else []
    days = await backend.catalog.feed_days(drawn, reader_now(request, backend)) if drawn else {}
    muted = {one.feed: one for one in await backend.catalog.silences(backend.clock.now()) if one.feed}
    tags = {feed.id: feed.tags for feed in backend.current().config.feeds if feed.tags}
    return templates.render(
        request, "feeds.html", shown=shown, days=days, counts=counts, total=total, state=state, page=page,
        pages=-(-chosen // FEEDS_SHOWN), names=_names(backend), find=wanted, muted=muted, tags=tags,
        drawn=bool(drawn),
    )  # fmt: skip


@router.get("/feeds/add")
async def ask(request: Request, templates: TemplatesDep, next: Next = "") -> Response:
    """Show the form for an address, and for a file."""
    return _form(request, templates, next)


@router.post("/feeds/discover")
async def discover(
    request: Request, backend: BackendDep, templates: TemplatesDep, sent: Annotated[DiscoverForm, Form()]
) -> Response:
    """Show what can be watched at an address, before one of it is added."""
    try:
        found = await backend.discover(sent.url, {"kind": sent.kind} if sent.kind else None)
    except AggregatorError as error:
        return _refused(request, templates, sent, error)
    url = login_in(sent.url).url
    return _form(
        request, templates, sent.next, url=url, candidates=found.candidates, nothing=found.nothing, kind=sent.kind
    )


@router.post("/feeds/add")
async def add(
    request: Request, backend: BackendDep, templates: TemplatesDep, sent: Annotated[FeedForm, Form()]
) -> Response:
    """Write a feed into the configuration."""
    tags = [tag.strip() for tag in sent.tags.split(",") if tag.strip()]
    try:
        added = await backend.add_feed(sent.url, title=sent.title.strip(), tags=tags, keys=sent.keys)
    except AggregatorError as error:
        return _refused(request, templates, sent, error)
    back = next_or_none(sent.next) or f"/feeds/{added.id}"
    return redirect_after_post(back, "added", undo=undo_name(added.edit))


@router.post("/feeds/import")
async def import_opml(
    request: Request,
    backend: BackendDep,
    templates: TemplatesDep,
    file: UploadFile,
    next: Annotated[Next, Form()] = "",
) -> Response:
    """Add the feeds of an OPML file."""
    try:
        report = await backend.import_opml(await file.read())
    except AggregatorError as error:
        return _form(request, templates, next, status=status_of(error), problem=error)
    return _form(request, templates, next, report=report, report_undo=undo_name(report.edit))


class BulkForm(BaseModel):
    """The bar over the list of feeds: what to do with those that are ticked."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=FEEDS_SHOWN)] = []
    do: Literal["pause", "resume", "poll", "tag", "untag", "remove"]
    tag: Annotated[str, Field(max_length=100)] = ""
    next: Annotated[str, Field(max_length=2048)] = "/feeds"


class ChangeForm(BaseModel):
    """The form of one feed."""

    model_config = ConfigDict(extra="forbid")

    title: Annotated[str, Field(max_length=300)] = ""
    tags: Annotated[str, Field(max_length=500)] = ""
    every: Annotated[str, Field(max_length=40)] = ""


@router.post("/feeds/bulk")
async def bulk(backend: BackendDep, sent: Annotated[BulkForm, Form()]) -> Response:
    """Pause, resume, poll, tag or remove several feeds at once."""
    back, n, now = safe_next(sent.next), len(sent.id), backend.clock.now()
    configured = {feed.id: feed for feed in backend.current().config.feeds}
    for feed_id in sent.id:
        if feed_id not in configured:
            raise NotFound("feed", feed_id, list(configured))
    if not sent.id or (sent.do in ("tag", "untag") and not sent.tag.strip()):
        return redirect_after_post(back, "nothing")
    if sent.do in ("pause", "resume"):
        done = "feeds_paused" if sent.do == "pause" else "feeds_resumed"
        change = new_undo(backend, done.replace("_", " "))
        for feed_id in sent.id:
            await backend.catalog.pause(feed_id, sent.do == "pause", now, undo=change)
        return redirect_after_post(back, done, n=n, undo=change.id)
    if sent.do == "poll":
        for feed_id in sent.id:
            await backend.catalog.poll_soon(feed_id, now)
        return redirect_after_post(back, "feeds_polled", n=n)
    if sent.do == "remove":
        edit = await backend.change_feeds(dict.fromkeys(sent.id), about=", ".join(sent.id[:3]))
        return redirect_after_post(back, "feeds_removed", n=n, undo=undo_name(edit))
    changes = {feed_id: {"tags": _tagged(configured[feed_id].tags, sent.tag.strip(), sent.do)} for feed_id in sent.id}
    edit = await backend.change_feeds(changes, about=sent.tag.strip())
    return redirect_after_post(back, "feeds_tagged", n=n, undo=undo_name(edit))


def _tagged(tags: Sequence[str], tag: str, do: str) -> list[str] | None:
    kept = [one for one in tags if one != tag]
    return ([*kept, tag] if do == "tag" else kept) or None


@router.get("/feeds/{feed_id}")
async def one(
    request: Request,
    backend: BackendDep,
    templates: TemplatesDep,
    feed_id: str,
    polled: Annotated[int | None, Field(ge=0, le=10**6)] = None,
    hits: Annotated[int, Field(ge=0, le=10**6)] = 0,
) -> Response:
    """Show one feed: health, activity, latest entries and hits, and the form to change it; after a poll its outcome."""
    return await _page(request, backend, templates, feed_id, polled=polled, hits=hits)


async def _page(
    request: Request, backend: Backend, templates: TemplatesDep, feed_id: str, *, status: int = 200, **more: object
) -> Response:
    summary = await one_feed(backend, feed_id)
    days = (await backend.catalog.feed_days([feed_id], reader_now(request, backend))).get(feed_id, ())
    entries = await backend.catalog.entries(feed=feed_id, limit=RECENT)
    current = backend.current().config
    recent = story_cards(with_titles(await backend.catalog.hits(HitFilter(feed=feed_id), limit=RECENT), current))
    config = next((feed for feed in current.feeds if feed.id == feed_id), None)
    muted = next((one for one in await backend.catalog.silences(backend.clock.now()) if one.feed == feed_id), None)
    known: dict[str, object] = {"problem": None, "sent": None, "polled": None, "hits": 0}
    return templates.render(
        request, "feed.html", status=status, summary=summary, config=config, days=days, entries=entries, recent=recent,
        names=_names(backend), muted=muted, **(known | more),
    )  # fmt: skip


@router.post("/feeds/{feed_id}/change")
async def change(
    request: Request, backend: BackendDep, templates: TemplatesDep, feed_id: str, sent: Annotated[ChangeForm, Form()]
) -> Response:
    """Write title, tags and interval of a feed into its file; what was typed is never lost."""
    tags = [tag.strip() for tag in sent.tags.split(",") if tag.strip()]
    values = {"title": sent.title.strip() or None, "tags": tags or None, "every": sent.every.strip() or None}
    try:
        edit = await backend.change_feeds({feed_id: values}, about=feed_id)
    except (ConfigErrors, Conflict, Busy) as problem:
        status = status_of(problem)
        return await _page(request, backend, templates, feed_id, status=status, problem=problem, sent=sent)
    return redirect_after_post(f"/feeds/{feed_id}", "feed_changed", undo=undo_name(edit))


@router.post("/feeds/{feed_id}/remove")
async def remove(backend: BackendDep, feed_id: str) -> Response:
    """Remove a feed from the configuration; its entries and hits are kept until they expire."""
    edit = await backend.change_feeds({feed_id: None}, about=feed_id)
    return redirect_after_post("/feeds", "feeds_removed", undo=undo_name(edit))


@router.post("/feeds/{feed_id}/poll")
async def poll(backend: BackendDep, feed_id: str) -> Response:
    """Poll a feed now and say what came of it; if that takes too long, it goes on by itself."""
    await one_feed(backend, feed_id)
    outcome = await backend.poll_now(feed_id)
    if outcome is None:
        return redirect_after_post(f"/feeds/{feed_id}", "polled")
    if outcome.error:
        return redirect_after_post(f"/feeds/{feed_id}", "poll_failed")
    return redirect_after_post(f"/feeds/{feed_id}" + query(polled=outcome.new, hits=outcome.hits))


@router.post("/feeds/{feed_id}/pause")
async def pause(backend: BackendDep, feed_id: str) -> Response:
    """Pause or resume a feed."""
    paused = (await one_feed(backend, feed_id)).state.health is Health.PAUSED
    done = "resumed" if paused else "paused"
    change = new_undo(backend, f"feed {done}")
    await backend.catalog.pause(feed_id, not paused, change.made_at, undo=change)
    return redirect_after_post(f"/feeds/{feed_id}", done, undo=change.id)


def _refused(request: Request, templates: TemplatesDep, sent: AddressForm, problem: AggregatorError) -> Response:
    url = login_in(sent.url).url  # a password is not written into a page
    return _form(request, templates, sent.next, status=status_of(problem), url=url, problem=problem)


def _form(request: Request, templates: TemplatesDep, back: str, *, status: int = 200, **more: object) -> Response:
    """Show the form for an address, and for a file, with what came of it."""
    known = {"url": "", "candidates": None, "problem": None, "report": None, "nothing": "", "kind": ""}
    known["report_undo"] = ""
    return templates.render(request, "feed_add.html", status=status, back=next_or_none(back), **(known | more))
