"""Deliveries and silences."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from aggregator.core.errors import NotFound
from aggregator.core.model import DeliveryState, Silence, Undo
from aggregator.core.schemas import delivery_detail_json, delivery_json, models, silence_json
from aggregator.core.titles import with_titles
from aggregator.core.values import ahead
from aggregator.ports.backend import Backend
from aggregator.web.api import bodies
from aggregator.web.dependencies import BackendDep, local_now, new_undo, undo_header
from aggregator.web.params import Before, ListQuery, after_cursor, cursor_of, next_link

router = APIRouter(tags=["alerts"], responses=bodies.ERRORS)

MAX_SILENCE = timedelta(days=999)


class DeliveryQuery(ListQuery):
    """Which deliveries."""

    state: Annotated[list[DeliveryState], Field(default_factory=list)]
    before: Before = None


async def silence(
    backend: Backend,
    *,
    rule: str | None,
    feed: str | None,
    story: str | None,
    last: str,
    reason: str,
    until: str = "",
    local_now: datetime | None = None,
    undo: Undo | None = None,
) -> Silence:
    """Add a silence of exactly one thing for a while, or until a day of the clock that `local_now` shows.

    422 where it is not that; raises NotFound.
    """
    if sum(map(bool, (rule, feed, story))) != 1:
        raise HTTPException(422, "name exactly one of rule, feed and story")
    now = backend.clock.now()
    try:
        until_at = ahead(until or last, local_now or now)
    except ValueError as error:
        raise HTTPException(422, f"{'until' if until else 'for'}: {error}") from None
    if until_at - now > MAX_SILENCE:
        raise HTTPException(422, "a silence lasts at most 999 days")
    current = backend.current().config
    if rule and rule not in (ids := [one.id for one in current.rules]):
        raise NotFound("rule", rule, ids)
    if feed and feed not in (ids := [one.id for one in current.feeds]):
        raise NotFound("feed", feed, ids)
    if story:
        await backend.catalog.story(story)
    wanted = Silence(rule=rule, feed=feed, story=story, until_at=until_at, reason=reason.strip(), created_at=now)
    return await backend.catalog.add_silence(wanted, undo=undo)


@router.get("/deliveries", response_model=list[models.Delivery])
async def list_deliveries(request: Request, backend: BackendDep, asked: Annotated[DeliveryQuery, Query()]) -> Response:
    """List deliveries, newest first; paginated via `Link`."""
    found = await backend.catalog.deliveries(states=asked.state, limit=asked.limit, before=after_cursor(asked.before))
    last = found[-1] if len(found) == asked.limit else None
    headers = next_link(request, before=cursor_of(last.created_at, last.id)) if last else {}
    return JSONResponse([delivery_json(delivery) for delivery in found], headers=headers)


@router.post("/deliveries/retry", response_model=models.Count)
async def retry(backend: BackendDep, sent: bodies.DeliveryIds) -> Response:
    """Queue dead, held or waiting deliveries to be sent now."""
    return JSONResponse({"count": await backend.catalog.retry(sent.ids, backend.clock.now())})


@router.post("/deliveries/acknowledge", response_model=models.Count)
async def acknowledge(backend: BackendDep, sent: bodies.DeliveryIds) -> Response:
    """Acknowledge sent or dead deliveries: more sources carrying their stories will not alert again."""
    undo = new_undo(backend, "acknowledged")
    count = await backend.catalog.acknowledge(sent.ids, undo.made_at, undo=undo)
    return JSONResponse({"count": count}, headers=undo_header(undo, count))


@router.post("/deliveries/cancel", response_model=models.Count)
async def cancel(backend: BackendDep, sent: bodies.DeliveryIds) -> Response:
    """Cancel deliveries that have not been sent."""
    undo = new_undo(backend, "cancelled")
    count = await backend.catalog.cancel(sent.ids, undo=undo)
    return JSONResponse({"count": count}, headers=undo_header(undo, count))


@router.get("/deliveries/{delivery_id}", response_model=models.DeliveryDetail)
async def show_delivery(backend: BackendDep, delivery_id: Annotated[str, Path(max_length=200)]) -> Response:
    """Show one delivery with its attempts and contents."""
    delivery, attempts, details = await backend.catalog.delivery(delivery_id)
    return JSONResponse(delivery_detail_json(delivery, attempts, with_titles(details, backend.current().config)))


@router.get("/silences", response_model=list[models.Silence])
async def list_silences(backend: BackendDep) -> Response:
    """List active silences."""
    return JSONResponse([silence_json(one) for one in await backend.catalog.silences(backend.clock.now())])


@router.post("/silences", response_model=models.Silence, status_code=201)
async def add_silence(backend: BackendDep, sent: bodies.CreateSilence) -> Response:
    """Mute a rule, a feed or a story for a while."""
    undo = new_undo(backend, "silenced")
    made = await silence(
        backend, rule=sent.rule, feed=sent.feed, story=sent.story, last=sent.last, until=sent.until,
        reason=sent.reason, local_now=local_now(backend), undo=undo,
    )  # fmt: skip
    return JSONResponse(silence_json(made), 201, undo_header(undo))


@router.delete("/silences/{silence_id}", status_code=204)
async def remove_silence(backend: BackendDep, silence_id: Annotated[int, Path(ge=1, le=2**63 - 1)]) -> Response:
    """Remove a silence."""
    undo = new_undo(backend, "unsilenced")
    await backend.catalog.remove_silence(silence_id, undo=undo)
    return Response(status_code=204, headers=undo_header(undo))
