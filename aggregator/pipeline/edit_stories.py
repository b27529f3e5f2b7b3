"""Changes that people make to stories: split one, join two."""

from datetime import timedelta

from msgspec.structs import replace

from aggregator.core.errors import Conflict
from aggregator.core.model import NO_FREQUENCIES, Undo
from aggregator.core.results import StoryChange
from aggregator.core.routing import describe, plan_join, plan_split
from aggregator.pipeline.context import Context
from aggregator.ports import Catalog


async def split_hit(
    context: Context, catalog: Catalog, hit_id: str, *, by: str, wait_s: float = 0.0, undo: Undo | None = None
) -> StoryChange:
    """Take a hit's entry, with its copies, out of its story; it is alerted if it was not for the story's sake.

    The alert leaves after `wait_s`; until then the split can be undone.

    Raises NotFound; Conflict if it has no story or is the whole of it.
    """
    chosen = await catalog.hit(await catalog.resolve_id("hit", hit_id))
    if chosen.hit.story is None:
        raise Conflict(f"hit {chosen.hit.id} has no story: it was never to be alerted")
    story, details = await catalog.story(chosen.hit.story)
    stories, now = context.active.router.settings.stories, context.now()
    vocabulary = await context.vocabulary.of([chosen.hit.feed], stories)
    described = describe([chosen.entry], [chosen.hit], now, vocabulary).get((chosen.hit.feed, chosen.hit.entry_key))
    if described is None:
        raise Conflict(f"hit {chosen.hit.id} was never to be alerted; there is nothing to split")
    router = context.active.router
    edit = plan_split(router, story, details, chosen, described, vocabulary.frequencies or NO_FREQUENCIES, now, by)
    earliest = now + timedelta(seconds=wait_s)
    alerts = tuple(replace(one, due_at=max(one.due_at, earliest)) for one in edit.deliveries)
    await catalog.edit_stories(replace(edit, deliveries=alerts), undo=undo)
    return StoryChange(story=edit.link.story, other=edit.link.other, hits=len(edit.hits), queued=len(edit.deliveries))


async def join_stories(
    context: Context, catalog: Catalog, one: str, other: str, *, by: str, undo: Undo | None = None
) -> StoryChange:
    """Put everything of the story `other` into `one`. Raises NotFound; Conflict if they are one already."""
    into, _ = await catalog.story(one)
    gone, details = await catalog.story(other)
    edit = plan_join(into, gone, details, context.now(), by)
    await catalog.edit_stories(edit, undo=undo)
    return StoryChange(story=into.id, other=gone.id, hits=len(details))
