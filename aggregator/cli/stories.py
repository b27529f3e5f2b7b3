"""`aggregator stories`: events with their reports, and what a person corrects about them."""

from datetime import datetime
from typing import TYPE_CHECKING

import click

from aggregator.cli.context import with_app
from aggregator.cli.output import echo, emit, json_option, limit_option, plural, print_fields, short, table
from aggregator.cli.param_types import SINCE, SINCE_HELP
from aggregator.cli.program import CommandGroup, config_option
from aggregator.core.humanize import ago
from aggregator.core.model import HitDetail, Period
from aggregator.core.schemas import story_change_json, story_json, story_summary_json
from aggregator.core.titles import hit_outcome, reasons, with_titles
from aggregator.core.values import period

if TYPE_CHECKING:
    from aggregator.app.application import Application


@click.group(
    cls=CommandGroup,
    epilog="""\b
Examples:
  aggregator stories list --rule caatsa --since 24h
  aggregator stories show 5f1c09d2…
  aggregator stories split HIT
  aggregator stories join STORY OTHER""",
)
def stories() -> None:
    """List and show stories (one event, in all its sources), split and join them."""


@stories.command("list")
@click.option("--rule", metavar="ID", help="Only stories with hits of this rule.")
@click.option("--since", type=SINCE, metavar="WHEN", help=f"Only stories with a report since then: {SINCE_HELP}")
@limit_option
@config_option
@json_option
def list_(as_json: bool, limit: int, since: str | None, rule: str | None) -> None:
    """List stories, the latest first."""

    async def work(app: "Application") -> None:
        now = app.local_now()
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
        table(headings, rows, empty="no stories yet; they begin with a hit that may alert")

    with_app(work, reading=True)


@stories.command()
@click.argument("story_id", metavar="ID")
@config_option
@json_option
def show(as_json: bool, story_id: str) -> None:
    """Show a story: every hit, what became of it, and why it belongs here."""

    async def work(app: "Application") -> None:
        story, found = await app.store.catalog.story(story_id)
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
        for detail in sorted(details, key=lambda one: (one.hit.created_at, one.hit.id)):
            _show(detail, now)

    with_app(work, reading=True)


def _show(detail: HitDetail, now: datetime) -> None:
    hit = detail.hit
    echo(f"\n{short(hit.id)} {detail.feed_title}, {ago(hit.created_at, now)}: {detail.entry.title}")
    echo(f"  {hit.rule}: {hit_outcome(hit)}")
    for line in reasons(hit.because):
        echo(f"  {line}")


@stories.command()
@click.argument("hit_id", metavar="HIT")
@config_option
@json_option
def split(as_json: bool, hit_id: str) -> None:
    """Take a hit's entry, with its copies, out of its story; alerted at once if it was folded.

    The two stories never meet again.
    """

    async def work(app: "Application") -> None:
        from aggregator.pipeline.edit_stories import split_hit

        change = await split_hit(app.context, app.store.catalog, hit_id, by="command line")
        if as_json:
            emit(story_change_json(change))
        else:
            alerts = f", {plural(change.queued, 'alert')} queued" if change.queued else ""
            echo(f"{plural(change.hits, 'hit')} moved from {change.story} to the new story {change.other}{alerts}")

    with_app(work)


@stories.command()
@click.argument("story_id", metavar="STORY")
@click.argument("other_id", metavar="OTHER")
@config_option
@json_option
def join(as_json: bool, story_id: str, other_id: str) -> None:
    """Put everything of the story OTHER into STORY; what comes later for either goes there, too."""

    async def work(app: "Application") -> None:
        from aggregator.pipeline.edit_stories import join_stories

        change = await join_stories(app.context, app.store.catalog, story_id, other_id, by="command line")
        if as_json:
            emit(story_change_json(change))
        else:
            echo(f"{plural(change.hits, 'hit')} of {change.other} moved to {change.story}")

    with_app(work)
