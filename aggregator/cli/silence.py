"""`aggregator silence`: a person's wish not to hear for a while."""

from typing import TYPE_CHECKING

import click

from aggregator.cli.completion import argument, option
from aggregator.cli.context import with_app
from aggregator.cli.output import echo, emit, json_option, limit_option, table
from aggregator.cli.param_types import AHEAD, NUMBER
from aggregator.cli.program import CommandGroup, config_option
from aggregator.cli.triage import say_undo
from aggregator.core import schemas
from aggregator.core.errors import NotFound
from aggregator.core.humanize import ago
from aggregator.core.model import Silence
from aggregator.core.schemas import actions, silence_json
from aggregator.core.values import ahead
from aggregator.pipeline.triage import new_undo

if TYPE_CHECKING:
    from aggregator.app.application import Application


@click.group(
    cls=CommandGroup,
    epilog="""\b
Examples:
  aggregator silence add --rule s400-turkey --for 4h --reason "parade day"
  aggregator silence add --feed tass --until monday
  aggregator silence list
  aggregator silence remove 3""",
)
def silence() -> None:
    """Mute a rule, a feed or a story; its hits are still recorded."""


@silence.command()
@option("--rule", "rule", metavar="ID", help="Mute this rule.")
@option("--feed", "feed", metavar="ID", help="Mute this feed.")
@option("--story", "story", metavar="ID", help="Mute this story.")
@click.option("--for", "last", type=AHEAD, metavar="SPAN", help="How long, e.g. 4h or 7d; or a time as for --until.")
@click.option(
    "--until", type=AHEAD, metavar="WHEN", help="Until the end of a day (2026-12-01, friday, tomorrow), or an instant."
)
@click.option("--reason", default="", help="Shown with the silence.")
@config_option
@json_option
def add(
    as_json: bool,
    rule: str | None,
    feed: str | None,
    story: str | None,
    last: str | None,
    until: str | None,
    reason: str,
) -> None:
    """Mute a rule, a feed or a story for a while."""
    if not (rule or feed or story):
        raise click.UsageError("specify what to mute: --rule, --feed or --story")
    if not last and not until:
        raise click.UsageError("specify how long: --for 4h, or --until friday")
    if last and until:
        raise click.UsageError("--for and --until say the same; give one of them")

    async def work(app: "Application") -> None:
        active, now = app.active(), app.clock.now()
        if rule and rule not in active.rules:
            raise NotFound("rule", rule, list(active.rules))
        if feed and feed not in active.feeds:
            raise NotFound("feed", feed, list(active.feeds))
        until_at, change = ahead(until or last or "", app.local_now()), new_undo("silenced", now)
        whole = await app.store.catalog.resolve_id("story", story) if story else None
        wanted = Silence(rule=rule, feed=feed, story=whole, until_at=until_at, reason=reason, created_at=now)
        made = await app.store.catalog.add_silence(wanted, undo=change)
        if as_json:
            emit(silence_json(made) | {"undo": change.id})
        else:
            ends_at = app.loaded.config.settings.local(made.until_at)
            echo(f"silence {made.id}: until {ends_at:%a %Y-%m-%d %H:%M %Z}")
            say_undo(change)

    with_app(work)


@silence.command("list")
@config_option
@limit_option
@json_option
def list_(as_json: bool, limit: int) -> None:
    """List active silences."""

    async def work(app: "Application") -> None:
        now = app.clock.now()
        rows = (await app.store.catalog.silences(now))[: limit or None]
        if as_json:
            emit([silence_json(row) for row in rows])
            return
        table(
            ("id>", "mutes", "ends", "reason"),
            ((s.id, s.rule or s.feed or s.story or "everything", ago(s.until_at, now), s.reason) for s in rows),
            empty="No active silences.",
        )

    with_app(work, reading=True)


@silence.command()
@argument("silence_id", "silence", metavar="ID", type=NUMBER)
@config_option
@json_option
def remove(as_json: bool, silence_id: int) -> None:
    """Remove a silence."""

    async def work(app: "Application") -> None:
        change = new_undo("unsilenced", app.clock.now())
        await app.store.catalog.remove_silence(silence_id, undo=change)
        if as_json:
            emit(schemas.as_json(actions.SilenceRemoved, {"id": silence_id, "undo": change.id}))
        else:
            echo(f"silence {silence_id} removed")
            say_undo(change)

    with_app(work)
