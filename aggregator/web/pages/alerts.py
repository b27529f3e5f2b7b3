"""The outbox page: sent, waiting and dead deliveries."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from aggregator.core.model import ENDED, RETRIABLE, WAITING, Delivery, DeliveryState, Undo
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


class AlertQuery(BaseModel):
    """The filters of the page, whose form sends empty fields too, and what the toast says."""

    model_config = ConfigDict(extra="forbid")

    state: DeliveryState | None = None
    channel: Annotated[str, Field(max_length=200)] = ""
    rule: Annotated[str, Field(max_length=200)] = ""
    before: Annotated[str | None, Field(max_length=300)] = None
    done: Annotated[str, Field(max_length=40)] = ""
    n: Annotated[str, Field(max_length=10)] = ""
    undo: Annotated[str, Field(max_length=40)] = ""

    @model_validator(mode="before")
    @classmethod
    def _without_blanks(cls, sent: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in sent.items() if value != ""}

    @property
    def filters(self) -> dict[str, str]:
        """Return the parameters that stay when the listing is continued."""
        given = {"state": self.state.value if self.state else "", "channel": self.channel, "rule": self.rule}
        return {name: value for name, value in given.items() if value}


def grouped(found: Sequence[Delivery]) -> tuple[tuple[Delivery, ...], ...]:
    """Group alerts of the same contents in the same state, such as those for several recipients."""
    groups: dict[tuple[object, ...], list[Delivery]] = {}
    for one in found:
        ended = one.acknowledged_at is not None
        key = (one.kind, one.title, one.hits, one.notice, one.state, one.reason, one.channel, ended)
        groups.setdefault(key, []).append(one)
    return tuple(map(tuple, groups.values()))


@router.get("/alerts")
async def outbox(
    request: Request, backend: BackendDep, templates: TemplatesDep, asked: Annotated[AlertQuery, Query()]
) -> Response:
    """List deliveries, newest first, by state, channel and rule; identical ones in one row."""
    states = (asked.state,) if asked.state else ()
    found = await backend.catalog.deliveries(
        states=states, channel=asked.channel or None, rule=asked.rule or None, limit=SHOWN,
        before=after_cursor(asked.before),
    )  # fmt: skip
    counts = {one.value: number for one, number in (await backend.catalog.outbox()).items()}
    more = cursor_of(found[-1].created_at, found[-1].id) if len(found) == SHOWN else None
    config = backend.current().config
    return templates.render(
        request, "alerts.html", groups=grouped(found), counts=counts, asked=asked, states=DeliveryState, more=more,
        rules=[(rule.id, rule.title or rule.id) for rule in config.rules],
        channels=[(name, name) for name in config.channels],
        retriable=NOT_DUE, cancellable=WAITING, ended=ENDED,
    )  # fmt: skip


class ManyForm(ReturnForm):
    """The bar for several alerts."""

    do: Literal["acknowledge", "cancel"]
    alert: Annotated[list[str], Field(max_length=1000)] = []


@router.post("/alerts/many")
async def many(backend: BackendDep, sent: Annotated[ManyForm, Form()]) -> Response:
    """Acknowledge or cancel several deliveries at once; a ticked row names all of its own, separated by spaces."""
    ids = [name for row in sent.alert for name in row.split()]
    change = new_undo(backend, "acknowledged" if sent.do == "acknowledge" else "cancelled")
    if sent.do == "acknowledge":
        count = await backend.catalog.acknowledge(ids, change.made_at, undo=change)
    else:
        count = await backend.catalog.cancel(ids, undo=change)
    return _answer(sent.next, change.kind, count, change)


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
