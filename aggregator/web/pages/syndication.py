"""Syndication: hits as Atom, the configured feeds as OPML."""

from collections.abc import Sequence
from datetime import datetime

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from aggregator.core.errors import NotFound
from aggregator.core.model import Hit, HitDetail, HitFilter, HitState, View
from aggregator.core.titles import with_titles
from aggregator.ports.backend import Backend
from aggregator.web.api.hits import CSV, csv_rows
from aggregator.web.dependencies import BackendDep, local_now
from aggregator.web.export import as_atom, as_csv
from aggregator.web.links import site_address
from aggregator.web.params import HitQuery, search_time_s, time_span
from aggregator.web.transfer import unchanged_or

router = APIRouter()

ENTRIES, ROWS = 100, 1000
ATOM = "application/atom+xml; charset=utf-8"


async def _atom(request: Request, backend: Backend, wanted: HitFilter, title: str) -> Response:
    """Return what was recorded last: a reader gets old news that were found today, too, under their own date."""
    details = with_titles(await backend.catalog.hits(wanted, limit=ENTRIES), backend.current().config)
    return _document(request, backend, details, title)


def _document(request: Request, backend: Backend, details: Sequence[HitDetail], title: str) -> Response:
    site, path, now = site_address(request, backend), request.url.path, backend.clock.now()
    changed_at = max((detail.hit.created_at for detail in details), default=None)
    return unchanged_or(
        request, lambda: Response(as_atom(details, title=title, site=site, path=path, now=now), media_type=ATOM),
        about=(details, title, site), changed_at=changed_at,
    )  # fmt: skip


@router.get("/feeds/hits.atom")
async def all_hits(request: Request, backend: BackendDep) -> Response:
    """Return the latest hits of every rule."""
    return await _atom(request, backend, HitFilter(by="recorded"), "aggregator: hits")


@router.get("/feeds/rules/{rule_id}.atom")
async def hits_of_rule(request: Request, backend: BackendDep, rule_id: str) -> Response:
    """Return the latest hits of one rule."""
    rules = {rule.id: rule for rule in backend.current().config.rules}
    if rule_id not in rules:
        raise NotFound("rule", rule_id, tuple(rules))
    title = f"aggregator: {rules[rule_id].title or rule_id}"
    return await _atom(request, backend, HitFilter(rule=rule_id, by="recorded"), title)


async def _view(backend: Backend, view_id: str) -> View:
    """Return a saved view. Raises NotFound."""
    views = {view.id: view for view in await backend.catalog.views()}
    if view_id not in views:
        raise NotFound("view", view_id, tuple(views))
    return views[view_id]


def _filter(backend: Backend, view: View) -> HitFilter:
    return HitQuery.model_validate(dict(view.query)).filter(local_now(backend))


async def _searched(backend: Backend, view: View, limit: int) -> tuple[HitDetail, ...]:
    """Return the entries that a saved search finds, those recorded last, as hits of its name."""
    asked = dict(view.query)
    span = time_span(asked.get("since"), asked.get("until"), local_now(backend))
    answer = await backend.search(
        asked["q"], since=span.since, until=span.until, by="recorded", limit=limit, within_s=search_time_s(None),
        feed=asked.get("feed", ""), lang=asked.get("lang", ""),
    )  # fmt: skip
    return tuple(
        HitDetail(
            hit=Hit(
                id=f"search-{view.id}-{found.entry.id}", rule=view.id, feed=found.entry.feed,
                entry_key=found.entry.key, entry_id=found.entry.id, created_at=found.entry.recorded_at,
                state=HitState.NEW, spans=found.spans, snippet=found.snippet,
            ),
            entry=found.entry, feed_title=found.feed_title, rule_title=view.name,
        )
        for found in answer.found
    )  # fmt: skip


@router.get("/feeds/views/{view_id}.atom")
async def hits_of_view(request: Request, backend: BackendDep, view_id: str) -> Response:
    """Return the latest hits of a saved view, or what a saved search finds."""
    view = await _view(backend, view_id)
    if "q" in dict(view.query):
        return _document(request, backend, await _searched(backend, view, ENTRIES), f"aggregator: {view.name}")
    return await _atom(request, backend, _filter(backend, view), f"aggregator: {view.name}")


@router.get("/feeds/views/{view_id}.csv")
async def table_of_view(backend: BackendDep, view_id: str) -> Response:
    """Return all hits of a saved view as CSV, safe to open in a spreadsheet; of a search the latest thousand."""
    view = await _view(backend, view_id)
    headers = {"content-disposition": f'attachment; filename="{view.id}.csv"'}
    if "q" in dict(view.query):
        rows = as_csv(await _searched(backend, view, ROWS), for_excel=True)
        return Response(rows, media_type=CSV, headers=headers)
    return StreamingResponse(csv_rows(backend, _filter(backend, view)), media_type=CSV, headers=headers)


@router.get("/feeds.opml")
async def opml(request: Request, backend: BackendDep) -> Response:
    """Return the configured feeds."""
    headers = {"content-disposition": 'attachment; filename="feeds.opml"'}
    text = await backend.export_opml()
    known: tuple[str, datetime] | None = getattr(request.app.state, "opml", None)
    if known is None or known[0] != text:
        request.app.state.opml = known = (text, backend.clock.now())
    return unchanged_or(
        request, lambda: Response(text, media_type="text/x-opml; charset=utf-8", headers=headers),
        about=text, changed_at=known[1],
    )  # fmt: skip
