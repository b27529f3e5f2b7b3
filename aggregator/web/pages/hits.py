"""The stream of hits, and one hit with everything about it."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from aggregator.core.settings import Feed, RuleConfig
from aggregator.core.titles import named
from aggregator.web.dependencies import GivenDesk, GivenPages, then
from aggregator.web.highlight import marked, places
from aggregator.web.origins import safe_next
from aggregator.web.params import AskedPage, cursor
from aggregator.web.templating import reader_zone
from aggregator.web.view_models import by_day, cards, lines

router = APIRouter()

TALES_SHOWN = 30
SPANS_BACK = (("24h", "last 24 hours"), ("7d", "last 7 days"), ("30d", "last 30 days"))
FIELDS = ("title", "summary", "content")
MAX_TEXT = 40_000
PLACES_SHOWN = 40


class Marked(BaseModel):
    """What the two buttons under a hit send; an empty mark takes it away."""

    model_config = ConfigDict(extra="forbid")

    mark: Literal["relevant", "irrelevant", ""] = ""
    next: Annotated[str, Field(max_length=2048)] = "/"


def _names(named: Sequence[RuleConfig | Feed]) -> list[tuple[str, str]]:
    """What a filter offers: ids with the names that people gave them."""
    return [(one.id, one.title or one.id) for one in named]


@router.get("/")
async def stream(request: Request, desk: GivenDesk, pages: GivenPages, asked: AskedPage) -> Response:
    """Hits, newest first, one card per story, under their days."""
    now, config = desk.clock.now(), desk.current().config
    wanted = asked.filter(now)
    tales = await desk.catalog.tales(wanted, limit=TALES_SHOWN)
    tellings = named(chain.from_iterable(tales), config)
    chart = await desk.catalog.hit_days(replace(wanted, since=None, until=None, before=None), now)
    return pages.render(
        request,
        "hits.html",
        asked=asked,
        days=by_day(cards(tellings), reader_zone(request)),
        chart=chart,
        more=cursor(tales[-1][-1]) if len(tales) == TALES_SHOWN else None,
        back=SPANS_BACK,
        rules=_names(config.rules),
        feeds=_names(config.feeds),
        running=sum(rule.enabled for rule in config.rules),
    )


@router.get("/hits/{hit_id}")
async def one(request: Request, desk: GivenDesk, pages: GivenPages, hit_id: str) -> Response:
    """One hit: the text with its evidence, why it matched, what became of it."""
    (told,) = named([await desk.catalog.hit(hit_id)], desk.current().config)
    texts = {name: marked(getattr(told.entry, name)[:MAX_TEXT], told.hit.spans, name) for name in FIELDS}
    why = await desk.explain(told)
    clauses = lines(why) if why else ()
    return pages.render(
        request, "hit.html", told=told, texts=texts, clauses=clauses, places=places(told.hit.spans)[:PLACES_SHOWN]
    )


@router.post("/hits/{hit_id}/mark")
async def mark(desk: GivenDesk, hit_id: str, sent: Annotated[Marked, Form()]) -> Response:
    """Mark a hit, or take the mark away."""
    await desk.catalog.hit(hit_id)
    await desk.catalog.mark(hit_id, sent.mark or None)
    return then(safe_next(sent.next), "marked")
