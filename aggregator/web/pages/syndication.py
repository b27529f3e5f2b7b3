"""Feeds out: hits as Atom, the configured feeds as OPML."""

from fastapi import APIRouter, Request, Response

from aggregator.core.errors import NotFound
from aggregator.core.model import HitFilter
from aggregator.core.titles import named
from aggregator.ports.backend import Desk
from aggregator.web.dependencies import GivenDesk
from aggregator.web.export import as_atom

router = APIRouter()

ENTRIES = 100
ATOM = "application/atom+xml; charset=utf-8"


def site_address(request: Request, desk: Desk) -> str:
    """The address of the site for those outside, without a slash at its end."""
    public = desk.current().config.settings.web.public_url
    return (public or f"{request.url.scheme}://{request.url.netloc}").rstrip("/")


async def _atom(request: Request, desk: Desk, wanted: HitFilter, title: str) -> Response:
    tellings = named(await desk.catalog.hits(wanted, limit=ENTRIES), desk.current().config)
    site, path = site_address(request, desk), request.url.path
    return Response(as_atom(tellings, title=title, site=site, path=path, now=desk.clock.now()), media_type=ATOM)


@router.get("/feeds/hits.atom")
async def all_hits(request: Request, desk: GivenDesk) -> Response:
    """The latest hits of every rule."""
    return await _atom(request, desk, HitFilter(), "aggregator: hits")


@router.get("/feeds/rules/{rule_id}.atom")
async def hits_of_rule(request: Request, desk: GivenDesk, rule_id: str) -> Response:
    """The latest hits of one rule."""
    rules = {rule.id: rule for rule in desk.current().config.rules}
    if rule_id not in rules:
        raise NotFound("rule", rule_id, tuple(rules))
    return await _atom(request, desk, HitFilter(rule=rule_id), f"aggregator: {rules[rule_id].title or rule_id}")


@router.get("/feeds.opml")
async def opml(desk: GivenDesk) -> Response:
    """The configured feeds."""
    headers = {"content-disposition": 'attachment; filename="feeds.opml"'}
    return Response(await desk.export_opml(), media_type="text/x-opml; charset=utf-8", headers=headers)
