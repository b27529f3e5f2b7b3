"""Silences: the form for one, adding, removing."""

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from aggregator.core.titles import with_titles
from aggregator.web.api.alerts import silence
from aggregator.web.dependencies import BackendDep, TemplatesDep, new_undo, redirect_after_post
from aggregator.web.origins import safe_next

router = APIRouter()

LENGTHS = (("1h", "1 hour"), ("8h", "8 hours"), ("1d", "1 day"), ("7d", "7 days"), ("30d", "30 days"))


class SilenceForm(BaseModel):
    """The form of a silence: `what` says which of the three names is meant."""

    model_config = ConfigDict(extra="forbid")

    what: Literal["rule", "feed", "story"]
    rule: Annotated[str, Field(max_length=200)] = ""
    feed: Annotated[str, Field(max_length=200)] = ""
    story: Annotated[str, Field(max_length=200)] = ""
    last: Annotated[str, Field(max_length=40)] = "8h"
    reason: Annotated[str, Field(max_length=500)] = ""
    next: Annotated[str, Field(max_length=2048)] = "/"


class ReturnForm(BaseModel):
    """The page to go back to."""

    model_config = ConfigDict(extra="forbid")

    next: Annotated[str, Field(max_length=2048)] = "/status"


@router.get("/silences/add")
async def ask(request: Request, backend: BackendDep, templates: TemplatesDep, hit: str, next: str = "/") -> Response:
    """Show the form, filled from a hit."""
    (detail,) = with_titles([await backend.catalog.hit(hit)], backend.current().config)
    return templates.render(request, "silence.html", detail=detail, lengths=LENGTHS, next=safe_next(next))


@router.post("/silences/add")
async def add(backend: BackendDep, sent: Annotated[SilenceForm, Form()]) -> Response:
    """Mute a rule, a feed or a story for a while."""
    name = getattr(sent, sent.what)
    named = {kind: name if kind == sent.what else None for kind in ("rule", "feed", "story")}
    change = new_undo(backend, "silenced")
    await silence(backend, **named, last=sent.last, reason=sent.reason, undo=change)
    return redirect_after_post(safe_next(sent.next), "silenced", undo=change.id)


@router.post("/silences/{silence_id}/remove")
async def remove(
    backend: BackendDep, silence_id: Annotated[int, Path(ge=1, le=2**63 - 1)], sent: Annotated[ReturnForm, Form()]
) -> Response:
    """Remove a silence."""
    change = new_undo(backend, "unsilenced")
    await backend.catalog.remove_silence(silence_id, undo=change)
    return redirect_after_post(safe_next(sent.next), "unsilenced", undo=change.id)
