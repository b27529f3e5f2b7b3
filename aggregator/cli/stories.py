"""`aggregator stories`: events with their reports, and what a person corrects about them."""

import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

import click

from aggregator.cli.completion import argument, option
from aggregator.cli.context import require_known, with_app
from aggregator.cli.output import echo, emit, json_option, limit_option, plural, print_fields, short, table
from aggregator.cli.param_types import NUMBER, SINCE, SINCE_HELP
from aggregator.cli.program import CommandGroup, config_option
from aggregator.cli.triage import say_undo
from aggregator.core import schemas
from aggregator.core.errors import NotFound
from aggregator.core.humanize import ago
from aggregator.core.model import HitDetail, Json, Note, Period, Undo
from aggregator.core.results import StoryChange
from aggregator.core.schemas import actions, note_json, story_json, story_summary_json
from aggregator.core.titles import hit_outcome, reasons, with_titles
from aggregator.core.values import period
from aggregator.pipeline.triage import MAX_LABEL_CHARS, MAX_NOTE_CHARS, labels_of, new_undo

if TYPE_CHECKING:
    from aggregator.app.application import Application


@click.group(
    cls=CommandGroup,
    epilog="""\b
Examples:
  aggregator stories list --rule caatsa --since 24h
  aggregator stories show 5f1c09d2
  aggregator stories split HIT
  aggregator stories join STORY OTHER
  aggregator stories label STORY turkey "follow up"
  aggregator stories labels
  aggregator stories note STORY 'Ankara denies it'""",
)
def stories() -> None:
    """List and show stories (one event, in all its sources), split, join, label and annotate them."""


@stories.command("list")
@option("--rule", "rule", metavar="ID", help="Only stories with hits of this rule.")
@click.option("--since", type=SINCE, metavar="WHEN", help=f"Only stories with a report since then: {SINCE_HELP}")
@limit_option
@config_option
@json_option
def list_(as_json: bool, limit: int, since: str | None, rule: str | None) -> None:
    """List stories, the latest first."""

    async def work(app: "Application") -> None:
        now = app.local_now()
        await require_known(app, rule=rule)
        span = period(since, now) if since else Period()
        found = await app.store.catalog.stories(rule=rule, since=span.since, until=span.until, limit=limit)
        if as_json:
            emit([story_summary_json(one) for one in found])
            return
        rows = [
            (one.id, ago(one.last_at, now), one.title, *map(str, (len(one.feeds), one.hits, one.folded, one.updates)))
            for one in found
        ]
        headings = ("id!", "latest!", "title", "sources>", "hits>", "folded>", "updates>")
        empty = "No matching stories." if rule or since else "No stories yet: they begin with a hit that may alert."
        table(headings, rows, empty=empty)

    with_app(work, reading=True)


@stories.command()
@argument("story_id", "story", metavar="ID")
@config_option
@json_option
def show(as_json: bool, story_id: str) -> None:
    """Show a story: every hit, what became of it, and why it belongs here."""

    async def work(app: "Application") -> None:
        story, found = await app.store.catalog.story(await _whole(app, story_id))
        details, now = with_titles(found, app.current.config), app.local_now()
        if as_json:
            emit(story_json(story, details))
            return
        print_fields(
            {
                "story": story.id,
                "title": story.title,
                "sources": ", ".join(story.feeds),
                "first": ago(story.first_at, now),
                "latest": ago(story.last_at, now),
                "set apart from": ", ".join(sorted(story.apart)),
            }
        )
        titles = {detail.hit.feed: detail.feed_title for detail in details}
        for detail in sorted(details, key=lambda one: (one.hit.created_at, one.hit.id)):
            _show(detail, titles, now)

    with_app(work, reading=True)


def _show(detail: HitDetail, feed_titles: Mapping[str, str], now: datetime) -> None:
    hit = detail.hit
    echo(f"\n{short(hit.id)} {detail.feed_title}, {ago(hit.created_at, now)}: {detail.entry.title}")
    echo(f"  {hit.rule}: {hit_outcome(hit)}")
    reported_by = feed_titles.get(hit.because.feed, "") if hit.because else ""
    for line in reasons(hit.because, reported_by, detail.earlier_alerts):
        echo(f"  {line}")


def _changed(change: StoryChange, undo: Undo) -> Json:
    fields = {**asdict(change), "undo": undo.id}
    return schemas.as_json(actions.StoriesChanged, fields)


@stories.command()
@argument("hit_id", "hit", metavar="HIT")
@config_option
@json_option
def split(as_json: bool, hit_id: str) -> None:
    """Take a hit's entry, with its copies, out of its story; alerted at once if it was folded.

    The two stories are never joined automatically again.
    """

    async def work(app: "Application") -> None:
        from aggregator.pipeline.edit_stories import split_hit

        undo = new_undo("split", app.clock.now())
        hit = await app.store.catalog.resolve_id("hit", hit_id)
        change = await split_hit(app.context, app.store.catalog, hit, by="command line", undo=undo)
        if as_json:
            emit(_changed(change, undo))
        else:
            alerts = f", {plural(change.queued, 'alert')} queued" if change.queued else ""
            echo(f"{plural(change.hits, 'hit')} moved from {change.story} to the new story {change.other}{alerts}")
            say_undo(undo)

    with_app(work)


