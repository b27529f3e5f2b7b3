"""`aggregator silence`: a person's wish not to hear for a while."""

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from aggregator.cli.context import in_house
from aggregator.cli.output import ago, echo, emit, json_option, limit_option, table
from aggregator.cli.param_types import SINCE
from aggregator.cli.program import Group, config_option
from aggregator.core.errors import NotFound
from aggregator.core.model import Silence
from aggregator.core.schemas import silence_json

if TYPE_CHECKING:
    from aggregator.app.application import House


@click.group(
    cls=Group,
    epilog="""\b
Examples:
  aggregator silence add --rule s400-turkey --for 4h --reason "parade day"
  aggregator silence list
  aggregator silence remove 3""",
)
def silence() -> None:
    """Silence a rule, a feed or a story; its hits are still recorded."""


@silence.command()
@click.option("--rule", metavar="ID")
@click.option("--feed", metavar="ID")
@click.option("--story", metavar="ID")
@click.option("--for", "span", type=SINCE, required=True, metavar="DURATION", help="How long, e.g. 4h.")
@click.option("--reason", default="", help="Shown wherever the silence is.")
@config_option
def add(rule: str | None, feed: str | None, story: str | None, span: timedelta, reason: str) -> None:
    """Add a silence."""
    if not (rule or feed or story):
        raise click.UsageError("name what to silence: --rule, --feed or --story")

    async def work(house: "House") -> None:
        setup, now = house.setup(), house.clock.now()
        if rule and rule not in setup.rules:
            raise NotFound("rule", rule, list(setup.rules))
        if feed and feed not in setup.feeds:
            raise NotFound("feed", feed, list(setup.feeds))
        if story:
            await house.store.catalog.story(story)
        made = await house.store.catalog.add_silence(
            Silence(rule=rule, feed=feed, story=story, until_at=now + span, reason=reason, created_at=now)
        )
        echo(f"silence {made.id}: until {made.until_at:%Y-%m-%d %H:%M} UTC")

    in_house(work)


@silence.command("list")
@config_option
@limit_option
@json_option
def list_(as_json: bool, limit: int) -> None:
    """List live silences."""

    async def work(house: "House") -> None:
        now = house.clock.now()
        rows = (await house.store.catalog.silences(now))[: limit or None]
        if as_json:
            emit([silence_json(row) for row in rows])
            return
        table(
            ("id>", "of", "until", "reason"),
            ((s.id, s.rule or s.feed or s.story or "everything", ago(s.until_at, now), s.reason) for s in rows),
            empty="nothing is silenced",
        )

    in_house(work, reading=True)


@silence.command()
@click.argument("silence_id", metavar="ID", type=int)
@config_option
def remove(silence_id: int) -> None:
    """End a silence."""

    async def work(house: "House") -> None:
        await house.store.catalog.remove_silence(silence_id)
        echo(f"silence {silence_id} ended")

    in_house(work)
