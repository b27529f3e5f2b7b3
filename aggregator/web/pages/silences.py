"""Silences: the form for one, adding, removing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from aggregator.core.errors import NotFound
from aggregator.core.model import HitDetail, HitFilter, HitState
from aggregator.core.text.messages import gettext_noop
from aggregator.ports.backend import Backend
from aggregator.web.api.alerts import silence
from aggregator.web.dependencies import BackendDep, TemplatesDep, new_undo, redirect_after_post
from aggregator.web.origins import safe_next
from aggregator.web.pages.hits import hits_of_card
from aggregator.web.templating import reader_now

router = APIRouter()

LENGTHS = (
    ("1h", gettext_noop("1 hour")),
    ("8h", gettext_noop("8 hours")),
    ("1d", gettext_noop("1 day")),
    ("7d", gettext_noop("7 days")),
    ("30d", gettext_noop("30 days")),
)
PREVIEW = timedelta(days=7)
PREVIEWED = 500
SAMPLES = 3


class SilenceForm(BaseModel):
    """The form of a silence: `what` says which of the three names is meant, or names it: `rule:ID`."""

    model_config = ConfigDict(extra="forbid")

    what: Annotated[str, Field(max_length=300, pattern="^(rule|feed|story)(:|$)")]
    rule: Annotated[str, Field(max_length=200)] = ""
    feed: Annotated[str, Field(max_length=200)] = ""
    story: Annotated[str, Field(max_length=200)] = ""
    last: Annotated[str, Field(max_length=40)] = "8h"
    until: Annotated[str, Field(max_length=60)] = ""
    reason: Annotated[str, Field(max_length=500)] = ""
    next: Annotated[str, Field(max_length=2048)] = "/"


class ReturnForm(BaseModel):
    """The page to go back to."""

    model_config = ConfigDict(extra="forbid")

    next: Annotated[str, Field(max_length=2048)] = "/silences"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Something that can be muted: a rule, a feed or a story, by its id; and what a silence would have held back.

    `alerts` counts hits that alerted in the last days, the latest of which are in `samples`; `more`: only the newest
    hits were counted.
    """

    what: str
    name: str
    title: str
    alerts: int
    more: bool
    samples: tuple[HitDetail, ...]


async def _choice(backend: Backend, what: str, name: str, title: str) -> Choice:
    wanted = HitFilter(since=backend.clock.now() - PREVIEW, by="recorded", **{what: name})  # type: ignore[arg-type]
    found = await backend.catalog.hit_states(wanted, limit=PREVIEWED)
    alerted = [hit_id for hit_id, state in found if state is HitState.ALERTED]
    latest = HitFilter(ids=tuple(alerted[:SAMPLES]), by="recorded")
    samples = await backend.catalog.hits(latest, limit=SAMPLES) if alerted else ()
    more = len(found) >= PREVIEWED
    return Choice(what=what, name=name, title=title, alerts=len(alerted), more=more, samples=samples)


@router.get("/silences")
async def overview(request: Request, backend: BackendDep, templates: TemplatesDep) -> Response:
    """List what is muted, until when, and what it has held back so far."""
    config, now = backend.current().config, backend.clock.now()
    silences = await backend.catalog.silences(now)
    held, more = {}, {}
    for one in silences:
        wanted = HitFilter(rule=one.rule, feed=one.feed, story=one.story, since=one.created_at, by="recorded")
        found = await backend.catalog.hit_states(wanted, limit=PREVIEWED)
        held[one.id] = sum(state is HitState.SUPPRESSED for _, state in found)
        more[one.id] = len(found) >= PREVIEWED
    stories = {one.story: (await backend.catalog.story(one.story))[0].title for one in silences if one.story}
    names = {feed.id: feed.title or feed.id for feed in config.feeds}
    rules = [(rule.id, rule.title or rule.id) for rule in config.rules]
    return templates.render(
        request, "silences.html", silences=silences, held=held, more=more, stories=stories, names=names, rules=rules,
        feeds=list(names.items()), lengths=LENGTHS,
    )  # fmt: skip


@router.get("/silences/add")
async def ask(
    request: Request,
    backend: BackendDep,
    templates: TemplatesDep,
    hit: str = "",
    rule: str = "",
    feed: str = "",
    story: str = "",
    next: str = "/silences",
) -> Response:
    """Show the form, filled from a hit, or for a rule, a feed or a story; with what it would have held back."""
    config = backend.current().config
    wanted = []
    if hit:
        of_card = await hits_of_card(backend, await backend.catalog.hit(hit))
        detail = of_card[0]
        wanted = [("rule", one.hit.rule, one.rule_title or one.hit.rule) for one in of_card]
        wanted.append(("feed", detail.hit.feed, detail.feed_title or detail.hit.feed))
        if detail.hit.story:
            wanted.append(("story", detail.hit.story, detail.entry.title))
    if rule:
        titles = {one.id: one.title or one.id for one in config.rules}
        wanted.append(("rule", rule, titles[rule] if rule in titles else _unknown("rule", rule, titles)))
    if feed:
        titles = {one.id: one.title or one.id for one in config.feeds}
        wanted.append(("feed", feed, titles[feed] if feed in titles else _unknown("feed", feed, titles)))
    if story:
        wanted.append(("story", story, (await backend.catalog.story(story))[0].title))
    if not wanted:
        return redirect_after_post("/silences")
    choices = [await _choice(backend, *one) for one in wanted]
    return templates.render(
        request, "silence.html", choices=choices, lengths=LENGTHS, next=safe_next(next), days=PREVIEW.days
    )


def _unknown(kind: str, name: str, known: Mapping[str, str]) -> str:
    raise NotFound(kind, name, list(known))


@router.post("/silences/add")
async def add(request: Request, backend: BackendDep, sent: Annotated[SilenceForm, Form()]) -> Response:
    """Mute a rule, a feed or a story for a while."""
    what, _, chosen = sent.what.partition(":")
    name = chosen or getattr(sent, what)
    named = {kind: name if kind == what else None for kind in ("rule", "feed", "story")}
    change = new_undo(backend, "silenced")
    now = reader_now(request, backend)
    await silence(backend, **named, last=sent.last, until=sent.until, reason=sent.reason, local_now=now, undo=change)
    return redirect_after_post(safe_next(sent.next), "silenced", undo=change.id)


@router.post("/silences/{silence_id}/remove")
async def remove(
    backend: BackendDep, silence_id: Annotated[int, Path(ge=1, le=2**63 - 1)], sent: Annotated[ReturnForm, Form()]
) -> Response:
    """Remove a silence."""
    change = new_undo(backend, "unsilenced")
    await backend.catalog.remove_silence(silence_id, undo=change)
    return redirect_after_post(safe_next(sent.next), "unsilenced", undo=change.id)
