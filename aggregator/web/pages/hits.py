"""The stream of hits, and one hit with everything about it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from aggregator.core.highlight import field_runs, spellings_by_field
from aggregator.core.model import HitFilter
from aggregator.core.settings import Feed, RuleConfig
from aggregator.core.titles import with_titles
from aggregator.web.dependencies import BackendDep, TemplatesDep, answer_after_post, new_undo
from aggregator.web.origins import safe_next
from aggregator.web.params import PageParams, cursor
from aggregator.web.templating import reader_now
from aggregator.web.view_models import by_day, explanation_lines, story_cards

router = APIRouter()

STORIES_SHOWN = 30
SPANS_BACK = (("24h", "last 24 hours"), ("7d", "last 7 days"), ("30d", "last 30 days"))
FIELDS = ("title", "summary", "content")
MAX_TEXT = 40_000
SPELLINGS_SHOWN = 40


class MarkForm(BaseModel):
    """The buttons of a hit; an empty mark removes it. `only`: this hit, not its card."""

    model_config = ConfigDict(extra="forbid")

    mark: Literal["relevant", "irrelevant", "seen", ""] = ""
    only: bool = False
    next: Annotated[str, Field(max_length=2048)] = "/"


def _names(named: Sequence[RuleConfig | Feed]) -> list[tuple[str, str]]:
    """Return the choices of a filter: ids with their titles."""
    return [(one.id, one.title or one.id) for one in named]


def spans_back(since: str | None) -> tuple[tuple[str, str], ...]:
    """Return the choices of time, with the one that a link or an address brought."""
    if not since or since in dict(SPANS_BACK):
        return SPANS_BACK
    return (*SPANS_BACK, (since, since.replace("..", " – ")))


def _chosen_days(wanted: HitFilter, now: datetime) -> tuple[str, str] | None:
    """Return the first and the last day of a listing that is of some days only."""
    if wanted.since is None and wanted.until is None:
        return None
    first = wanted.since.astimezone(now.tzinfo).date().isoformat() if wanted.since else ""
    last = (wanted.until or now + timedelta(days=1)) - timedelta(microseconds=1)
    return first, last.astimezone(now.tzinfo).date().isoformat()


@router.get("/")
async def stream(request: Request, backend: BackendDep, templates: TemplatesDep, asked: PageParams) -> Response:
    """List hits, newest first, one card per story, under their days."""
    now, config = reader_now(request, backend), backend.current().config
    wanted = asked.filter(now)
    stories = await backend.catalog.stories_of_hits(wanted, limit=STORIES_SHOWN)
    details = with_titles(chain.from_iterable(stories), config)
    chart = await backend.catalog.hit_days(replace(wanted, since=None, until=None, before=None), now)
    return templates.render(
        request,
        "hits.html",
        asked=asked,
        days=by_day(story_cards(details, asked.by), now.tzinfo or UTC),
        chart=chart,
        chosen=_chosen_days(wanted, now),
        more=cursor(stories[-1][-1], asked.by) if len(stories) == STORIES_SHOWN else None,
        back=spans_back(asked.since),
        rules=_names(config.rules),
        feeds=_names(config.feeds),
        running=sum(rule.enabled for rule in config.rules),
    )


@router.get("/hits/{hit_id}")
async def one(request: Request, backend: BackendDep, templates: TemplatesDep, hit_id: str) -> Response:
    """Show one hit: the text with its evidence, why it matched, its outcome."""
    (detail,) = with_titles([await backend.catalog.hit(hit_id)], backend.current().config)
    texts = {name: field_runs(getattr(detail.entry, name)[:MAX_TEXT], detail.hit.spans, name) for name in FIELDS}
    why = await backend.explain(detail)
    clauses = explanation_lines(why) if why else ()
    return templates.render(
        request,
        "hit.html",
        detail=detail,
        texts=texts,
        clauses=clauses,
        places=spellings_by_field(detail.hit.spans)[:SPELLINGS_SHOWN],
    )


@router.post("/hits/{hit_id}/mark")
async def mark(request: Request, backend: BackendDep, hit_id: str, sent: Annotated[MarkForm, Form()]) -> Response:
    """Mark the card of a hit with all its hits, or this hit `only`; or remove the mark."""
    change = new_undo(backend, sent.mark or "unmarked")
    count = await backend.catalog.mark([hit_id], sent.mark or None, cards=not sent.only, undo=change)
    return answer_after_post(request, safe_next(sent.next), sent.mark or "unmarked", undo=change.id if count else "")
