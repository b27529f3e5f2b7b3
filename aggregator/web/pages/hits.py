"""The stream of hits, and one hit with everything about it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Request, Response
from msgspec.structs import replace
from pydantic import BaseModel, ConfigDict, Field

from aggregator.core.highlight import field_runs, spellings_by_field
from aggregator.core.model import HitDetail, HitFilter, is_to_do
from aggregator.core.settings import Config, Feed, RuleConfig
from aggregator.core.titles import with_titles
from aggregator.ports.backend import Backend
from aggregator.web.dependencies import (
    UNDO_S,
    BackendDep,
    TemplatesDep,
    answer_after_post,
    new_undo,
    redirect_after_post,
)
from aggregator.web.origins import safe_next
from aggregator.web.pages.display import remember
from aggregator.web.pages.start import first_steps, guide, is_due
from aggregator.web.params import PageParams, PageQuery, cursor
from aggregator.web.templating import reader_now
from aggregator.web.view_models import by_day, explanation_lines, story_cards

router = APIRouter()

STORIES_SHOWN = 40
RULES_SHOWN = 50
MOST_COUNTED = 999
LOOKED_COOKIE = "aggregator_looked"
LOOK_S, LOOKED_KEPT_S = 30 * 60, 90 * 86400
MAX_DIGITS = 11
HIDDEN = "baseline"  # the cookie of a reader who hid the offer of a digest
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


class BaselineForm(BaseModel):
    """The offer of a digest of what was there at first polls, of all rules or of one; `held`: how many there were."""

    model_config = ConfigDict(extra="forbid")

    do: Literal["send", "hide"] = "send"
    rule: Annotated[str, Field(max_length=200)] = ""
    held: Annotated[int, Field(ge=0, lt=10**MAX_DIGITS)] = 0
    next: Annotated[str, Field(max_length=2048)] = "/"


def _names(named: Sequence[RuleConfig | Feed]) -> list[tuple[str, str]]:
    """Return the choices of a filter: ids with their titles."""
    return [(one.id, one.title or one.id) for one in named]


def spans_back(since: str | None) -> tuple[tuple[str, str], ...]:
    """Return the choices of time, with the one that a link or an address brought."""
    if not since or since in dict(SPANS_BACK):
        return SPANS_BACK
    first, _, last = since.partition("..")
    return (*SPANS_BACK, (since, first if last in ("", first) else f"{first} – {last}"))


def _chosen_days(wanted: HitFilter, now: datetime) -> tuple[str, str] | None:
    """Return the first and the last day of a listing that is of some days only."""
    if wanted.since is None and wanted.until is None:
        return None
    first = wanted.since.astimezone(now.tzinfo).date().isoformat() if wanted.since else ""
    last = (wanted.until or now + timedelta(days=1)) - timedelta(microseconds=1)
    return first, last.astimezone(now.tzinfo).date().isoformat()


def _looked(request: Request, now: datetime) -> tuple[datetime, str]:
    """Return since when what was found is new to this reader, and the cookie that remembers this look.

    A look lasts until nothing was opened for half an hour; what came before the look before this one is not new.
    """
    before, _, last = request.cookies.get(LOOKED_COOKIE, "").partition(".")
    known = [int(part) for part in (before, last) if part.isascii() and part.isdecimal() and len(part) <= MAX_DIGITS]
    stamp = int(now.timestamp())
    if len(known) != 2:
        return now, f"{stamp}.{stamp}"
    since = known[0] if stamp - known[1] < LOOK_S else known[1]
    return datetime.fromtimestamp(since, UTC), f"{since}.{stamp}"


@router.get("/")
async def stream(request: Request, backend: BackendDep, templates: TemplatesDep, asked: PageParams) -> Response:
    """List hits, newest first, one card per story, under their days; first what is still to do."""
    now, config, catalog = reader_now(request, backend), backend.current().config, backend.catalog
    wanted = asked.filter(now)
    stories = await catalog.stories_of_hits(wanted, limit=STORIES_SHOWN)
    cards = story_cards(with_titles(chain.from_iterable(stories), config), asked.by)
    chart = await catalog.hit_days(replace(wanted, since=None, until=None, before=None), now)
    todo = await catalog.count_cards(replace(wanted, todo=True, mark=None, before=None), limit=MOST_COUNTED)
    looked_at, cookie = _looked(request, now)
    held = await _held(request, backend, asked)
    bare = not (cards or asked.narrowed or asked.before or todo or asked.tab != "todo" or any(n for _, n in chart))
    due = await is_due(request, backend)
    steps: dict[str, Any] = {}
    if due:
        steps = await guide(backend) if bare else {"steps": await first_steps(backend, look=False)}
    response = templates.render(
        request,
        "hits.html",
        asked=asked,
        days=by_day(cards, now.tzinfo or UTC),
        shown_ids=[card.lead.hit.id for card in cards],
        labels=await catalog.labels([card.lead.hit.story for card in cards if card.lead.hit.story]),
        facets=await catalog.facets(replace(wanted, before=None)) if asked.facets else None,
        label_names=await catalog.label_counts() if asked.facets else {},
        views=await catalog.views(),
        looked_at=looked_at,
        fresh=sum(card.is_newer(looked_at) for card in cards),
        todo=todo,
        most=MOST_COUNTED,
        services=services(config),
        chart=chart,
        chosen=_chosen_days(wanted, now),
        more=cursor(_listed(stories[-1], wanted), asked.by) if len(stories) == STORIES_SHOWN else None,
        back=spans_back(asked.since),
        rules=_names(config.rules),
        feeds=_names(config.feeds),
        running=sum(rule.enabled for rule in config.rules),
        held=held,
        bare=bare,
        guided=due,
        **steps,
    )
    response.set_cookie(
        LOOKED_COOKIE,
        cookie,
        max_age=LOOKED_KEPT_S,
        httponly=True,
        samesite="lax",
        path="/",
        secure=request.url.scheme == "https",
    )
    return response


async def _held(request: Request, backend: Backend, asked: PageQuery) -> int:
    """Return how many hits of first polls to offer as a digest: none in a listing of something else, or if hidden.

    The cookie holds how many there were when the reader hid the offer; feeds that are added later bring it back.
    """
    if asked.before or asked.tab not in ("todo", "all") or asked.narrowed.keys() - {"rule"}:
        return 0
    hidden = request.cookies.get(f"aggregator_{HIDDEN}", "")
    known = int(hidden) if hidden.isascii() and hidden.isdecimal() and len(hidden) <= MAX_DIGITS else 0
    held = await backend.catalog.count_baseline(asked.rule)
    return held if held > known else 0


@router.post("/hits/baseline")
async def baseline(request: Request, backend: BackendDep, sent: Annotated[BaselineForm, Form()]) -> Response:
    """Send the hits that were there at first polls as one digest, or take the offer off the page."""
    back = safe_next(sent.next)
    if sent.do == "hide":
        return remember(request, redirect_after_post(back), HIDDEN, str(sent.held))
    change = new_undo(backend, "digest sent")
    done = await backend.send_baseline(sent.rule or None, wait_s=UNDO_S, undo=change)
    if done.hits:
        return redirect_after_post(back, "baseline-sent", n=done.hits, undo=change.id)
    return redirect_after_post(back, "baseline-unsent" if done.unsent else "baseline-known")


def _listed(story: Sequence[HitDetail], wanted: HitFilter) -> HitDetail:
    """Return the hit by which a story stands in the listing; others of its hits may be marked already."""
    listed = [one for one in story if not wanted.todo or is_to_do(one.hit)]
    return (listed or story)[-1]


def services(config: Config) -> dict[str, str]:
    """Return what kind of service each channel is, for people."""
    return {name: channel.service or "" for name, channel in config.channels.items()}


@router.get("/hits/{hit_id}")
async def one(request: Request, backend: BackendDep, templates: TemplatesDep, hit_id: str) -> Response:
    """Show one hit: the text with its evidence, why each rule of its card matched, its outcome and alerts."""
    config = backend.current().config
    (detail,) = with_titles([await backend.catalog.hit(hit_id)], config)
    of_card = await hits_of_card(backend, detail)
    reasons = [(each, explanation_lines(why) if (why := await backend.explain(each)) else ()) for each in of_card]
    spans = [span for each in of_card for span in each.hit.spans]
    texts = {name: field_runs(getattr(detail.entry, name)[:MAX_TEXT], spans, name) for name in FIELDS}
    return templates.render(
        request,
        "hit.html",
        detail=detail,
        card=story_cards(of_card)[0],
        texts=texts,
        reasons=reasons,
        services=services(config),
        places=spellings_by_field(tuple(spans))[:SPELLINGS_SHOWN],
    )


async def hits_of_card(backend: Backend, detail: HitDetail) -> tuple[HitDetail, ...]:
    """Return the hits of all rules with the entry of a hit, that hit first."""
    at = detail.dated_at
    same = HitFilter(feed=detail.hit.feed, story=detail.hit.story, since=at, until=at + timedelta(microseconds=1))
    found = await backend.catalog.hits(same, limit=RULES_SHOWN)
    others = [one for one in found if one.hit.entry_key == detail.hit.entry_key and one.hit.id != detail.hit.id]
    return with_titles([detail, *others], backend.current().config)


@router.post("/hits/{hit_id}/mark")
async def mark(request: Request, backend: BackendDep, hit_id: str, sent: Annotated[MarkForm, Form()]) -> Response:
    """Mark the card of a hit with all its hits, or this hit `only`; or remove the mark."""
    change = new_undo(backend, sent.mark or "unmarked")
    count = await backend.catalog.mark([hit_id], sent.mark or None, cards=not sent.only, undo=change)
    return answer_after_post(request, safe_next(sent.next), sent.mark or "unmarked", undo=change.id if count else "")
