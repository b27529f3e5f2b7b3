"""Addresses with a token that open a single feed of this site."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse

from aggregator.core.schemas import as_json, models
from aggregator.web.api import bodies
from aggregator.web.dependencies import BackendDep, new_undo, undo_header
from aggregator.web.links import links_of, open_by_link, own_feed, site_address
from aggregator.web.transfer import SHOWN_ONCE

router = APIRouter(tags=["feeds out"], responses=bodies.ERRORS)


@router.get("/feed-links", response_model=list[models.FeedLink])
async def list_links(backend: BackendDep) -> Response:
    """List what opens a single feed; the tokens themselves are known to nobody but who asked for them."""
    return JSONResponse([as_json(models.FeedLink, link) for link in await backend.catalog.feed_links()])


@router.post("/feed-links", response_model=models.FeedLink, status_code=201)
async def add_link(request: Request, backend: BackendDep, sent: bodies.CreateFeedLink) -> Response:
    """Make a token that opens one feed, such as `/feeds/rules/ID.atom`, and nothing else; `address` is shown once."""
    path = own_feed(backend, sent.path)
    address = site_address(request, backend) + await open_by_link(backend, path)
    link = as_json(models.FeedLink, (await links_of(backend, path))[-1])
    return JSONResponse({**link, "address": address}, 201, SHOWN_ONCE)


@router.delete("/feed-links/{link_id}", status_code=204)
async def remove_link(backend: BackendDep, link_id: Annotated[int, Path(ge=1, le=2**63 - 1)]) -> Response:
    """Revoke a token."""
    change = new_undo(backend, "address revoked")
    await backend.catalog.remove_feed_link(link_id, undo=change)
    return Response(status_code=204, headers=undo_header(change))
