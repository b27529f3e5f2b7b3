"""Channels: what each is, how it is doing, and a test alert with each recipient's answer."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from aggregator.web.api.channels import channel_rows
from aggregator.web.dependencies import BackendDep, TemplatesDep, redirect_after_post
from aggregator.web.origins import safe_next

router = APIRouter()

DAY_MINUTES = 24 * 60


class ReturnForm(BaseModel):
    """The page to go back to."""

    model_config = ConfigDict(extra="forbid")

    next: Annotated[str, Field(max_length=2048)] = "/channels"


def quiet_minutes(hours: str | None) -> tuple[tuple[int, int], ...]:
    """Return quiet hours as minutes of the day, (from, to), in two pieces if they pass midnight."""
    if not hours:
        return ()
    first, last = ((int(h) * 60 + int(m)) for h, _, m in (part.strip().partition(":") for part in hours.split("-")))
    return ((first, last),) if first < last else ((first, DAY_MINUTES), (0, last))


@router.get("/channels")
async def overview(request: Request, backend: BackendDep, templates: TemplatesDep) -> Response:
    """List every channel with its last attempts, its quiet hours and its rate."""
    rows = [(row, quiet_minutes(row.channel.quiet_hours)) for row in await channel_rows(backend)]
    return templates.render(request, "channels.html", rows=rows)


@router.post("/channels/{name}/test")
async def test(backend: BackendDep, name: str, sent: Annotated[ReturnForm, Form()]) -> Response:
    """Send a test alert; the page shows what each recipient answered."""
    done = await backend.test_channel(name)
    return redirect_after_post(safe_next(sent.next), "tested" if done.ok else "test_failed")
