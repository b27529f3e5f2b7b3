"""A story: its sources in order, and what each version changes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote, unquote

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field

from aggregator.core.highlight import WORDS_COMPARED, Run, differences, field_runs, similarity_percent
from aggregator.core.model import Entry, HitDetail
from aggregator.web.dependencies import UNDO_S, BackendDep, TemplatesDep, new_undo, redirect_after_post
from aggregator.web.pages.hits import services

router = APIRouter()

SHOWN = 60
DIFFERENCES_SHOWN = 30
ALIKE_PERCENT = 30
IDENTICAL = 100
SHOWN_CHARS = 600


@dataclass(frozen=True, slots=True)
class StoryVersion:
    """A feed's version; `changes` compares its text with that of `base`, the version before it that is most like it.

    `base` and `like`, in per cent, are None where none is alike.
    """

    detail: HitDetail
    title: tuple[Run, ...]
    rules: tuple[str, ...]
    changes: tuple[Run, ...]
    like: int | None
    base: HitDetail | None


def _text(entry: Entry) -> str:
    return entry.content or entry.summary or entry.title


def story_versions(found: tuple[HitDetail, ...]) -> tuple[StoryVersion, ...]:
    """Return one version per entry, in order of publication."""
    entries: dict[tuple[str, str], list[HitDetail]] = {}
    for detail in sorted(found, key=lambda one: one.entry.dated_at):
        entries.setdefault((detail.hit.feed, detail.hit.entry_key), []).append(detail)
    out: list[StoryVersion] = []
    earlier: list[tuple[HitDetail, frozenset[str]]] = []  # with their words, latest last
    for group in entries.values():
        text = _text(group[0].entry)
        words = frozenset(text.casefold().split()[:WORDS_COMPARED])
        base = _most_like(words, earlier) if len(out) < DIFFERENCES_SHOWN else None
        before = _text(base.entry) if base else ""
        like = similarity_percent(before, text) if base else None
        alike = like is not None and like >= ALIKE_PERCENT
        earlier.append((group[0], words))
        out.append(
            StoryVersion(
                detail=group[0],
                title=field_runs(
                    group[0].entry.title, [span for detail in group for span in detail.hit.spans], "title"
                ),
                rules=tuple(dict.fromkeys(hit_detail.hit.rule for hit_detail in group)),
                changes=differences(before, text) if alike else (Run(text[:SHOWN_CHARS]),),
                like=like if alike else None,
                base=base if alike else None,
            )
        )
    return tuple(out)


def _most_like(words: frozenset[str], earlier: Sequence[tuple[HitDetail, frozenset[str]]]) -> HitDetail | None:
    """Return the earlier version that shares most words with this one, of several the latest; None: there is none."""
    if not earlier:
        return None
    shares = [(len(words & known) / (len(words | known) or 1), place) for place, (_, known) in enumerate(earlier)]
    return earlier[max(shares)[1]][0]


def folded(versions: Sequence[StoryVersion]) -> tuple[tuple[StoryVersion, tuple[StoryVersion, ...]], ...]:
    """Return each version with the later ones that are identical to it: they say nothing new."""
    groups: list[tuple[StoryVersion, list[StoryVersion]]] = []
    group_of: dict[str, int] = {}  # hit of a version → its group
    for version in versions:
        if version.like == IDENTICAL and version.base:
            group_of[version.detail.hit.id] = place = group_of[version.base.hit.id]
            groups[place][1].append(version)
        else:
            group_of[version.detail.hit.id] = len(groups)
            groups.append((version, []))
    return tuple((version, tuple(same)) for version, same in groups)


@router.get("/stories/{story_id}")
async def show(request: Request, backend: BackendDep, templates: TemplatesDep, story_id: str) -> Response:
    """Show every version of a story in order of arrival, the alerts about it, its labels and notes."""
    catalog, config = backend.catalog, backend.current().config
    story, found = await catalog.story(story_id)
    if story.id != story_id:
        return RedirectResponse(f"/stories/{quote(story.id, safe='')}", 303)
    versions = story_versions(found)
    now = backend.clock.now()
    muted = next((one for one in await catalog.silences(now) if one.story == story.id), None)
    return templates.render(
        request,
        "story.html",
        story=story,
        versions=folded(versions[:SHOWN]),
        several=any(version.base for version in versions),
        more=len(versions[SHOWN:]),
        feed_titles={one.hit.feed: one.feed_title for one in found},
        spoken=sorted({one.entry.lang for one in found if one.entry.lang}),
        deliveries=tuple({d.id: d for one in found for d in one.deliveries}.values()),
        marks=Counter(one.hit.mark for one in found if one.hit.mark),
        first_hit=found[-1].hit if found else None,
        labels=(await catalog.labels([story.id])).get(story.id, ()),
        notes=await catalog.notes(story.id),
        muted=muted,
        services=services(config),
    )


@router.post("/hits/{hit_id}/split")
async def split(backend: BackendDep, hit_id: str) -> Response:
    """Take a hit's entry out of its story; it becomes a story of its own, and alerts if it was folded."""
    undo = new_undo(backend, "split")
    change = await backend.split_hit(hit_id, wait_s=UNDO_S, undo=undo)
    return redirect_after_post(f"/stories/{quote(change.story, safe='')}", "split", undo=undo.id)


class JoinForm(BaseModel):
    """The story that is the same event: its id, or the address of its page."""

    model_config = ConfigDict(extra="forbid")

    other: Annotated[str, Field(min_length=1, max_length=2048)]


@router.post("/stories/{story_id}/join")
async def join(backend: BackendDep, story_id: str, sent: Annotated[JoinForm, Form()]) -> Response:
    """Join another story to this one."""
    other = unquote(sent.other.strip().rstrip("/").rpartition("/")[2])
    undo = new_undo(backend, "joined")
    change = await backend.join_stories(story_id, other, undo=undo)
    return redirect_after_post(f"/stories/{quote(change.story, safe='')}", "joined", undo=undo.id)
