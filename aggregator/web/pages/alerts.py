"""The outbox page: sent, waiting and dead deliveries."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from aggregator.core.model import ENDED, RETRIABLE, WAITING, DeliveryState, Undo
from aggregator.core.titles import with_titles
from aggregator.web.dependencies import BackendDep, TemplatesDep, new_undo, redirect_after_post
from aggregator.web.origins import safe_next
from aggregator.web.params import after_cursor, cursor_of
from aggregator.web.view_models import story_cards

router = APIRouter()

SHOWN = 50
HITS_SHOWN = 40
NOT_DUE = frozenset(RETRIABLE) - {DeliveryState.PENDING}


class ReturnForm(BaseModel):
    """The page to go back to."""

    model_config = ConfigDict(extra="forbid")

    next: Annotated[str, Field(max_length=2048)] = "/alerts"


@router.get("/alerts")
async def outbox(
    request: Request,
    backend: BackendDep,
    templates: TemplatesDep,
    state: DeliveryState | None = None,
    before: Annotated[str | None, Field(max_length=300)] = None,
) -> Response:
    """List deliveries, newest first, by state."""
    states = (state,) if state else ()
    found = await backend.catalog.deliveries(states=states, limit=SHOWN, before=after_cursor(before))
    counts = {one.value: number for one, number in (await backend.catalog.outbox()).items()}
    more = cursor_of(found[-1].created_at, found[-1].id) if len(found) == SHOWN else None
    return templates.render(
        request, "alerts.html", deliveries=found, counts=counts, state=state, states=DeliveryState, more=more,
        before=before, retriable=NOT_DUE, cancellable=WAITING, ended=ENDED,
    )  # fmt: skip


@router.get("/alerts/{delivery_id}")
async def one(request: Request, backend: BackendDep, templates: TemplatesDep, delivery_id: str) -> Response:
    """Show one delivery: all its attempts and hits."""
    delivery, attempts, details = await backend.catalog.delivery(delivery_id)
    recent = story_cards(with_titles(details, backend.current().config))
    return templates.render(
        request, "alert.html", delivery=delivery, attempts=attempts, recent=recent[:HITS_SHOWN],
        more=len(recent[HITS_SHOWN:]),
        retriable=NOT_DUE, cancellable=WAITING, ended=ENDED,
    )  # fmt: skip


@router.post("/alerts/{delivery_id}/retry")
async def retry(backend: BackendDep, delivery_id: str, sent: Annotated[ReturnForm, Form()]) -> Response:
    """Make a delivery due now."""
    done = await backend.catalog.retry([delivery_id], backend.clock.now())
    return redirect_after_post(safe_next(sent.next), "retried" if done else "nothing")


@router.post("/alerts/{delivery_id}/acknowledge")
async def acknowledge(backend: BackendDep, delivery_id: str, sent: Annotated[ReturnForm, Form()]) -> Response:
    """Note that a person knows."""
    change = new_undo(backend, "acknowledged")
    done = await backend.catalog.acknowledge([delivery_id], change.made_at, undo=change)
    return _answer(sent.next, "acknowledged", done, change)


@router.post("/alerts/{delivery_id}/cancel")
async def cancel(backend: BackendDep, delivery_id: str, sent: Annotated[ReturnForm, Form()]) -> Response:
    """Suppress a delivery that is not sent yet."""
    change = new_undo(backend, "cancelled")
    return _answer(sent.next, "cancelled", await backend.catalog.cancel([delivery_id], undo=change), change)


def _answer(back: str, done: str, count: int, change: Undo) -> Response:
    if not count:
        return redirect_after_post(safe_next(back), "nothing")
    return redirect_after_post(safe_next(back), done, undo=change.id, n=count)
