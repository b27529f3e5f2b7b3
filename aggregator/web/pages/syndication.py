"""Syndication: hits as Atom, the configured feeds as OPML."""

from fastapi import APIRouter, Request, Response

from aggregator.core.errors import NotFound
from aggregator.core.model import HitFilter
from aggregator.core.titles import with_titles
from aggregator.ports.backend import Backend
from aggregator.web.dependencies import BackendDep
from aggregator.web.export import as_atom

router = APIRouter()

ENTRIES = 100
ATOM = "application/atom+xml; charset=utf-8"


def site_address(request: Request, backend: Backend) -> str:
    """Return the public address of the site, without a slash at its end."""
    public = backend.current().config.settings.web.public_url
    return (public or f"{request.url.scheme}://{request.url.netloc}").rstrip("/")


async def _atom(request: Request, backend: Backend, wanted: HitFilter, title: str) -> Response:
    details = with_titles(await backend.catalog.hits(wanted, limit=ENTRIES), backend.current().config)
    site, path = site_address(request, backend), request.url.path
    return Response(as_atom(details, title=title, site=site, path=path, now=backend.clock.now()), media_type=ATOM)


@router.get("/feeds/hits.atom")
async def all_hits(request: Request, backend: BackendDep) -> Response:
    """Return the latest hits of every rule."""
    return await _atom(request, backend, HitFilter(), "aggregator: hits")


@router.get("/feeds/rules/{rule_id}.atom")
async def hits_of_rule(request: Request, backend: BackendDep, rule_id: str) -> Response:
    """Return the latest hits of one rule."""
    rules = {rule.id: rule for rule in backend.current().config.rules}
    if rule_id not in rules:
        raise NotFound("rule", rule_id, tuple(rules))
    return await _atom(request, backend, HitFilter(rule=rule_id), f"aggregator: {rules[rule_id].title or rule_id}")


@router.get("/feeds.opml")
async def opml(backend: BackendDep) -> Response:
    """Return the configured feeds."""
    headers = {"content-disposition": 'attachment; filename="feeds.opml"'}
    return Response(await backend.export_opml(), media_type="text/x-opml; charset=utf-8", headers=headers)
