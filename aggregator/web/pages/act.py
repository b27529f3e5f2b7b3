"""What the links in an alert lead to: a page that asks, and a form that acts; the address is signed."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Form, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from aggregator.core.delivery import delivery_of
from aggregator.core.errors import Conflict, NotFound
from aggregator.core.model import Delivery, HitDetail, Silence, Undo
from aggregator.ports.backend import Backend
from aggregator.web.dependencies import BackendDep, TemplatesDep, new_undo
from aggregator.web.language import gettext

router = APIRouter()

MUTED = timedelta(hours=8)

Do = Literal["", "relevant", "irrelevant", "mute", "acknowledge"]


class ActForm(BaseModel):
    """The button that was pressed; `undo` is the id of what it takes back, which only its own answer names."""

    model_config = ConfigDict(extra="forbid")

    do: Literal["relevant", "irrelevant", "mute", "acknowledge", "undo"]
    undo: Annotated[str, Field(max_length=40)] = ""


async def _alert(backend: Backend, token: str) -> tuple[Delivery, tuple[HitDetail, ...]]:
    """Return the alert of a token. 403 if it is not ours, or has ended."""
    key = await backend.catalog.signing_key(b"")
    found = delivery_of(key, token, backend.clock.now())
    if found is None:
        raise HTTPException(403, gettext("This link has expired or is not valid. Log in to act on the alert."))
    delivery, _, details = await backend.catalog.delivery(found)
    return delivery, details


@router.get("/act/{token}")
async def ask(
    request: Request,
    backend: BackendDep,
    templates: TemplatesDep,
    token: Annotated[str, Field(max_length=300)],
    do: Do = "",
) -> Response:
    """Show what the link would do; nothing is done yet: mail scanners follow links too."""
    delivery, details = await _alert(backend, token)
    return templates.render(
        request, "act.html", delivery=delivery, details=details[:5], do=do, done_now="", undo_now=""
    )


@router.post("/act/{token}")
async def act(
    request: Request,
    backend: BackendDep,
    templates: TemplatesDep,
    token: Annotated[str, Field(max_length=300)],
    sent: Annotated[ActForm, Form()],
) -> Response:
    """Mark the hits of the alert, mute its story (else its rules) for a while, or acknowledge it."""
    delivery, details = await _alert(backend, token)
    now = backend.clock.now()
    done: str = sent.do
    change: Undo | None = new_undo(backend, sent.do)
    if sent.do == "undo":
        done, change = await _take_back(backend, sent.undo, now), None
    elif sent.do in ("relevant", "irrelevant"):
        hits = [detail.hit.id for detail in details]  # those that have not expired
        await backend.catalog.mark(hits, sent.do, undo=change)
    elif sent.do == "acknowledge":
        await backend.catalog.acknowledge([delivery.id], now, undo=change)
    else:
        until, reason = now + MUTED, "by a link in an alert"
        wanted = [Silence(story=delivery.story, until_at=until, reason=reason, created_at=now)]
        if delivery.story is None:
            wanted = [Silence(rule=rule, until_at=until, reason=reason, created_at=now) for rule in delivery.rules]
        for silence in wanted:
            await backend.catalog.add_silence(silence, undo=change)
    return templates.render(
        request, "act.html", delivery=delivery, details=details[:5], do=sent.do, done_now=done,
        undo_now=change.id if change else "",
    )  # fmt: skip


async def _take_back(backend: Backend, undo_id: str, now: datetime) -> Literal["undone", "not-undone"]:
    try:
        await backend.catalog.undo(undo_id, now)
    except (Conflict, NotFound):
        return "not-undone"
    return "undone"
