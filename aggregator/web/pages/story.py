"""A story: its sources in order, and what each version changes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote, unquote

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field

from aggregator.core.highlight import Run, differences, field_runs, similarity_percent
from aggregator.core.model import Entry, HitDetail
from aggregator.web.dependencies import BackendDep, TemplatesDep, redirect_after_post
from aggregator.web.pages.hits import services

router = APIRouter()

SHOWN = 60
DIFFERENCES_SHOWN = 30
ALIKE_PERCENT = 30
IDENTICAL = 100
SHOWN_CHARS = 600


@dataclass(frozen=True, slots=True)
class StoryVersion:
    """A feed's version; `changes` compares its text with the first version's if they are alike."""

    detail: HitDetail
    title: tuple[Run, ...]
    rules: tuple[str, ...]
    changes: tuple[Run, ...]
    like: int | None


def _text(entry: Entry) -> str:
    return entry.content or entry.summary or entry.title


def story_versions(found: tuple[HitDetail, ...]) -> tuple[StoryVersion, ...]:
    """Return one version per entry, in order of publication."""
    entries: dict[tuple[str, str], list[HitDetail]] = {}
    for detail in sorted(found, key=lambda one: one.entry.dated_at):
        entries.setdefault((detail.hit.feed, detail.hit.entry_key), []).append(detail)
    groups = list(entries.values())
    first = _text(groups[0][0].entry) if groups else ""
    out = []
    for index, group in enumerate(groups):
        text = _text(group[0].entry)
        like = similarity_percent(first, text) if 0 < index < DIFFERENCES_SHOWN else None
        alike = like is not None and like >= ALIKE_PERCENT
        out.append(
            StoryVersion(
                detail=group[0],
                title=field_runs(
                    group[0].entry.title, [span for detail in group for span in detail.hit.spans], "title"
                ),
                rules=tuple(dict.fromkeys(hit_detail.hit.rule for hit_detail in group)),
                changes=differences(first, text) if alike else (Run(text[:SHOWN_CHARS]),),
                like=like if alike else None,
            )
        )
    return tuple(out)


def folded(versions: Sequence[StoryVersion]) -> tuple[tuple[StoryVersion, tuple[StoryVersion, ...]], ...]:
    """Return each version with the identical ones that follow it: they say nothing new."""
    groups: list[tuple[StoryVersion, list[StoryVersion]]] = []
    for version in versions:
        if groups and version.like == IDENTICAL:
            groups[-1][1].append(version)
        else:
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
        several=len(versions) > 1,
        more=len(versions[SHOWN:]),
        languages=sorted({one.entry.lang for one in found if one.entry.lang}),
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
    change = await backend.split_hit(hit_id)
    return redirect_after_post(f"/stories/{quote(change.story, safe='')}", "split")


class JoinForm(BaseModel):
    """The story that is the same event: its id, or the address of its page."""

    model_config = ConfigDict(extra="forbid")

    other: Annotated[str, Field(min_length=1, max_length=2048)]


@router.post("/stories/{story_id}/join")
async def join(backend: BackendDep, story_id: str, sent: Annotated[JoinForm, Form()]) -> Response:
    """Join another story to this one."""
    other = unquote(sent.other.strip().rstrip("/").rpartition("/")[2])
    change = await backend.join_stories(story_id, other)
    return redirect_after_post(f"/stories/{quote(change.story, safe='')}", "joined")