@stories.command()
@argument("story_id", "story", metavar="STORY")
@argument("other_id", "story", metavar="OTHER")
@config_option
@json_option
def join(as_json: bool, story_id: str, other_id: str) -> None:
    """Merge the story OTHER into STORY; later reports of either go there, too."""

    async def work(app: "Application") -> None:
        from aggregator.pipeline.edit_stories import join_stories

        undo = new_undo("joined", app.clock.now())
        story, other = await _whole(app, story_id), await _whole(app, other_id)
        change = await join_stories(app.context, app.store.catalog, story, other, by="command line", undo=undo)
        if as_json:
            emit(_changed(change, undo))
        else:
            echo(f"{plural(change.hits, 'hit')} of {change.other} moved to {change.story}")
            say_undo(undo)

    with_app(work)


@stories.command()
@argument("story_id", "story", metavar="STORY")
@argument("labels", "label", metavar="[LABEL]…", nargs=-1)
@click.option("--remove", is_flag=True, help="Remove these labels; without LABEL, all of them.")
@config_option
@json_option
def label(as_json: bool, story_id: str, labels: tuple[str, ...], remove: bool) -> None:
    """Add labels to a story, or remove them; without LABEL, show its labels."""
    wanted = labels_of(labels)
    if any(len(one) > MAX_LABEL_CHARS for one in wanted):
        raise click.UsageError(f"a label has at most {MAX_LABEL_CHARS} characters; give each as a word of its own")

    async def work(app: "Application") -> None:
        catalog = app.store.catalog
        story, _ = await catalog.story(await _whole(app, story_id))
        had = list((await catalog.labels([story.id])).get(story.id, ()))
        left = [one for one in had if wanted and one not in wanted]
        has = left if remove else labels_of([*had, *wanted])
        change = new_undo("labelled", app.clock.now()) if set(has) != set(had) else None
        if change:
            await catalog.set_labels(story.id, has, undo=change)
        if as_json:
            fields = {"story": story.id, "labels": sorted(has), "undo": change.id if change else None}
            emit(schemas.as_json(actions.StoryLabels, fields))
            return
        echo(", ".join(sorted(has)) or "no labels")
        if change:
            say_undo(change)

    with_app(work)


@stories.command()
@limit_option
@config_option
@json_option
def labels(as_json: bool, limit: int) -> None:
    """List the labels in use, with how many stories have each."""

    async def work(app: "Application") -> None:
        found = list((await app.store.catalog.label_counts()).items())[: limit or None]
        if as_json:
            emit([{"label": one, "stories": count} for one, count in found])
            return
        table(("label", "stories>"), found, empty="No labels yet; `aggregator stories label STORY LABEL` gives one.")

    with_app(work, reading=True)


@stories.command()
@argument("story_id", "story", metavar="STORY")
@click.argument("text", metavar="[TEXT|-]", required=False)
@click.option("--remove", type=NUMBER, metavar="NUMBER", help="Remove this note instead.")
@config_option
@json_option
def note(as_json: bool, story_id: str, text: str | None, remove: int | None) -> None:
    """Write a note on a story (`-` reads it from stdin); without TEXT, list its notes, oldest first."""
    written = (sys.stdin.read() if text == "-" else text or "").strip()
    if text is not None and not written:
        raise click.UsageError("the note is empty")
    if len(written) > MAX_NOTE_CHARS:
        raise click.UsageError(f"a note has at most {MAX_NOTE_CHARS:,} characters")

    async def work(app: "Application") -> None:
        catalog = app.store.catalog
        story, _ = await catalog.story(await _whole(app, story_id))
        notes = await catalog.notes(story.id)
        if remove:
            if remove not in [one.id for one in notes]:
                raise NotFound("note", str(remove), [str(one.id) for one in notes])
            change = new_undo("note removed", app.clock.now())
            await catalog.remove_note(remove, undo=change)
            if as_json:
                emit(schemas.as_json(actions.NoteRemoved, {"id": remove, "undo": change.id}))
            else:
                echo(f"note {remove} removed")
                say_undo(change)
        elif written:
            change = new_undo("note added", app.clock.now())
            kept = Note(story=story.id, text=written, created_at=change.made_at)
            made = await catalog.add_note(kept, undo=change)
            if as_json:
                emit(note_json(made) | {"undo": change.id})
            else:
                echo(f"note {made.id} added")
                say_undo(change)
        elif as_json:
            emit([note_json(one) for one in notes])
        else:
            now = app.local_now()
            rows = ((one.id, ago(one.created_at, now), one.text) for one in notes)
            table(("id>", "when!", "note"), rows, empty="No notes yet.")

    with_app(work, reading=not (written or remove))


async def _whole(app: "Application", beginning: str) -> str:
    """Return the id of the story that begins so. Raises NotFound."""
    return await app.store.catalog.resolve_id("story", beginning)
