"""Addresses with a token: made here, shown once, revoked here."""

from typing import Annotated

from fastapi import APIRouter, Form, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from aggregator.web.dependencies import BackendDep, TemplatesDep, new_undo, redirect_after_post
from aggregator.web.links import open_by_link, own_feed, site_address
from aggregator.web.origins import safe_next
from aggregator.web.transfer import SHOWN_ONCE

router = APIRouter()


class LinkForm(BaseModel):
    """Which feed; and the page to go back to."""

    model_config = ConfigDict(extra="forbid")

    path: Annotated[str, Field(max_length=500)]
    next: Annotated[str, Field(max_length=2048)] = "/"


class BackForm(BaseModel):
    """The page to go back to."""

    model_config = ConfigDict(extra="forbid")

    next: Annotated[str, Field(max_length=2048)] = "/"


@router.post("/feed-links")
async def make(
    request: Request, backend: BackendDep, templates: TemplatesDep, sent: Annotated[LinkForm, Form()]
) -> Response:
    """Make an address that opens one feed without a password, and show it: this once."""
    path = own_feed(backend, sent.path)
    address = site_address(request, backend) + await open_by_link(backend, path)
    response = templates.render(
        request, "feed_link.html", address=address, path_of_feed=path, next=safe_next(sent.next)
    )
    response.headers.update(SHOWN_ONCE)
    return response


@router.post("/feed-links/{link_id}/revoke")
async def revoke(
    backend: BackendDep, link_id: Annotated[int, Path(ge=1, le=2**63 - 1)], sent: Annotated[BackForm, Form()]
) -> Response:
    """End a token: its address opens nothing any more."""
    change = new_undo(backend, "address revoked")
    await backend.catalog.remove_feed_link(link_id, undo=change)
    return redirect_after_post(safe_next(sent.next), "revoked", undo=change.id)
