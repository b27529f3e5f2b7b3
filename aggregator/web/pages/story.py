"""A story: who said it when, and what each telling changes."""

from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from aggregator.core.model import Entry, Told
from aggregator.web.dependencies import GivenDesk, GivenPages
from aggregator.web.highlight import Piece, differences, likeness, marked

router = APIRouter()

SHOWN = 60
DIFFERENCES_SHOWN = 30
ALIKE_PERCENT = 30
SHOWN_CHARS = 600


@dataclass(frozen=True, slots=True)
class Telling:
    """One feed's telling; `changes` compares its text with the first telling's where they are alike."""

    told: Told
    title: tuple[Piece, ...]
    rules: tuple[str, ...]
    changes: tuple[Piece, ...]
    like: int | None


def _text(entry: Entry) -> str:
    return entry.content or entry.summary or entry.title


def tellings(found: tuple[Told, ...]) -> tuple[Telling, ...]:
    """One per entry, first told first."""
    entries: dict[tuple[str, str], list[Told]] = {}
    for told in sorted(found, key=lambda one: one.entry.published_at or one.entry.seen_at):
        entries.setdefault((told.hit.feed, told.hit.entry_key), []).append(told)
    groups = list(entries.values())
    first = _text(groups[0][0].entry) if groups else ""
    out = []
    for index, group in enumerate(groups):
        text = _text(group[0].entry)
        like = likeness(first, text) if 0 < index < DIFFERENCES_SHOWN else None
        alike = like is not None and like >= ALIKE_PERCENT
        out.append(
            Telling(
                told=group[0],
                title=marked(group[0].entry.title, [span for told in group for span in told.hit.spans], "title"),
                rules=tuple(dict.fromkeys(told.hit.rule for told in group)),
                changes=differences(first, text) if alike else (Piece(text[:SHOWN_CHARS]),),
                like=like if alike else None,
            )
        )
    return tuple(out)


@router.get("/stories/{story_id}")
async def show(request: Request, desk: GivenDesk, pages: GivenPages, story_id: str) -> Response:
    """Every telling of a story in the order in which they came."""
    story, found = await desk.catalog.story(story_id)
    told = tellings(found)
    return pages.render(request, "story.html", story=story, tellings=told[:SHOWN], more=len(told[SHOWN:]))
