"""A story: its sources in order, and what each version changes."""

from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from aggregator.core.highlight import Run, differences, field_runs, similarity_percent
from aggregator.core.model import Entry, HitDetail
from aggregator.web.dependencies import BackendDep, TemplatesDep

router = APIRouter()

SHOWN = 60
DIFFERENCES_SHOWN = 30
ALIKE_PERCENT = 30
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


@router.get("/stories/{story_id}")
async def show(request: Request, backend: BackendDep, templates: TemplatesDep, story_id: str) -> Response:
    """Show every version of a story in order of arrival."""
    story, found = await backend.catalog.story(story_id)
    detail = story_versions(found)
    return templates.render(request, "story.html", story=story, versions=detail[:SHOWN], more=len(detail[SHOWN:]))
