"""Silences: the form for one, adding, lifting."""

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from aggregator.core.titles import named
from aggregator.web.api.alerts import silence
from aggregator.web.dependencies import GivenDesk, GivenPages, then
from aggregator.web.origins import safe_next

router = APIRouter()

LENGTHS = (("1h", "1 hour"), ("8h", "8 hours"), ("1d", "1 day"), ("7d", "7 days"), ("30d", "30 days"))


class Wanted(BaseModel):
    """What the form sends: `what` says which of the three names is meant."""

    model_config = ConfigDict(extra="forbid")

    what: Literal["rule", "feed", "story"]
    rule: Annotated[str, Field(max_length=200)] = ""
    feed: Annotated[str, Field(max_length=200)] = ""
    story: Annotated[str, Field(max_length=200)] = ""
    last: Annotated[str, Field(max_length=40)] = "8h"
    reason: Annotated[str, Field(max_length=500)] = ""
    next: Annotated[str, Field(max_length=2048)] = "/"


class Where(BaseModel):
    """The page to go back to."""

    model_config = ConfigDict(extra="forbid")

    next: Annotated[str, Field(max_length=2048)] = "/status"


@router.get("/silences/add")
async def ask(request: Request, desk: GivenDesk, pages: GivenPages, hit: str, next: str = "/") -> Response:
    """What to be silent about, from a hit."""
    (told,) = named([await desk.catalog.hit(hit)], desk.current().config)
    return pages.render(request, "silence.html", told=told, lengths=LENGTHS, next=safe_next(next))


@router.post("/silences/add")
async def add(desk: GivenDesk, sent: Annotated[Wanted, Form()]) -> Response:
    """Be silent about a rule, a feed or a story for a while."""
    name = getattr(sent, sent.what)
    named = {kind: name if kind == sent.what else None for kind in ("rule", "feed", "story")}
    await silence(desk, **named, last=sent.last, reason=sent.reason)
    return then(safe_next(sent.next), "silenced")


@router.post("/silences/{silence_id}/remove")
async def remove(
    desk: GivenDesk, silence_id: Annotated[int, Path(ge=1, le=2**63 - 1)], sent: Annotated[Where, Form()]
) -> Response:
    """Lift a silence."""
    await desk.catalog.remove_silence(silence_id)
    return then(safe_next(sent.next), "unsilenced")
