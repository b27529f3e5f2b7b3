"""The outbox: what was said, what waits, what was given up."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from aggregator.core.model import DeliveryState
from aggregator.core.titles import named
from aggregator.web.dependencies import GivenDesk, GivenPages, then
from aggregator.web.origins import safe_next
from aggregator.web.params import after_cursor, cursor_of
from aggregator.web.view_models import cards

router = APIRouter()

SHOWN = 50
TOLD = 40
RETRIABLE = frozenset({DeliveryState.DEAD, DeliveryState.HELD, DeliveryState.RETRY})
CANCELLABLE = frozenset({DeliveryState.PENDING, DeliveryState.HELD, DeliveryState.RETRY})
ENDED = frozenset({DeliveryState.SENT, DeliveryState.DEAD})


class Where(BaseModel):
    """The page to go back to."""

    model_config = ConfigDict(extra="forbid")

    next: Annotated[str, Field(max_length=2048)] = "/alerts"


@router.get("/alerts")
async def outbox(
    request: Request,
    desk: GivenDesk,
    pages: GivenPages,
    state: DeliveryState | None = None,
    before: Annotated[str | None, Field(max_length=300)] = None,
) -> Response:
    """Deliveries, newest first, by state."""
    states = (state,) if state else ()
    found = await desk.catalog.deliveries(states=states, limit=SHOWN, before=after_cursor(before))
    counts = {one.value: number for one, number in (await desk.catalog.outbox()).items()}
    more = cursor_of(found[-1].created_at, found[-1].id) if len(found) == SHOWN else None
    return pages.render(
        request, "alerts.html", deliveries=found, counts=counts, state=state, states=DeliveryState, more=more,
        before=before, retriable=RETRIABLE, cancellable=CANCELLABLE, ended=ENDED,
    )  # fmt: skip


@router.get("/alerts/{delivery_id}")
async def one(request: Request, desk: GivenDesk, pages: GivenPages, delivery_id: str) -> Response:
    """One delivery: every try, and what it tells."""
    delivery, attempts, tellings = await desk.catalog.delivery(delivery_id)
    recent = cards(named(tellings, desk.current().config))
    return pages.render(
        request, "alert.html", delivery=delivery, attempts=attempts, recent=recent[:TOLD], more=len(recent[TOLD:]),
        retriable=RETRIABLE, cancellable=CANCELLABLE, ended=ENDED,
    )  # fmt: skip


@router.post("/alerts/{delivery_id}/retry")
async def retry(desk: GivenDesk, delivery_id: str, sent: Annotated[Where, Form()]) -> Response:
    """Make a delivery due now."""
    done = await desk.catalog.retry([delivery_id], desk.clock.now())
    return then(safe_next(sent.next), "retried" if done else "nothing")


@router.post("/alerts/{delivery_id}/acknowledge")
async def acknowledge(desk: GivenDesk, delivery_id: str, sent: Annotated[Where, Form()]) -> Response:
    """Note that a person knows."""
    done = await desk.catalog.acknowledge([delivery_id], desk.clock.now())
    return then(safe_next(sent.next), "acknowledged" if done else "nothing")


@router.post("/alerts/{delivery_id}/cancel")
async def cancel(desk: GivenDesk, delivery_id: str, sent: Annotated[Where, Form()]) -> Response:
    """Suppress a delivery that is not sent yet."""
    done = await desk.catalog.cancel([delivery_id])
    return then(safe_next(sent.next), "cancelled" if done else "nothing")
